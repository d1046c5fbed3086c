import { expect, use } from 'chai';
import { describe, it } from 'mocha';
import onnxMatchers from '../../../lib/chai.js';
import { SessionError } from '../../../lib/errors.js';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import { castTensor } from '../../../lib/half.js';
import { FLOAT_DTYPES, type FloatDType } from '../../../lib/tensor.js';
import { itComputes, listed, runGraph } from '../runs.js';
import { describeTable, expectGraphError, nodesOf } from '../support.js';

use(onnxMatchers);

describeTable<op.GeluOptions>('gelu', (g, [x], options) => op.gelu(g, x!, options));

/** Numbers that every float dtype has. */
const X = [-6, -4.5, -3, -2, -1, -0.5, -0.125, -(2 ** -10), 0, 2 ** -10, 0.125, 0.5, 1, 2, 3, 4.5, 6, 30];

/** `torch.nn.functional.gelu(x, approximate=…)` of X in float64, PyTorch 2.13. */
const FROM_TORCH = {
  none: [
    -5.919525869479969e-9, -1.5289529061324192e-5, -0.00404969409489031, -0.04550026389635842,
    -0.15865525393145702, -0.15426876936299344, -0.056282721896235885, -0.00048790078905392527, 0.0,
    0.0004886617109460747, 0.06871727810376412, 0.34573123063700656, 0.841344746068543, 1.9544997361036416,
    2.99595030590511, 4.4999847104709385, 5.999999994080474, 30.0,
  ],
  tanh: [
    -8.43964897967453e-11, -5.136737411925996e-6, -0.0036373920817729943, -0.04540230591222494,
    -0.1588080093917233, -0.15428599017485606, -0.05628280137577661, -0.00048790078905422456, 0.0,
    0.0004886617109457754, 0.06871719862422339, 0.34571400982514394, 0.8411919906082768, 1.954597694087775,
    2.996362607918227, 4.499994863262588, 5.9999999999156035, 30.0,
  ],
};

describe('gelu', () => {
  for (const approximate of ['none', 'tanh'] as const) {
    itComputes(`gelu gives PyTorch's numbers with approximate ${approximate}`, {
      inputs: [listed([X.length], X)],
      call: (g, [x]) => op.gelu(g, x!, { approximate }),
      expected: () => [[[X.length], FROM_TORCH[approximate]]],
      // ONNX Runtime has no float64 kernel of Erf; bfloat16 is float32 in between.
      dtypes: FLOAT_DTYPES.filter((dtype) => approximate === 'tanh' || dtype !== 'float64'),
      declared: [['N']],
    });

    it(`gelu is within the tolerance at every level of optimisation, with approximate ${approximate}`, async () => {
      const g = new GraphBuilder('test');
      g.output('y', op.gelu(g, g.input('x0', 'float32', ['N']), { approximate }));
      const x = castTensor(listed([X.length], X), 'float32');
      const expected = castTensor(listed([X.length], FROM_TORCH[approximate]), 'float32');
      for (const graphOptimizationLevel of ['disabled', 'basic', 'extended', 'all'] as const) {
        const [y] = await runGraph(g.build(), [x], 21, { graphOptimizationLevel });
        expect(y, graphOptimizationLevel).to.matchTensor(expected);
      }
    });
  }

  it('gelu in float64 fails with a SessionError, because ONNX Runtime has no float64 Erf', async () => {
    const g = new GraphBuilder('test');
    g.output('y', op.gelu(g, g.input('x0', 'float64', ['N'])));
    const error: unknown = await runGraph(g.build(), [listed([1], [1])], 21).catch(
      (caught: unknown) => caught,
    );
    expect(error).to.be.instanceOf(SessionError).and.have.property('code').that.is.oneOf(['MODEL_REJECTED', 'PROVIDER_UNAVAILABLE']); // prettier-ignore
  });

  it('gelu uses operators of every opset, and computes narrow floats in float32', () => {
    const types = (dtype: FloatDType, options?: op.GeluOptions) => {
      const g = new GraphBuilder('test');
      const y = op.gelu(g, g.input('x', dtype, ['N', 3]), options);
      expect(y).to.deep.include({ dtype, shape: ['N', 3] });
      return nodesOf(g, y).map(({ opType }) => opType);
    };
    const body = ['Div', 'Erf', 'Add', 'Mul', 'Mul'];
    expect(types('float32')).to.deep.equal(body);
    expect(types('float16')).to.deep.equal(['Cast', ...body, 'Cast']);
    expect(types('float64', { approximate: 'tanh' }))
      .to.include('Tanh')
      .and.not.include('Erf');
  });

  it('gelu refuses an input that is not a float or not a value, and an unknown approximation', () => {
    const g = new GraphBuilder('test');
    const x = g.input('x', 'float32', ['N']);
    expectGraphError(() => op.gelu(g, g.input('i', 'int64', ['N'])), 'INVALID_DTYPE', 'Gelu', 'int64');
    expectGraphError(() => op.gelu(g, undefined!), 'MISSING_VALUE', 'Gelu: x');
    expectGraphError(
      () => op.gelu(g, x, { approximate: 'erf' as never }),
      'INVALID_ATTRIBUTE',
      "approximate 'erf' is not one of none, tanh",
    );
  });
});
