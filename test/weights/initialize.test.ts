import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder } from '../../lib/graph/builder.js';
import * as op from '../../lib/graph/ops/index.js';
import { toFloat64Array } from '../../lib/half.js';
import { encodeModel } from '../../lib/onnx/encode.js';
import { createSession } from '../../lib/runtime/node.js';
import { DTYPES, tensor } from '../../lib/tensor.js';
import { initializeWeights } from '../../lib/weights/initialize.js';

function makeGraph() {
  const g = new GraphBuilder('net');
  g.parameter('norm.weight', { dtype: 'float32', shape: [3], init: 'ones' });
  g.parameter('norm.bias', { dtype: 'float32', shape: [3], init: 'zeros' });
  g.parameter('conv.weight', { dtype: 'float32', shape: [100, 100], init: { uniform: 0.25 } });
  g.parameter('conv2.weight', { dtype: 'float32', shape: [100, 100], init: { uniform: 0.25 } });
  g.output('y', op.relu(g, g.input('x', 'float32', [1])));
  return g.build();
}

const values = (name: string, seed?: number): number[] => [
  ...(initializeWeights(makeGraph(), seed).get(name)!.data as Float32Array),
];

describe('initialising weights', () => {
  it('initializeWeights fills a norm as PyTorch does: weight 1, bias 0', () => {
    expect([values('norm.weight'), values('norm.bias')]).to.deep.equal([
      [1, 1, 1],
      [0, 0, 0],
    ]);
  });

  it('initializeWeights fills every dtype with zeros or ones', () => {
    for (const dtype of DTYPES) {
      const g = new GraphBuilder('net');
      for (const init of ['ones', 'zeros'] as const) g.parameter(init, { dtype, shape: [2], init });
      g.output('y', op.relu(g, g.input('x', 'float32', [1])));
      const filled = initializeWeights(g.build());
      for (const [name, value] of [
        ['ones', 1],
        ['zeros', 0],
      ] as const) {
        expect(filled.get(name)).to.include({ dtype });
        expect([...toFloat64Array(filled.get(name)!)]).to.deep.equal([value, value]);
      }
    }
  });

  it('initializeWeights makes integers that go into a model, and through a run', async () => {
    const g = new GraphBuilder('net');
    const offset = g.parameter('offset', { dtype: 'int64', shape: [2], init: 'ones' });
    g.output('y', op.add(g, g.input('x', 'int64', [2]), offset));
    const session = await createSession(encodeModel(g.build(), initializeWeights(g.build())));
    const { y } = await session.run({ x: tensor('int64', [2], BigInt64Array.of(2n ** 60n, -1n)) });
    await session.dispose();
    expect([...(y!.data as BigInt64Array)]).to.deep.equal([2n ** 60n + 1n, 0n]);
  });

  it('initializeWeights draws uniformly between the bounds', () => {
    const drawn = values('conv.weight');
    const mean = drawn.reduce((a, b) => a + b) / drawn.length;
    const variance = drawn.reduce((a, b) => a + (b - mean) ** 2, 0) / drawn.length;
    expect(Math.max(...drawn.map(Math.abs))).to.be.within(0.249, 0.25);
    // A uniform variable in ±0.25 has variance 0.25²/3; over 10,000 draws both figures are within 4 standard errors.
    expect(mean).to.be.within(-0.006, 0.006);
    expect(variance / (0.25 ** 2 / 3)).to.be.within(0.96, 1.04);
  });

  it('initializeWeights draws the same for the same seed, and other numbers for another seed or another name', () => {
    expect(values('conv.weight', 7)).to.deep.equal(values('conv.weight', 7));
    expect(values('conv.weight', 7)).to.not.deep.equal(values('conv.weight', 8));
    expect(values('conv.weight', 7)).to.not.deep.equal(values('conv2.weight', 7));
  });
});
