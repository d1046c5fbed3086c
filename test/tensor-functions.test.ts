import { expect } from 'chai';
import { describe, it } from 'mocha';
import { TensorError } from '../lib/errors.js';
import { castTensor } from '../lib/half.js';
import { argmax, stack } from '../lib/tensor-functions.js';
import { allocate, DTYPES, tensor, type TensorData } from '../lib/tensor.js';

const float32 = (dims: number[], ...values: number[]) => tensor('float32', dims, Float32Array.from(values));

// The expected values are those of torch 2.13.
describe('stack', () => {
  const a = tensor('int32', [2, 3], Int32Array.of(0, 1, 2, 3, 4, 5));
  const b = tensor('int32', [2, 3], Int32Array.of(10, 11, 12, 13, 14, 15));

  it('stack joins tensors along a new axis, the first if no other is named', () => {
    const stacked = stack([a, b]);
    expect(stacked.dims).to.deep.equal([2, 2, 3]);
    expect([...stacked.data]).to.deep.equal([0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15]);
    expect(stack([a, b], 1)).to.deep.include({
      dims: [2, 2, 3],
      data: Int32Array.of(0, 1, 2, 10, 11, 12, 3, 4, 5, 13, 14, 15),
    });
    const last = { dims: [2, 3, 2], data: Int32Array.of(0, 10, 1, 11, 2, 12, 3, 13, 4, 14, 5, 15) };
    for (const axis of [2, -1]) expect(stack([a, b], axis)).to.deep.include(last);
  });

  it('stack takes every dtype, scalars and empty tensors, and copies', () => {
    for (const dtype of DTYPES) {
      expect(stack([tensor<typeof dtype>(dtype, [2], allocate(dtype, 2))]).dims, dtype).to.deep.equal([1, 2]);
    }
    expect(stack([float32([], 1), float32([], 2)])).to.deep.equal(float32([2], 1, 2));
    expect(stack([float32([0, 3]), float32([0, 3])]).dims).to.deep.equal([2, 0, 3]);
    expect(stack([a]).data).to.not.equal(a.data);
  });

  it('stack knows the dtype of its result in the types', () => {
    stack([a, b]).data satisfies Int32Array;
    // @ts-expect-error: the elements are int32.
    stack([a, b]).data satisfies Float32Array;
  });

  it('stack refuses tensors that differ, no tensor, and an axis that the result does not have', () => {
    const wrong: [readonly TensorData[], number | undefined, string][] = [
      [[], undefined, 'at least one tensor'],
      [a as never, undefined, 'a list of at least one tensor'],
      [
        [a, b, float32([2, 3], 0, 0, 0, 0, 0, 0)],
        0,
        'tensor 0 is int32 [2, 3], but tensor 2 is float32 [2, 3]',
      ],
      [[a, tensor('int32', [3, 2], a.data)], 0, 'but tensor 1 is int32 [3, 2]'],
      [[a, 5 as never], 0, '5 is not a tensor'],
      [[a], 3, 'axis 3 is not an axis of 3 dimensions; allowed: -3 to 2'],
      [[a], 0.5, 'axis 0.5'],
    ];
    for (const [tensors, axis, message] of wrong) {
      expect(() => stack(tensors, axis))
        .to.throw(TensorError, message)
        .with.property('code', 'TENSOR_INVALID');
    }
  });
});

describe('argmax', () => {
  const indices = (values: TensorData, axis: number) => [...argmax(values, axis).data].map(Number);

  it('argmax gives the first of equal elements, and NaN is larger than any number', () => {
    const x = float32([3, 3], 1, 3, 3, NaN, 5, NaN, -Infinity, -Infinity, -1e30);
    expect(indices(x, 1)).to.deep.equal([1, 0, 2]);
    expect(indices(x, -1)).to.deep.equal([1, 0, 2]);
    expect(indices(x, 0)).to.deep.equal([1, 1, 1]);
  });

  it('argmax gives an int64 tensor without the axis', () => {
    const x = tensor(
      'uint8',
      [2, 3, 4],
      Uint8Array.from({ length: 24 }, (_, i) => i % 7),
    );
    expect(argmax(x, 1)).to.deep.equal(
      tensor('int64', [2, 4], BigInt64Array.of(1n, 1n, 1n, 2n, 2n, 0n, 1n, 1n)),
    );
    expect(argmax(x, 0).dims).to.deep.equal([3, 4]);
    expect(argmax(float32([1], 7), 0)).to.deep.equal(tensor('int64', [], BigInt64Array.of(0n)));
    expect(argmax(float32([0, 2]), 1).dims).to.deep.equal([0]);
  });

  it('argmax compares int64 beyond 2^53 exactly, and float16 and bfloat16 by their values', () => {
    expect(
      indices(tensor('int64', [3], BigInt64Array.of(2n ** 53n, 2n ** 53n + 1n, 2n ** 53n + 1n)), 0),
    ).to.eql([1]);
    for (const dtype of ['float16', 'bfloat16'] as const) {
      expect(indices(castTensor(float32([4], -2, -1, 0.5, 0.25), dtype), 0), dtype).to.eql([2]);
      expect(indices(castTensor(float32([3], 1, NaN, Infinity), dtype), 0), dtype).to.eql([1]);
    }
  });

  it('argmax refuses an axis that the tensor does not have, and an axis without elements', () => {
    const wrong: [TensorData, number, string][] = [
      [float32([2], 1, 2), 1, 'argmax: axis 1 is not an axis of 1 dimensions; allowed: -1 to 0'],
      [float32([2], 1, 2), undefined as never, 'axis undefined'],
      [float32([], 1), 0, 'a scalar has no axis'],
      [float32([2, 0]), 1, 'argmax: axis 1 of [2, 0] has no elements'],
      [[1, 2] as never, 0, 'unknown dtype'],
    ];
    for (const [values, axis, message] of wrong) {
      expect(() => argmax(values, axis))
        .to.throw(TensorError, message)
        .with.property('code', 'TENSOR_INVALID');
    }
  });
});
