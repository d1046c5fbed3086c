/**
 * The budgets for files that come from others: how much of the machine a file may take. A budget stands beside the rule
 * that memory and time are in proportion to the size of a file, whatever the file claims.
 */
import { type ErrorDetails, OptionError } from './errors.js';
import { requireKnownOptions } from './options.js';

/** What a file may have and take. Each limit is a number of at least 0, or `Infinity` to take any. */
export interface Limits {
  /**
   * The most parts that a model has, or that rewriting makes of it, by the memory that they take: a node and a declared value
   * count 4; a tensor 3; an attribute, and a name of an input or output of a node, 1. 5 more are allowed for each 100 bytes of
   * the file. Default 262,144, some 64 MiB.
   */
  readonly modelParts: number;
  /** The longest name in a model, in bytes. Default 65,536. */
  readonly modelNameBytes: number;
  /** The most elements of an attribute that says axes or sizes, such as `perm`. Default 65,536. */
  readonly modelListElements: number;
  /** The most dimensions of a tensor in a model or a safetensors file, and of a type that a model declares. Default 64. */
  readonly modelRank: number;
  /**
   * The bytes that the sparse tensors of a model take when they are dense, as ONNX Runtime makes them. 8 more are allowed for
   * each byte of the file. Default 33,554,432.
   */
  readonly modelSparseBytes: number;
  /**
   * The bytes of the constants and copies of functions that rewriting adds to a model. One more is allowed for each byte of
   * the file. Default 16,777,216.
   */
  readonly modelAddedBytes: number;
  /** The most bytes of a `config.json`, a `model_index.json` and an index of shards. Default 1,048,576. */
  readonly configBytes: number;
  /** The most tensors, and the most texts of metadata, of a safetensors file. Default 131,072. */
  readonly weightsEntries: number;
  /**
   * The most bytes that it takes to decode an image: its decompressed pixels and its samples. 4096 × 2160 RGB of 8 bits takes
   * 53,086,320. 7 more are allowed for each byte of the file. Default 67,108,864.
   */
  readonly imageBytes: number;
  /**
   * The most bytes that it takes to read a compressed array of a `.npz` archive: those of the array, and of copies where its
   * elements have another order or another place than a tensor's. 7 more are allowed for each byte of the archive.
   * Default 67,108,864.
   */
  readonly arrayBytes: number;
}

/** The limits that hold if the caller names no others. */
export const DEFAULT_LIMITS: Limits = {
  modelParts: 2 ** 18,
  modelNameBytes: 2 ** 16,
  modelListElements: 2 ** 16,
  modelRank: 64,
  modelSparseBytes: 2 ** 25,
  modelAddedBytes: 2 ** 24,
  configBytes: 2 ** 20,
  weightsEntries: 2 ** 17,
  imageBytes: 2 ** 26,
  arrayBytes: 2 ** 26,
};

const NAMES = Object.keys(DEFAULT_LIMITS) as (keyof Limits)[];

/** The limits for what this library has written, or has checked before. */
export const NO_LIMITS = Object.fromEntries(NAMES.map((name) => [name, Infinity])) as unknown as Limits;

/**
 * Checks the option `limits` and adds the defaults to it.
 * @param where What takes the option, for the message: `createSession`.
 * @throws OptionError `UNKNOWN_OPTION` for a limit that does not exist, `INVALID_OPTION` for a value that is not a number of
 *   at least 0, `NO_OPTIONS` if it is not an object.
 */
export function requireLimits(where: string, limits: Partial<Limits> = {}): Limits {
  requireKnownOptions(`${where}: limits`, limits, NAMES);
  const given = Object.entries(limits).filter(([, value]) => value !== undefined);
  for (const [name, value] of given) {
    if (typeof value === 'number' && value >= 0) continue;
    throw new OptionError(
      'INVALID_OPTION',
      `${where}: limits.${name} must be a number of at least 0, or Infinity; it is ${String(value)}`,
    );
  }
  return { ...DEFAULT_LIMITS, ...(Object.fromEntries(given) as Partial<Limits>) };
}

/**
 * Returns the message and the details of an error about a limit; such an error has the code `LIMIT_EXCEEDED`.
 * @param claim What the file has or claims: `the model has more than 100 nodes`.
 */
export const overLimit = (claim: string, limit: keyof Limits): [message: string, details: ErrorDetails] => [
  `${claim}; if you trust the file, set a higher limit: the option limits.${limit}`,
  { option: `limits.${limit}` },
];

/** What a limit grows by with each byte of the file, if it does. */
const PER_BYTE: Partial<Limits> = {
  modelParts: 0.05,
  modelSparseBytes: 8,
  modelAddedBytes: 1,
  imageBytes: 7,
  arrayBytes: 7,
};

/** What one file may still take of each limit that it takes in parts. */
export class Budget {
  readonly #taken = new Map<keyof Limits, number>();

  constructor(
    readonly limits: Limits,
    readonly fileBytes: number,
  ) {}

  /** Returns how much a file of this size may take. */
  allowed(limit: keyof Limits): number {
    return Math.floor(this.limits[limit] + (PER_BYTE[limit] ?? 0) * this.fileBytes);
  }

  /** Takes a part of a limit. Returns whether the limit still holds. */
  take(limit: keyof Limits, amount: number): boolean {
    const taken = (this.#taken.get(limit) ?? 0) + amount;
    this.#taken.set(limit, taken);
    return taken <= this.allowed(limit);
  }
}
