import type { TensorData } from '../tensor.js';
import { openSafetensors } from '../weights/safetensors-file.js';
import type { SafetensorsFile } from '../weights/safetensors-ranged.js';

/** The parts of a parity fixture. */
const FIXTURE_KEY = /^(input|state_dict|output|truth)\./;
const PREFIX = 'state_dict.';

/** A state_dict, and what the file says of the network it belongs to. */
export interface StateDictFile {
  readonly tensors: ReadonlyMap<string, TensorData>;
  /** Name in the graph registry, and options; a parity fixture has them in its metadata. */
  readonly graph?: string | undefined;
  readonly options?: Readonly<Record<string, unknown>> | undefined;
  /** Of a fixture whose weights are `counterWeights` and lie in no file. */
  readonly counterSeed?: number | undefined;
}

/**
 * The state_dict of a `.safetensors` file: all of its tensors, or of a parity fixture those under `state_dict.`.
 * @param prefix Only what is under it is read, if anything is.
 * @throws FileError or WeightsError if the file cannot be read.
 */
export async function readStateDict(path: string, prefix = ''): Promise<StateDictFile> {
  const file = await openSafetensors(path);
  try {
    const keys = file.keys();
    const isFixture =
      keys.some((key) => key.startsWith(PREFIX)) || keys.every((key) => FIXTURE_KEY.test(key));
    if (!isFixture) {
      const under = keys.filter((key) => key.startsWith(prefix));
      return { tensors: await file.readAll(under.length > 0 ? under : keys) };
    }
    const own = await file.readAll(keys.filter((key) => key.startsWith(PREFIX)));
    const tensors = new Map([...own].map(([key, value]) => [key.slice(PREFIX.length), value]));
    return { tensors, ...describeNetwork(file) };
  } finally {
    await file.close();
  }
}

function describeNetwork({ metadata }: SafetensorsFile): Omit<StateDictFile, 'tensors'> {
  const { graph, options, weights, seed } = metadata;
  const isCounter = weights === 'counter' && /^\d+$/.test(seed ?? '');
  return { graph, options: parseObject(options), counterSeed: isCounter ? Number(seed) : undefined };
}

/** Metadata is anyone's: what is no JSON object is not ours. */
function parseObject(json: string | undefined): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(json ?? '');
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
