/** Matches the tensors of a checkpoint with the parameters of a graph, and reads them piece by piece. */
import { CheckpointError, WeightsError } from '../errors.js';
import type { DeferredTensor, DeferredWeights, Graph } from '../graph/types.js';
import { castTensor, toFloat64Array } from '../half.js';
import { plural } from '../quantities.js';
import {
  type DType,
  elementCount,
  formatShape,
  isFloatDType,
  type StoredBytes,
  tensor,
  tensorBytes,
  type TensorData,
} from '../tensor.js';
import { isFloat8 } from '../weights/float8.js';
import type { SafetensorsFile } from '../weights/safetensors.js';
import { compareKeys, hint } from '../weights/state-dict.js';

/** A tensor of a checkpoint, or a tensor that is made of several. */
interface Source extends Pick<TensorData, 'dtype' | 'dims'> {
  /** Reads vectors of the elements in C order. */
  readonly read: () => AsyncIterable<TensorData>;
  /** The elements as they are stored; `undefined` if they are computed. */
  readonly stored?: StoredBytes;
}

/** How the keys of a checkpoint become names of parameters. */
export interface KeyRules {
  /** Returns today's key for an older one. Default: all keys are today's. */
  readonly parameterKey?: ((key: string) => string) | undefined;
  /** Returns whether a key has no parameter in the graph. Default: every key has a parameter. */
  readonly isUnused?: ((key: string) => boolean) | undefined;
}

/**
 * Returns the weights of a graph, which are read when a model is written. Reads nothing but what the headers of the files
 * hold, and so refuses a checkpoint that does not fit before it takes memory.
 * @param what The checkpoint, for messages.
 * @throws WeightsError `STATE_DICT_MISMATCH` with the first missing and unexpected keys and the first tensor of a wrong shape or
 *   dtype; `UNSUPPORTED_DTYPE` for 8-bit floats, whose scales a checkpoint keeps elsewhere; CheckpointError.
 */
export function checkpointWeights(
  what: string,
  graph: Graph,
  tensors: ReadonlyMap<string, SafetensorsFile>,
  { parameterKey = (key) => key, isUnused = () => false }: KeyRules,
): DeferredWeights {
  const sources = new Map<string, Source>();
  const used = [...tensors].filter(([key]) => !isUnused(parameterKey(key)));
  for (const [key, file] of used) {
    const name = parameterKey(key);
    if (sources.has(name)) {
      throw new CheckpointError(
        'WEIGHTS_INVALID',
        `${what} has two tensors for '${name}': '${key}' is one of them`,
      );
    }
    sources.set(name, storedTensor(what, file, key));
  }
  joinWeightNorms(sources);
  requireFit(what, graph, sources);
  return new Map(
    graph.parameters.map(({ name, dtype }) => [name, deferredTensor(sources.get(name)!, dtype)]),
  );
}

function storedTensor(what: string, file: SafetensorsFile, key: string): Source {
  const { dtype, dims, storedAs } = file.info(key);
  if (dtype === undefined || isFloat8(storedAs)) {
    throw new WeightsError(
      'UNSUPPORTED_DTYPE',
      `${what}: '${key}' is ${storedAs}, which stands for numbers only with scales that the network lacks; ` +
        'take weights of float32, float16 or bfloat16',
    );
  }
  return { dtype, dims, read: () => file.readPieces(key), stored: file.stored(key) };
}

function deferredTensor(source: Source, dtype: DType): DeferredTensor {
  const { dtype: storedAs, dims, read } = source;
  const stored = storedAs === dtype ? source.stored : undefined;
  return {
    dtype,
    dims,
    stored,
    async *read() {
      if (stored) {
        yield stored;
        return;
      }
      for await (const piece of read()) {
        yield tensorBytes(isFloatDType(dtype) ? castTensor(piece, dtype) : piece);
      }
    },
  };
}

/** The keys of a weight that PyTorch's `weight_norm` has parted into its size and its direction, old and new. */
const WEIGHT_NORMS = [
  { size: /^(.*)weight_g$/, direction: 'weight_v' },
  { size: /^(.*)parametrizations\.weight\.original0$/, direction: 'parametrizations.weight.original1' },
] as const;

/** Replaces the two tensors of each `weight_norm` by the weight that they make. Source: `torch._weight_norm`. */
function joinWeightNorms(sources: Map<string, Source>): void {
  for (const [key, size] of [...sources]) {
    for (const { size: pattern, direction } of WEIGHT_NORMS) {
      const prefix = pattern.exec(key)?.[1];
      const other = prefix === undefined ? undefined : sources.get(prefix + direction);
      if (other === undefined) continue;
      sources.delete(key);
      sources.delete(prefix + direction);
      sources.set(`${prefix}weight`, weightNorm(key, size, other));
    }
  }
}

/** Returns size · direction / ‖direction‖, with a norm for each element of `size`: for each first index, or for all. */
function weightNorm(key: string, size: Source, direction: Source): Source {
  const { dtype, dims } = direction;
  const rows = elementCount(size.dims);
  if (rows !== 1 && (size.dims[0] !== dims[0] || rows !== dims[0])) {
    throw new WeightsError(
      'STATE_DICT_MISMATCH',
      `'${key}' of shape ${formatShape(size.dims)} does not fit a weight of shape ${formatShape(dims)}: only norms ` +
        'over all dimensions but the first are supported',
    );
  }
  return {
    dtype,
    dims,
    async *read() {
      const [sizes, values] = await Promise.all([readWhole(size), readWhole(direction)]);
      const length = values.length / rows;
      for (let row = 0; row < rows; row++) {
        const part = values.subarray(row * length, (row + 1) * length);
        const factor = sizes[row]! / Math.sqrt(part.reduce((sum, value) => sum + value * value, 0));
        part.forEach((value, index) => (part[index] = value * factor));
      }
      yield tensor('float64', [values.length], values);
    },
  };
}

async function readWhole({ dims, read }: Source): Promise<Float64Array> {
  const values = new Float64Array(elementCount(dims));
  let at = 0;
  for await (const piece of read()) {
    const part = toFloat64Array(piece);
    values.set(part, at);
    at += part.length;
  }
  return values;
}

/** Requires a tensor for each parameter, and a parameter for each tensor. */
function requireFit(what: string, graph: Graph, sources: ReadonlyMap<string, Source>): void {
  const { missing, unexpected, misfits } = compareKeys(graph, sources);
  const problems: string[] = [];
  const [firstMissing] = missing;
  const [firstUnexpected] = unexpected;
  if (firstMissing !== undefined) {
    const near = hint(firstMissing, unexpected);
    problems.push(`${plural(missing.length, 'tensor')} missing, the first '${firstMissing}'${near}`);
  }
  if (firstUnexpected !== undefined) {
    const near = hint(firstUnexpected, missing);
    problems.push(`${plural(unexpected.length, 'tensor')} unexpected, the first '${firstUnexpected}'${near}`);
  }
  if (misfits.length > 0)
    problems.push(`${plural(misfits.length, 'tensor')} that cannot be taken, the first ${misfits[0]}`);
  if (problems.length === 0) return;
  throw new WeightsError(
    'STATE_DICT_MISMATCH',
    `${what} does not fit the network of its configuration: ${problems.join('; ')}; take config.json and weights of one download`,
  );
}
