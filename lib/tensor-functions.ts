/** Functions on tensors that callers of a session need before and after a run, with PyTorch's names and results. */
import { TensorError } from './errors.js';
import { toFloat64Array } from './half.js';
import {
  allocate,
  checkedTensor,
  type DType,
  elementCount,
  formatShape,
  fromStart,
  tensor,
  type TensorData,
} from './tensor.js';

/**
 * Joins tensors of one dtype and the same sizes along a new axis, as `torch.stack`: images (C, H, W) become a batch
 * (N, C, H, W).
 * @param axis Where the new axis stands among those of the result; a negative axis counts from the end. Default 0.
 * @throws TensorError `TENSOR_INVALID` if there is no tensor, if the tensors differ in dtype or sizes, or if the result
 *   does not have the axis.
 */
export function stack<D extends DType>(tensors: readonly TensorData<D>[], axis = 0): TensorData<D> {
  if (!Array.isArray(tensors) || tensors.length === 0) {
    throw invalid('stack takes a list of at least one tensor: stack([image])');
  }
  const list = (tensors as readonly TensorData[]).map(checkedTensor);
  const [first, ...others] = list;
  const { dtype, dims } = first!;
  const type = (value: TensorData): string => `${value.dtype} ${formatShape(value.dims)}`;
  const odd = others.findIndex((value) => type(value) !== type(first!));
  if (odd >= 0) {
    const differ = `tensor 0 is ${type(first!)}, but tensor ${odd + 1} is ${type(others[odd]!)}`;
    throw invalid(`stack: ${differ}; all must have the same dtype and dims`);
  }
  const at = axisOf('stack', axis, dims.length + 1);
  const data = allocate(dtype, list.length * elementCount(dims));
  // The elements behind the new axis lie together in each tensor.
  const length = elementCount(dims.slice(at));
  for (const [i, value] of list.entries()) {
    for (
      let from = 0, to = i * length;
      from < value.data.length;
      from += length, to += list.length * length
    ) {
      data.set(value.data.subarray(from, from + length) as never, to);
    }
  }
  return tensor<DType>(dtype, [...dims.slice(0, at), list.length, ...dims.slice(at)], data) as TensorData<D>;
}

/**
 * Returns the index of the largest element along an axis, as `torch.argmax`: of equal elements the first, and NaN is
 * larger than any number.
 * @param values Elements of any dtype.
 * @param axis The axis to look along; a negative axis counts from the end. The result does not have it: the classes of
 *   scores (N, classes, H, W) along axis 1 are (N, H, W).
 * @throws TensorError `TENSOR_INVALID` if `values` is not a tensor or does not have the axis, or if the axis has no
 *   elements.
 */
export function argmax(values: TensorData, axis: number): TensorData<'int64'> {
  const { dtype, dims, data } = checkedTensor(values);
  // Not all as float64, which would round int64.
  const numbers = dtype === 'float16' || dtype === 'bfloat16' ? toFloat64Array(values) : data;
  const at = axisOf('argmax', axis, dims.length);
  const count = dims[at]!;
  if (count === 0) throw invalid(`argmax: axis ${axis} of ${formatShape(dims)} has no elements`);
  const step = elementCount(dims.slice(at + 1));
  const rest = dims.filter((_, i) => i !== at);
  const indices = new BigInt64Array(elementCount(rest));
  for (let start = 0, to = 0; to < indices.length; start += count * step, to += step) {
    // The elements of one index lie together, so they are compared with the largest so far row by row.
    const largest = numbers.slice(start, start + step);
    for (let index = 1; index < count; index++) {
      const row = start + index * step;
      for (let i = 0; i < step; i++) {
        const value = numbers[row + i]!;
        const best = largest[i]!;
        if (value > best || (value !== value && best === best)) {
          largest[i] = value;
          indices[to + i] = BigInt(index);
        }
      }
    }
  }
  return tensor('int64', rest, indices);
}

/** Returns an axis of a tensor of `rank` dimensions, counted from the start. */
function axisOf(where: string, axis: number, rank: number): number {
  const at = fromStart(axis, rank);
  if (Number.isInteger(at) && at >= 0 && at < rank) return at;
  const allowed = rank === 0 ? 'a scalar has no axis' : `allowed: ${-rank} to ${rank - 1}`;
  throw invalid(`${where}: axis ${String(axis)} is not an axis of ${rank} dimensions; ${allowed}`);
}

const invalid = (message: string): TensorError => new TensorError('TENSOR_INVALID', message);
