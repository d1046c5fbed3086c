import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphError } from '../../../lib/errors.js';
import { GraphBuilder, op } from '../../../lib/graph/index.js';
import { encodeModel } from '../../../lib/onnx/index.js';
import { createSession } from '../../../lib/runtime/index.js';
import { tensor, type Shape } from '../../../lib/tensor.js';

const expandShape = (from: Shape, target: number[]): Shape => {
  const g = new GraphBuilder('expand');
  return op.expand(g, g.input('x', 'float32', from), target).shape;
};

describe('op.expand', () => {
  // numpy.broadcast_shapes
  it('broadcasts as NumPy does', () => {
    expect(expandShape([1], [4])).to.deep.equal([4]);
    expect(expandShape([3, 1], [2, 1, 6])).to.deep.equal([2, 3, 6]);
    expect(expandShape(['N', 1], [1, 5])).to.deep.equal(['N', 5]);
    expect(() => expandShape([3], [2]))
      .to.throw(GraphError, 'does not broadcast')
      .with.property('code', 'SHAPE_MISMATCH');
  });

  it('takes a target that is known at run time, whose shape must be declared', () => {
    const g = new GraphBuilder('expand');
    const x = g.input('x', 'float32', [1]);
    const target = g.input('target', 'int64', [1]);
    expect(() => op.expand(g, x, target))
      .to.throw(GraphError, 'give outputShape')
      .with.property('code', 'INVALID_SHAPE');
    expect(() => op.expand(g, x, g.input('f', 'float32', [1]), { outputShape: ['K'] })).to.throw(
      GraphError,
      'int64 vector',
    );
    expect(op.expand(g, x, target, { outputShape: ['K'] }).shape).to.deep.equal(['K']);
  });

  it('runs', async () => {
    const g = new GraphBuilder('expand');
    g.output('y', op.expand(g, g.input('x', 'float32', [2, 1]), [2, 3]));
    const session = await createSession(encodeModel(g.build(), new Map()));
    const { y } = await session.run({ x: tensor('float32', [2, 1], Float32Array.of(1, 2)) });
    expect([...(y!.data as Float32Array)]).to.deep.equal([1, 1, 1, 2, 2, 2]);
    await session.dispose();
  });
});
