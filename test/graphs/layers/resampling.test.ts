import { expect } from 'chai';
import { describe, it } from 'mocha';
import { maxPool, upsampleNearest } from '../../../graphs/layers/resampling.js';
import { GraphError } from '../../../lib/errors.js';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import type { Value } from '../../../lib/graph/types.js';
import { type Shape, tensor } from '../../../lib/tensor.js';
import { runGraph } from '../support.js';

function graphOf(shape: Shape, layer: (g: GraphBuilder, x: Value) => Value) {
  const g = new GraphBuilder('test');
  g.output('y', layer(g, g.input('x', 'float32', shape)));
  return g.build();
}

const shapeOf = (shape: Shape, layer: (g: GraphBuilder, x: Value) => Value): Shape =>
  graphOf(shape, layer).outputs[0]!.shape;

describe('maxPool', () => {
  it('layer maxPool has its kernel as default stride, as torch.nn.MaxPool2d does', () => {
    expect(shapeOf([1, 3, 9, 8], (g, x) => maxPool(g, x, { kernelSize: 2 }))).to.deep.equal([1, 3, 4, 4]);
  });

  it('layer maxPool takes a stride and a padding, in any number of spatial dimensions', () => {
    const options = { kernelSize: 3, stride: 2, padding: 1 };
    expect(shapeOf([1, 3, 9, 8], (g, x) => maxPool(g, x, options))).to.deep.equal([1, 3, 5, 4]);
    expect(shapeOf([1, 3, 9, 8, 7], (g, x) => maxPool(g, x, options))).to.deep.equal([1, 3, 5, 4, 4]);
  });

  it('layer maxPool refuses a value without spatial dimensions', () => {
    expect(() => shapeOf([1, 3], (g, x) => maxPool(g, x, { kernelSize: 2 }))).to.throw(GraphError, 'rank 2');
  });
});

describe('upsampleNearest', () => {
  for (const opset of [13, 18, 21]) {
    it(`layer upsampleNearest repeats every element, as torch.nn.Upsample(scale_factor=2) does, at opset ${opset}`, async () => {
      const graph = graphOf([1, 1, 'H', 'W'], (g, x) => upsampleNearest(g, x, { scaleFactor: 2 }));
      const { y } = await runGraph(graph, tensor('float32', [1, 1, 1, 3], Float32Array.of(1, 2, 3)), opset);
      expect(y).to.deep.equal(
        tensor('float32', [1, 1, 2, 6], Float32Array.of(1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3)),
      );
    });
  }

  it('layer upsampleNearest takes any number of spatial dimensions, and leaves batch and channels', () => {
    const shape = shapeOf(['N', 3, 'D', 4, 5], (g, x) => upsampleNearest(g, x, { scaleFactor: 3 }));
    expect(shape).to.deep.equal(['N', 3, '3*D', 12, 15]);
  });
});
