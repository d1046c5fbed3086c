import { expect } from 'chai';
import { describe, it } from 'mocha';
import { imageInput, type SizeRule } from '../../graphs/input.js';
import { GraphError } from '../../lib/errors.js';
import { GraphBuilder } from '../../lib/graph/builder.js';
import type { Shape } from '../../lib/tensor.js';

const HALVED: SizeRule = { fits: (size) => size % 4 === 0, multiple: 4, reason: 'it is halved twice' };
const input = (shape?: Shape, more: object = {}) =>
  imageInput(new GraphBuilder('net'), { channels: 3, dtype: 'float32', shape, ...more });

describe('graphs/input', () => {
  it('imageInput declares images, or volumes with three spatial dimensions', () => {
    expect([input().name, input().shape]).to.deep.equal(['x', ['N', 3, 'H', 'W']]);
    expect(input(undefined, { dims: 3, dtype: 'float16' })).to.deep.include({
      dtype: 'float16',
      shape: ['N', 3, 'D', 'H', 'W'],
    });
    expect(input([1, 3, 'h', 5]).shape).to.deep.equal([1, 3, 'h', 5]);
  });

  it('imageInput refuses another rank and other channels', () => {
    for (const shape of [[1, 3, 4], [1, 3, 4, 4, 4], [1, 4, 4, 4], [1, 'C', 4, 4], []]) {
      expect(() => input(shape))
        .to.throw(GraphError, 'must be [N, 3, H, W]: of rank 4, with 3 channels')
        .with.property('code', 'SHAPE_MISMATCH');
    }
  });

  it('imageInput refuses a size that does not fit, and names the nearest sizes that fit', () => {
    expect(input([1, 3, 8, 'W'], { sizes: HALVED }).shape).to.deep.equal([1, 3, 8, 'W']);
    const refuses = (shape: Shape, message: string) =>
      expect(() => input(shape, { sizes: HALVED }))
        .to.throw(GraphError, message)
        .with.property('code', 'INVALID_SHAPE');
    refuses(
      [1, 3, 8, 10],
      "'x' [1, 3, 8, 10] has W 10, but it is halved twice; give a multiple of 4, such as 8 or 12",
    );
    refuses([1, 3, 3, 8], 'has H 3, but it is halved twice; give a multiple of 4, such as 4');
  });
});
