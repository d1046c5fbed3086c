import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder } from '../../lib/graph/builder.js';
import { keepIo } from '../../lib/graph/keep-io.js';
import * as op from '../../lib/graph/ops/index.js';
import { castTensor } from '../../lib/half.js';
import { encodeModel } from '../../lib/onnx/encode.js';
import { createSession } from '../../lib/runtime/node.js';
import { randomTensor } from '../support/group-norm.js';

function halfGraph() {
  const g = new GraphBuilder('half');
  const weight = g.parameter('weight', { dtype: 'float16', shape: [4], init: 'ones' });
  const x = g.input('x', 'float16', ['N', 4, 'L']);
  const hidden = op.groupNormalization(g, x, weight, undefined, { numGroups: 2 });
  g.output('y', op.relu(g, hidden));
  g.output('hidden', hidden);
  return g.build();
}
const WEIGHTS = new Map([['weight', randomTensor('float16', [4])]]);

describe('keeping inputs and outputs in float32', () => {
  it('keepIo changes the dtype of inputs and outputs, and neither their names nor the dtype of the weights', () => {
    const kept = keepIo(halfGraph(), 'float32');
    expect([...kept.inputs, ...kept.outputs].map(({ name, dtype }) => [name, dtype])).to.deep.equal([
      ['x', 'float32'],
      ['y', 'float32'],
      ['hidden', 'float32'],
    ]);
    expect(kept.parameters[0]!.dtype).to.equal('float16');
  });

  it("keepIo keeps the float16 model's results for an input that float16 can hold", async () => {
    const x = randomTensor('float16', [2, 4, 9]);
    const half = await createSession(encodeModel(halfGraph(), WEIGHTS));
    const kept = await createSession(encodeModel(keepIo(halfGraph(), 'float32'), WEIGHTS));
    const expected = await half.run({ x });
    const actual = await kept.run({ x: castTensor(x, 'float32') });
    for (const name of ['y', 'hidden'])
      expect(actual[name]).to.deep.equal(castTensor(expected[name]!, 'float32'));
    await Promise.all([half.dispose(), kept.dispose()]);
  });

  it('keepIo does not change a float32 graph', () => {
    const g = new GraphBuilder('single');
    g.output('y', op.relu(g, g.input('x', 'float32', [2])));
    expect(keepIo(g.build(), 'float32')).to.deep.equal(g.build());
  });
});
