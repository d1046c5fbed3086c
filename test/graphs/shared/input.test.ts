import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { InputType } from '../../../graphs/shared/definition.js';
import { declareInputs, imageInput, type SizeRule } from '../../../graphs/shared/input.js';
import { GraphError, OptionError } from '../../../lib/errors.js';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import type { Shape } from '../../../lib/tensor.js';

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
        .to.throw(GraphError, 'must be [N, 3, H, W]: of rank 4, with 3 at axis 1')
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

/** The inputs of a denoising network, with class labels or without. */
const declare = (shape?: InputType['shape'], withLabels = true) =>
  declareInputs(
    new GraphBuilder('net'),
    { dtype: 'float16', shape },
    {
      sample: { layout: ['N', 4, 'H', 'W'], sizes: HALVED },
      timestep: { layout: ['N'], dtype: 'int64' },
      context: { layout: ['N', 'L', 8] },
      labels: withLabels ? { layout: ['N'], dtype: 'int64' } : undefined,
    },
  );
const shapesOf = (values: ReturnType<typeof declare>) =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, value?.shape]));

describe('declareInputs', () => {
  it('declareInputs declares each input by its layout, and leaves out those that are undefined', () => {
    expect(shapesOf(declare())).to.deep.equal({
      sample: ['N', 4, 'H', 'W'],
      timestep: ['N'],
      context: ['N', 'L', 8],
      labels: ['N'],
    });
    expect([declare().sample.dtype, declare().timestep.dtype]).to.deep.equal(['float16', 'int64']);
    expect(declare(undefined, false).labels).to.be.undefined;
  });

  it('a shape is that of the first input, and its sizes hold in all inputs', () => {
    expect(shapesOf(declare([2, 4, 8, 'W'], false))).to.deep.equal({
      sample: [2, 4, 8, 'W'],
      timestep: [2],
      context: [2, 'L', 8],
    });
  });

  it('shapes by name are those of these inputs, and their sizes hold in all inputs', () => {
    expect(shapesOf(declare({ context: ['B', 77, 8] }))).to.deep.equal({
      sample: ['B', 4, 'H', 'W'],
      timestep: ['B'],
      context: ['B', 77, 8],
      labels: ['B'],
    });
  });

  it('declareInputs refuses an unknown input, and shapes that contradict each other or the layout', () => {
    expect(() => declare({ smaple: [1] })).to.throw(
      OptionError,
      "has no option 'smaple': did you mean 'sample'?",
    );
    expect(() => declare({ sample: [1, 4, 8, 8], timestep: [2] }))
      .to.throw(GraphError, "the input 'timestep' [2] has N 2, but the input 'sample' has N 1")
      .with.property('code', 'SHAPE_MISMATCH');
    expect(() => declare({ context: [1, 77, 9] })).to.throw(
      GraphError,
      "the input 'context' [1, 77, 9] must be [N, L, 8]: of rank 3, with 8 at axis 2",
    );
    expect(() => declare({ sample: [1, 4, 6, 8] })).to.throw(GraphError, "'sample' [1, 4, 6, 8] has H 6");
    expect(() => declare({ timestep: null as never }))
      .to.throw(GraphError, "the input 'timestep': shape null")
      .with.property('code', 'INVALID_SHAPE');
  });
});
