/** Runs a model on a batch, and on each sample of it alone: whoever batches requests relies on the same answers. */
import { castTensor, toFloat64Array } from '../half.js';
import { compareTensors, defaultTolerance } from '../parity/compare.js';
import type { Feeds, Session, TensorInfo, TensorLike } from '../runtime/core/contract.js';
import { dimNames } from '../runtime/core/tensors.js';
import { allocate, elementCount, isFloatDType, tensor, type TensorData } from '../tensor.js';
import { Random } from '../weights/initialize.js';

/** The size of a dimension that the model leaves open and the caller does not give. */
export const OPEN_SIZE = 64;

const SAMPLES = 3;

/**
 * Returns the sizes of all dimensions that the inputs of a model leave open, without the first: by their name, or by the name of
 * the input and the axis (`x.2`) for a dimension without a name.
 * @param given Sizes by name. Default {@link OPEN_SIZE}.
 */
export function openSizes(
  inputs: readonly TensorInfo[],
  given: ReadonlyMap<string, number> = new Map(),
): Map<string, number> {
  const names = inputs.flatMap((info) => dimNames(info).slice(1)).filter((name) => name !== undefined);
  return new Map(names.map((name) => [name, given.get(name) ?? OPEN_SIZE]));
}

/**
 * Runs a batch of three random samples, and each sample alone.
 * @param session A model whose inputs and outputs all have the batch as their first dimension.
 * @param sizes From {@link openSizes}.
 * @returns What differs, or `undefined` if each sample has the same answer both ways, within the tolerance of the dtype.
 * @throws SessionError if the model does not run on these sizes.
 */
export async function findBatchDependence(
  session: Pick<Session, 'inputs' | 'outputs' | 'run'>,
  sizes: ReadonlyMap<string, number>,
): Promise<string | undefined> {
  const inputs = session.inputs.filter(({ optional }) => optional !== true);
  const samples = Array.from({ length: SAMPLES }, (_, sample): Feeds =>
    Object.fromEntries(inputs.map((info) => [info.name, randomSample(info, sizes, sample)])),
  );
  const batch = Object.fromEntries(
    inputs.map(({ name }) => [name, joined(samples.map((feeds) => feeds[name] as TensorLike))]),
  );
  // Texts are not compared: no operator makes them out of the neighbours.
  const fetches = session.outputs.filter(({ dtype }) => dtype !== 'string').map(({ name }) => name);
  const together = await session.run(batch, { fetches });
  let isShown = false;
  for (const [index, feeds] of samples.entries()) {
    const alone = await session.run(feeds, { fetches });
    for (const name of fetches) {
      const [whole, expected] = [together[name]!, alone[name]!];
      if (whole.dims[0] !== SAMPLES || expected.dims[0] !== 1)
        return `output '${name}' has ${whole.dims[0]} rows for a batch of ${SAMPLES}, and ${expected.dims[0]} for one sample`;
      const actual = rowOf(whole, index);
      if (String(actual.dims) !== String(expected.dims))
        return `output '${name}' is ${expected.dims.join('×')} for one sample, and ${actual.dims.join('×')} in a batch`;
      const { passed, maxAbs } = compareTensors(name, actual, expected, defaultTolerance(expected.dtype));
      if (!passed)
        return `output '${name}' of a sample changes by up to ${maxAbs.toPrecision(2)} with the samples beside it`;
      isShown ||= toFloat64Array(expected).some((element) => Number.isFinite(element));
    }
  }
  return isShown
    ? undefined
    : 'no output has a finite element for random inputs, so that nothing could be compared';
}

/** Returns a batch of one: standard normal floats, integers and bool from 0 and 1, empty texts. */
function randomSample(info: TensorInfo, sizes: ReadonlyMap<string, number>, sample: number): TensorLike {
  const { name, shape } = info;
  const dtype = info.dtype!;
  const names = dimNames(info);
  const own = shape!.slice(1).map((dim, i) => (typeof dim === 'number' ? dim : sizes.get(names[i + 1]!)!));
  const dims = [1, ...own];
  const length = elementCount(dims);
  if (dtype === 'string') return { dtype, dims, data: new Array<string>(length).fill('') };
  const random = new Random(sample, name);
  if (isFloatDType(dtype)) {
    const numbers = Float64Array.from({ length }, (_, i) => random.normal(i));
    return castTensor(tensor('float64', dims, numbers), dtype);
  }
  const data = allocate(dtype, length);
  const isBig = data instanceof BigInt64Array || data instanceof BigUint64Array;
  for (let i = 0; i < length; i++) {
    const value = random.uniform(i) < 0.5 ? 0 : 1;
    data[i] = isBig ? BigInt(value) : value;
  }
  return { dtype, dims, data };
}

/** Joins batches of one along their first dimension. */
function joined(samples: readonly TensorLike[]): TensorLike {
  const { dtype, dims } = samples[0]!;
  const all = [samples.length, ...dims.slice(1)];
  if (dtype === 'string') return { dtype, dims: all, data: samples.flatMap(({ data }) => data as string[]) };
  const data = allocate(dtype, elementCount(all));
  samples.forEach((sample, i) => data.set(sample.data as never, i * elementCount(dims)));
  return { dtype, dims: all, data };
}

function rowOf({ dtype, dims, data }: TensorData, index: number): TensorData {
  const own = [1, ...dims.slice(1)];
  const length = elementCount(own);
  return tensor(dtype, own, data.subarray(index * length, (index + 1) * length) as never);
}
