import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import { encodeModel } from '../../../lib/onnx/encode.js';
import { createSession } from '../../../lib/runtime/node.js';
import { tensor } from '../../../lib/tensor.js';
import { elementAt, filledBy, itComputes, numbers } from '../runs.js';
import { describeTable, expectGraphError, nodesOf } from '../support.js';

describeTable<op.MaxPoolOptions>('maxPool', (g, [x], options) => op.maxPool(g, x!, options));
describeTable<op.AveragePoolOptions>('averagePool', (g, [x], options) => op.averagePool(g, x!, options));
describeTable('globalAveragePool', (g, [x]) => op.globalAveragePool(g, x!));

function setUp() {
  const g = new GraphBuilder('test');
  return { g, x: g.input('x', 'float32', ['N', 4, 'H', 8]) };
}

describe('maxPool', () => {
  it("maxPool writes every attribute, with ONNX's strides of 1", () => {
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

  it('maxPool halves a name', () => {
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

  it('maxPool keeps a channel dimension that is a name', () => {
    const g = new GraphBuilder('test');
    const x = g.input('x', 'float32', [1, 'C', 8]);
    expect(op.maxPool(g, x, { kernelShape: [2] }).shape).to.deep.equal([1, 'C', 7]);
  });

  for (const kernelShape of [[2], [2, 2, 2], [0, 2], [1.5, 2], [], undefined!]) {
    it(`maxPool refuses kernelShape ${JSON.stringify(kernelShape)}`, () => {
      const { g, x } = setUp();
      expectGraphError(
        () => op.maxPool(g, x, { kernelShape }),
        'INVALID_ATTRIBUTE',
        'kernel shape',
        '[N, 4, H, 8]',
      );
    });
  }

  it("maxPool with autoPad has a place for each stride, and leaves the padding to ONNX's SAME_UPPER", () => {
    const { g, x } = setUp();
    const y = op.maxPool(g, x, { kernelShape: [3, 3], strides: [2, 2], autoPad: 'same_upper' });
    expect(y.shape).to.deep.equal(['N', 4, 'floor((H-1)/2)+1', 4]);
    expect(nodesOf(g, y)[0]!.attributes).to.deep.equal({
      kernel_shape: { type: 'INTS', value: [3, 3] },
      strides: { type: 'INTS', value: [2, 2] },
      auto_pad: { type: 'STRING', value: 'SAME_UPPER' },
    });
  });

  it('maxPool with autoPad refuses pads, dilations, ceilMode and other paddings', () => {
    const { g, x } = setUp();
    for (const more of [{ pads: [0, 0, 1, 1] }, { dilations: [1, 1] }, { ceilMode: false }]) {
      expectGraphError(
        () => op.maxPool(g, x, { kernelShape: [3, 3], autoPad: 'same_upper', ...more }),
        'INVALID_ATTRIBUTE',
        'autoPad chooses the padding',
      );
    }
    const other = { kernelShape: [3, 3], autoPad: 'valid' as 'same_upper' };
    expectGraphError(() => op.maxPool(g, x, other), 'INVALID_ATTRIBUTE', "autoPad 'valid' is not same_upper");
  });

  // TensorFlow's SAME for a window of 3 and stride 2: one −∞ on each side of 5 elements, and behind 4 elements.
  for (const [row, expected] of [
    [
      [-5, -1, -3, -4, -2],
      [-1, -1, -2],
    ],
    [
      [-5, -6, -3, -4],
      [-3, -3],
    ],
  ] as const) {
    itComputes(`maxPool with autoPad pads a row of ${row.length} elements as TensorFlow does`, {
      inputs: [tensor('float64', [1, 1, row.length], Float64Array.from(row))],
      call: (g, [x]) => op.maxPool(g, x!, { kernelShape: [3], strides: [2], autoPad: 'same_upper' }),
      expected: () => [[[1, 1, expected.length], expected]],
      declared: [['N', 1, 'L']],
    });
  }

  it('maxPool refuses pads that can hold a whole window', () => {
    const { g, x } = setUp();
    expectGraphError(
      () => op.maxPool(g, x, { kernelShape: [3, 2], pads: [2, 1, 2, 2] }),
      'INVALID_ATTRIBUTE',
      'pads [2, 1, 2, 2] must be below the kernel [3, 2]',
    );
  });

  it('maxPool refuses a rank below 3 and inputs that are not floats', () => {
    const g = new GraphBuilder('test');
    const matrix = g.input('matrix', 'float32', [4, 4]);
    const whole = g.input('whole', 'int64', [1, 4, 4]);
    expectGraphError(() => op.maxPool(g, matrix, { kernelShape: [] }), 'RANK_TOO_LOW', "'matrix' [4, 4]");
    expectGraphError(() => op.maxPool(g, whole, { kernelShape: [2] }), 'INVALID_DTYPE', "'whole' [1, 4, 4]");
    expectGraphError(() => op.maxPool(g, undefined!, { kernelShape: [2] }), 'MISSING_VALUE');
  });
});

/** The largest element under each window that starts before the row's end, by the definition. */
function pooledRow(row: readonly number[], kernel: number, stride: number, pad: number): number[] {
  const result: number[] = [];
  for (let start = -pad; start < row.length; start += stride) {
    result.push(Math.max(...row.slice(Math.max(start, 0), start + kernel)));
    if (start + kernel >= row.length + pad) break;
  }
  return result;
}

describe('maxPool with ceilMode, where the last window would start behind the end', () => {
  // From torch.nn.functional.max_pool1d(..., ceil_mode=True) of PyTorch 2.13.
  for (const [size, kernel, stride, pad, expected] of [
    [2, 1, 2, 0, 1],
    [6, 1, 2, 0, 3],
    [3, 2, 2, 1, 2],
    [4, 2, 4, 0, 1],
    [5, 2, 3, 1, 2],
    [5, 3, 3, 1, 2],
  ] as const) {
    it(`maxPool with ceilMode makes size ${expected} from ${size} with kernel ${kernel}, stride ${stride} and pads ${pad}, at any opset`, async () => {
      const row = Array.from({ length: size }, (_, i) => -1 - ((i * 5) % size));
      const g = new GraphBuilder('test');
      const x = g.input('x', 'float32', ['N', 1, size]);
      const options = { kernelShape: [kernel], strides: [stride], pads: [pad, pad], ceilMode: true };
      const y = g.output('y', op.maxPool(g, x, options));
      expect(y.shape).to.deep.equal(['N', 1, expected]);
      expect(pooledRow(row, kernel, stride, pad)).to.have.lengthOf(expected);
      // ONNX's inference counts one window more below opset 22: nothing must be left for it to count.
      const { nodes } = g.build();
      expect(nodes[0]!.attributes).to.deep.include({ ceil_mode: { type: 'INT', value: 0 } });
      for (const opset of [13, 22]) {
        const session = await createSession(encodeModel(g.build(), new Map(), { opset }));
        const { y: actual } = await session.run({
          x: tensor('float32', [1, 1, size], Float32Array.from(row)),
        });
        await session.dispose();
        expect([...(actual!.data as Float32Array)]).to.deep.equal(pooledRow(row, kernel, stride, pad));
      }
    });
  }

  it('maxPool with ceilMode pads the ends of other dimensions whose last windows hang over', () => {
    const g = new GraphBuilder('test');
    const x = g.input('x', 'float32', [1, 1, 6, 5]);
    const y = op.maxPool(g, x, { kernelShape: [1, 2], strides: [2, 2], ceilMode: true });
    expect(y.shape).to.deep.equal([1, 1, 3, 3]);
    expect(nodesOf(g, y)[0]!.attributes).to.deep.include({
      pads: { type: 'INTS', value: [0, 0, 0, 1] },
      ceil_mode: { type: 'INT', value: 0 },
    });
  });

  it('maxPool with ceilMode keeps ceil_mode if all sizes are names, and refuses a mix of names and such sizes', () => {
    const g = new GraphBuilder('test');
    const options = { kernelShape: [1, 1], strides: [2, 2], ceilMode: true };
    const named = op.maxPool(g, g.input('named', 'float32', [1, 1, 'H', 'W']), options);
    expect(nodesOf(g, named)[0]!.attributes).to.deep.include({ ceil_mode: { type: 'INT', value: 1 } });
    expectGraphError(
      () => op.maxPool(g, g.input('mixed', 'float32', [1, 1, 'H', 6]), options),
      'INVALID_SHAPE',
      "'mixed' [1, 1, H, 6]",
      'names for all of them',
    );
  });
});

describe('averagePool', () => {
  const DIMS = [2, 3, 5, 6];
  /** The mean under each window of 3×2, stride 2×1, with a row of padding above and one below. */
  const reference = (x: Float64Array, countsPads: boolean) =>
    filledBy([2, 3, 3, 5], (n, c, i, j) => {
      const rows = [0, 1, 2].map((row) => 2 * i + row - 1);
      const inside = rows.filter((row) => row >= 0 && row < 5);
      const values = inside.flatMap((row) =>
        [0, 1].map((column) => elementAt(x, DIMS, n, c, row, j + column)),
      );
      return values.reduce((sum, value) => sum + value, 0) / (countsPads ? 6 : values.length);
    });

  for (const countIncludePad of [false, true]) {
    itComputes(`averagePool ${countIncludePad ? 'counts padding as zeros' : 'leaves padding out'}`, {
      inputs: [numbers(DIMS)],
      call: (g, [x]) =>
        op.averagePool(g, x!, { kernelShape: [3, 2], strides: [2, 1], pads: [1, 0, 1, 0], countIncludePad }),
      expected: (x) => [reference(x, countIncludePad)],
      // ONNX Runtime has no float64 kernel.
      dtypes: ['float32', 'float16'],
      declared: [['N', 3, 'H', 'W']],
    });
  }

  it('averagePool writes every attribute that all opsets have', () => {
    const { g, x } = setUp();
    const [node] = nodesOf(g, op.averagePool(g, x, { kernelShape: [2, 3], pads: [0, 1, 1, 1] }));
    expect(node).to.deep.include({ opType: 'AveragePool', inputs: [x] });
    expect(node!.attributes).to.deep.equal({
      kernel_shape: { type: 'INTS', value: [2, 3] },
      strides: { type: 'INTS', value: [1, 1] },
      pads: { type: 'INTS', value: [0, 1, 1, 1] },
      count_include_pad: { type: 'INT', value: 0 },
    });
  });

  it('averagePool refuses pads that hold a whole window, a rank below 3 and integers', () => {
    const { g, x } = setUp();
    expectGraphError(
      () => op.averagePool(g, x, { kernelShape: [3, 2], pads: [2, 1, 2, 2] }),
      'INVALID_ATTRIBUTE',
      'AveragePool: pads [2, 1, 2, 2] must be below the kernel [3, 2]',
    );
    const matrix = g.input('matrix', 'float32', [4, 4]);
    const whole = g.input('whole', 'int64', [1, 4, 4]);
    expectGraphError(() => op.averagePool(g, matrix, { kernelShape: [] }), 'RANK_TOO_LOW', "'matrix' [4, 4]");
    expectGraphError(() => op.averagePool(g, whole, { kernelShape: [2] }), 'INVALID_DTYPE', 'int64');
    expectGraphError(() => op.averagePool(g, undefined!, { kernelShape: [2] }), 'MISSING_VALUE');
  });
});

describe('globalAveragePool', () => {
  it('globalAveragePool makes 1 from names and numbers alike', () => {
    const { g, x } = setUp();
    const y = op.globalAveragePool(g, x);
    expect(y.shape).to.deep.equal(['N', 4, 1, 1]);
    expect(nodesOf(g, y)[0]).to.deep.include({ opType: 'GlobalAveragePool', attributes: {} });
  });

  it('globalAveragePool refuses a rank below 3', () => {
    const g = new GraphBuilder('test');
    const x = g.input('x', 'float32', ['N', 4]);
    expectGraphError(() => op.globalAveragePool(g, x), 'RANK_TOO_LOW', "'x' [N, 4]");
  });

  it('globalAveragePool refuses inputs that are not floats, and a missing input', () => {
    const g = new GraphBuilder('test');
    const whole = g.input('whole', 'int64', [1, 4, 4]);
    expectGraphError(() => op.globalAveragePool(g, whole), 'INVALID_DTYPE', 'int64');
    expectGraphError(() => op.globalAveragePool(g, undefined!), 'MISSING_VALUE', 'GlobalAveragePool: x');
  });
});
