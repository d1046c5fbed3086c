/** Inputs of random numbers. */
import { setImmediate } from 'node:timers/promises';
import { castTensor } from '../half.js';
import type { TensorInfo } from '../runtime/index.js';
import {
  allocate,
  bytesPerElement,
  elementCount,
  formatShape,
  isFloatDType,
  tensor,
  type ElementArray,
  type FloatDType,
  type TensorData,
} from '../tensor.js';
import { Random } from '../weights/random.js';
import { formatBytes } from './format.js';
import type { Progress } from './progress.js';
import { UsageError } from './usage-error.js';

/** From there on the generator, which takes two of 2³² positions for each number, would repeat itself. */
const MAX_ELEMENTS = 2 ** 31 - 1;

/** Elements that are made at once: some milliseconds, between which a spinner turns and Ctrl+C is heard. */
const CHUNK = 2 ** 17;

/**
 * Standard normal numbers in the input's dtype; the same seed gives the same ones.
 * @throws UsageError if the input takes no floats, or has more elements than can be made.
 */
export async function randomTensor(
  info: TensorInfo,
  dims: readonly number[],
  seed: number,
  progress?: Progress,
): Promise<TensorData> {
  const { name } = info;
  const dtype = requireFloat(info);
  const data = makeRoom(info, dims);
  const random = new Random(seed, name);
  for (let start = 0; start < data.length; start += CHUNK) {
    progress?.step(`random input ${name}, ${Math.floor((100 * start) / data.length)} %`);
    fill(data.subarray(start, start + CHUNK), dtype, (i) => random.normal(start + i));
    await setImmediate();
  }
  return tensor(dtype, dims, data);
}

function fill(part: ElementArray, dtype: FloatDType, numberAt: (i: number) => number): void {
  const wide = new Float64Array(part.length);
  for (let i = 0; i < wide.length; i++) wide[i] = numberAt(i);
  (part as Float64Array).set(castTensor(tensor('float64', [wide.length], wide), dtype).data as Float64Array);
}

function requireFloat({ name, dtype }: TensorInfo): FloatDType {
  if (isFloatDType(dtype)) return dtype;
  throw new UsageError(
    `input '${name}' is ${dtype}; random numbers are floats: give it a file, --input ${name}=FILE.npy`,
  );
}

function makeRoom({ name, dtype }: TensorInfo, dims: readonly number[]): ElementArray {
  const elements = elementCount(dims);
  const size = `${elements} elements, ${formatBytes(elements * bytesPerElement(dtype))} of ${dtype}`;
  const would = `random input '${name}' ${formatShape(dims)} would have ${size}`;
  if (elements > MAX_ELEMENTS) throw new UsageError(`${would}; allowed: at most ${MAX_ELEMENTS} elements`);
  try {
    return allocate(dtype, elements);
  } catch (cause) {
    throw new UsageError(`${would}, which do not fit in memory`, { cause });
  }
}
