import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphError } from '../../lib/errors.js';
import { GraphBuilder } from '../../lib/graph/builder.js';
import * as op from '../../lib/graph/ops/index.js';
import { castTensor } from '../../lib/half.js';
import { type FloatDType, tensor } from '../../lib/tensor.js';
import { counterWeights } from '../../lib/weights/counter.js';

function graph(dtype: FloatDType) {
  const g = new GraphBuilder('sample');
  g.scope('conv').parameter('weight', { dtype, shape: [2, 3, 1, 1] });
  const norm = g.scope('norm');
  for (const name of ['weight', 'bias']) norm.parameter(name, { dtype, shape: [3] });
  g.output('y', op.relu(g, g.input('x', dtype, [1])));
  return g.build();
}

/** What scripts/fixtures/values.py gives for seed 7: `counter_values(name, shape, 7)`, in float64. */
const FROM_PYTHON = new Map([
  [
    'conv.weight',
    [
      -0.6734628137201071, 0.3963363179937005, 0.02437422936782241, -0.8977084499783814, 0.5292934537865222,
      0.6574704139493406,
    ],
  ],
  ['norm.weight', [0.6406953656114638, 0.9446769161149859, 0.5109806968830526]],
  ['norm.bias', [0.012997619202360512, 0.08695770548656584, 0.07912945873104037]],
]);

describe('weights/counter', () => {
  it('counterWeights refuses parameters that are not floats', () => {
    const g = new GraphBuilder('sample');
    g.parameter('idx', { dtype: 'int64', shape: [2] });
    g.output('y', op.relu(g, g.input('x', 'float32', [1])));
    expect(() => counterWeights(g.build(), 7))
      .to.throw(GraphError, "counterWeights: parameter 'idx' is int64")
      .with.property('code', 'INVALID_DTYPE');
  });

  for (const dtype of ['float64', 'float32', 'float16', 'bfloat16'] as const) {
    it(`counterWeights gives the numbers that Python makes, rounded once to ${dtype}`, () => {
      const weights = counterWeights(graph(dtype), 7);
      expect([...weights.keys()]).to.deep.equal([...FROM_PYTHON.keys()]);
      for (const [name, values] of FROM_PYTHON) {
        const exact = tensor('float64', [values.length], Float64Array.from(values));
        expect([...weights.get(name)!.data], name).to.deep.equal([...castTensor(exact, dtype).data]);
      }
    });
  }

  it('counterWeights depends on the seed', () => {
    const [a, b] = [7, 8].map((seed) => counterWeights(graph('float64'), seed).get('norm.bias')!.data);
    expect([...a!]).not.to.deep.equal([...b!]);
  });
});
