import { expect } from 'chai';
import { describe, it } from 'mocha';
import { toChannelsFirst } from '../../lib/images/resample.js';
import { readScores, scaleScores } from '../../lib/images/scores.js';
import { stack } from '../../lib/tensor-functions.js';
import { elementCount, tensor } from '../../lib/tensor.js';

const counted = (...dims: number[]) =>
  tensor(
    'float32',
    dims,
    Float32Array.from({ length: elementCount(dims) }, (_, i) => i),
  );

describe('images/scores', () => {
  const read = (dims: number[], size: [number, number], channelsLast = false) =>
    readScores(counted(...dims), size, channelsLast);

  it('readScores takes channels first, and channels last as channels first', () => {
    expect(read([1, 2, 4, 6], [4, 6])).to.deep.equal(counted(1, 2, 4, 6));
    expect(read([1, 1, 2, 3], [1, 2])!).to.deep.equal(
      tensor('float32', [1, 3, 1, 2], Float32Array.of(0, 3, 1, 4, 2, 5)),
    );
  });

  it('readScores decides by the layout of the input where an output fits both layouts', () => {
    expect(read([1, 4, 4, 4], [4, 4])).to.deep.equal(counted(1, 4, 4, 4));
    expect(read([1, 4, 4, 4], [4, 4], true)).to.deep.equal(stack([toChannelsFirst(counted(4, 4, 4))]));
  });

  it('readScores takes one value per pixel without an axis for classes', () => {
    for (const dims of [
      [4, 6],
      [1, 4, 6],
    ]) {
      expect(read(dims, [4, 6])).to.deep.equal(counted(1, 1, 4, 6));
    }
  });

  it('readScores takes a fraction of the size, rounded down or up, and no other size', () => {
    for (const size of [
      [2, 3],
      [3, 4],
      [2, 4],
    ] as const) {
      expect(read([1, 2, ...size], [10, 15])?.dims, size.join()).to.deep.equal([1, 2, ...size]);
    }
    for (const size of [
      [2, 5],
      [8, 15],
      [20, 30],
      [0, 15],
    ] as const) {
      expect(read([1, 2, ...size], [10, 15]), size.join()).to.be.undefined;
    }
    expect(read([2, 2, 4, 6], [4, 6])).to.be.undefined;
    expect(read([1, 2, 4, 6, 1], [4, 6])).to.be.undefined;
  });

  it('scaleScores scales scores as float32, and class indices to the nearest', () => {
    const halves = scaleScores(tensor('uint8', [1, 2, 1, 2], Uint8Array.of(0, 4, 8, 8)), [1, 4]);
    expect(halves).to.deep.equal(tensor('float32', [1, 2, 1, 4], Float32Array.of(0, 1, 3, 4, 8, 8, 8, 8)));
    const indices = scaleScores(tensor('int64', [1, 1, 1, 2], BigInt64Array.of(0n, 7n)), [1, 4]);
    expect(indices).to.deep.equal(tensor('int64', [1, 1, 1, 4], BigInt64Array.of(0n, 0n, 7n, 7n)));
  });
});
