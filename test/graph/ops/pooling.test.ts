import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder, op } from '../../../lib/graph/index.js';
import { describeTable, expectGraphError, nodesOf } from '../support.js';

describeTable<op.MaxPoolOptions>('maxPool', (g, [x], options) => op.maxPool(g, x!, options));
describeTable('globalAveragePool', (g, [x]) => op.globalAveragePool(g, x!));

function setUp() {
  const g = new GraphBuilder('test');
  return { g, x: g.input('x', 'float32', ['N', 4, 'H', 8]) };
}

describe('maxPool', () => {
  it("writes every attribute, with ONNX's strides of 1", () => {
    const { g, x } = setUp();
    const [node] = nodesOf(g, op.maxPool(g, x, { kernelShape: [2, 3], pads: [0, 1, 1, 1], ceilMode: true }));
    expect(node).to.deep.include({ opType: 'MaxPool', inputs: [x] });
    expect(node!.attributes).to.deep.equal({
      kernel_shape: { type: 'INTS', value: [2, 3] },
      strides: { type: 'INTS', value: [1, 1] },
      pads: { type: 'INTS', value: [0, 1, 1, 1] },
      dilations: { type: 'INTS', value: [1, 1] },
      ceil_mode: { type: 'INT', value: 1 },
    });
  });

  it('halves a name', () => {
    const { g, x } = setUp();
    const options = { kernelShape: [2, 2], strides: [2, 2] };
    expect(op.maxPool(g, x, options).shape).to.deep.equal(['N', 4, 'floor(H/2)', 4]);
    expect(op.maxPool(g, x, { ...options, ceilMode: true }).shape).to.deep.equal([
      'N',
      4,
      'floor((H-1)/2)+1',
      4,
    ]);
  });

  it('keeps a channel dimension that is a name', () => {
    const g = new GraphBuilder('test');
    const x = g.input('x', 'float32', [1, 'C', 8]);
    expect(op.maxPool(g, x, { kernelShape: [2] }).shape).to.deep.equal([1, 'C', 7]);
  });

  for (const kernelShape of [[2], [2, 2, 2], [0, 2], [1.5, 2], [], undefined!]) {
    it(`refuses kernelShape ${JSON.stringify(kernelShape)}`, () => {
      const { g, x } = setUp();
      expectGraphError(
        () => op.maxPool(g, x, { kernelShape }),
        'INVALID_ATTRIBUTE',
        'kernel shape',
        '[N, 4, H, 8]',
      );
    });
  }

  it('refuses pads that hold a whole window', () => {
    const { g, x } = setUp();
    expectGraphError(
      () => op.maxPool(g, x, { kernelShape: [3, 2], pads: [2, 1, 2, 2] }),
      'INVALID_ATTRIBUTE',
      'pads [2, 1, 2, 2] must be below the kernel [3, 2]',
    );
  });

  it('refuses a rank below 3 and inputs that are no floats', () => {
    const g = new GraphBuilder('test');
    const matrix = g.input('matrix', 'float32', [4, 4]);
    const whole = g.input('whole', 'int64', [1, 4, 4]);
    expectGraphError(() => op.maxPool(g, matrix, { kernelShape: [] }), 'RANK_TOO_LOW', "'matrix' [4, 4]");
    expectGraphError(() => op.maxPool(g, whole, { kernelShape: [2] }), 'INVALID_DTYPE', "'whole' [1, 4, 4]");
    expectGraphError(() => op.maxPool(g, undefined!, { kernelShape: [2] }), 'MISSING_VALUE');
  });
});

describe('globalAveragePool', () => {
  it('leaves 1 of names and numbers alike', () => {
    const { g, x } = setUp();
    const y = op.globalAveragePool(g, x);
    expect(y.shape).to.deep.equal(['N', 4, 1, 1]);
    expect(nodesOf(g, y)[0]).to.deep.include({ opType: 'GlobalAveragePool', attributes: {} });
  });

  it('refuses a rank below 3', () => {
    const g = new GraphBuilder('test');
    const x = g.input('x', 'float32', ['N', 4]);
    expectGraphError(() => op.globalAveragePool(g, x), 'RANK_TOO_LOW', "'x' [N, 4]");
  });

  it('refuses inputs that are no floats, and a missing one', () => {
    const g = new GraphBuilder('test');
    const whole = g.input('whole', 'int64', [1, 4, 4]);
    expectGraphError(() => op.globalAveragePool(g, whole), 'INVALID_DTYPE', 'int64');
    expectGraphError(() => op.globalAveragePool(g, undefined!), 'MISSING_VALUE', 'GlobalAveragePool: x');
  });
});
