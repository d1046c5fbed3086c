import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ulpDistance } from '../../lib/parity/compare.js';
import { type DType, type ElementArray, tensor } from '../../lib/tensor.js';

/** The largest distance of two lists of elements. */
const distance = (dtype: DType, a: ElementArray, b: ElementArray): number =>
  ulpDistance(tensor(dtype, [a.length], a), tensor(dtype, [b.length], b));

const float32 = (a: number, b: number) => distance('float32', Float32Array.of(a), Float32Array.of(b));
const float64 = (a: number, b: number) => distance('float64', Float64Array.of(a), Float64Array.of(b));
const bits = (dtype: 'float16' | 'bfloat16', a: number, b: number) =>
  distance(dtype, Uint16Array.of(a), Uint16Array.of(b));

describe('ulpDistance', () => {
  // In [1, 2) neighbours are 2^-(digits of the significand) apart; 2 has one neighbour below at half that distance.
  it('ulpDistance counts floats across powers of two', () => {
    expect(float32(1, 1 + 2 ** -23)).to.equal(1);
    expect(float32(2, 2 - 2 ** -23)).to.equal(1);
    expect(float32(2 - 2 ** -23, 2 + 2 ** -22)).to.equal(2);
    expect(float64(1, 1 + 5 * 2 ** -52)).to.equal(5);
    expect(float64(1, 2)).to.equal(2 ** 52);
    expect(float32(1, 2)).to.equal(2 ** 23);
    expect(bits('float16', 0x3c00, 0x4000), '1 and 2').to.equal(2 ** 10);
    expect(bits('bfloat16', 0x3f80, 0x4000), '1 and 2').to.equal(2 ** 7);
  });

  it('ulpDistance is the same in both directions, and 0 for equal numbers and for −0 and 0', () => {
    for (const [a, b] of [
      [1, 1.5],
      [-1, 3],
      [0, -0],
      [7, 7],
      [-2, -4],
    ] as const) {
      expect(float32(a, b)).to.equal(float32(b, a));
      expect(float64(a, b)).to.equal(float64(b, a));
    }
    expect([
      float32(0, -0),
      float64(0, -0),
      bits('float16', 0, 0x8000),
      bits('bfloat16', 0, 0x8000),
    ]).to.deep.equal([0, 0, 0, 0]);
  });

  it('ulpDistance from the smallest negative number to the smallest positive one is 2', () => {
    expect(float32(-(2 ** -149), 2 ** -149)).to.equal(2);
    expect(float64(-Number.MIN_VALUE, Number.MIN_VALUE)).to.equal(2);
    expect(bits('float16', 0x8001, 0x0001)).to.equal(2);
    expect(float64(-Number.MIN_VALUE, 0)).to.equal(1);
  });

  it('ulpDistance from the largest number to infinity is 1', () => {
    expect(float32(Infinity, (2 - 2 ** -23) * 2 ** 127)).to.equal(1);
    expect(float64(Infinity, Number.MAX_VALUE)).to.equal(1);
    expect(bits('float16', 0x7c00, 0x7bff)).to.equal(1);
    expect(float32(Infinity, Infinity)).to.equal(0);
  });

  it('ulpDistance between NaNs of any bits is 0, and from NaN to a number infinite', () => {
    expect([float32(NaN, NaN), float64(NaN, NaN), bits('float16', 0x7e00, 0xfe01)]).to.deep.equal([0, 0, 0]);
    for (const other of [0, 1, -Infinity]) {
      expect(float32(NaN, other)).to.equal(Infinity);
      expect(float64(other, NaN)).to.equal(Infinity);
    }
    expect(bits('bfloat16', 0x7fc0, 0x3f80)).to.equal(Infinity);
  });

  it('ulpDistance is the largest of all elements, and 0 without elements', () => {
    expect(distance('float32', Float32Array.of(1, 1, 1), Float32Array.of(1, 1 + 3 * 2 ** -23, 1))).to.equal(
      3,
    );
    expect(distance('float32', new Float32Array(0), new Float32Array(0))).to.equal(0);
  });

  it('ulpDistance of integers and booleans is their difference', () => {
    expect(distance('int8', Int8Array.of(-100), Int8Array.of(100))).to.equal(200);
    expect(distance('int64', BigInt64Array.of(-3n), BigInt64Array.of(4n))).to.equal(7);
    expect(distance('bool', Uint8Array.of(1), Uint8Array.of(0))).to.equal(1);
  });

  it('ulpDistance reads a view into a larger buffer at its offset', () => {
    const buffer = Float32Array.of(9, 1, 2);
    expect(distance('float32', buffer.subarray(1, 2), Float32Array.of(1 + 2 ** -23))).to.equal(1);
  });
});
