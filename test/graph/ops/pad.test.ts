import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import { encodeModel } from '../../../lib/onnx/encode.js';
import { Model } from '../../../lib/onnx/model.js';
import { tensor } from '../../../lib/tensor.js';
import { itComputes, listed, OPSETS, runGraph } from '../runs.js';
import { describeTable, expectGraphError, nodesOf } from '../support.js';

describeTable<op.PadOptions>('pad', (g, [x], options) => op.pad(g, x!, options));

const X = listed([1, 1, 3, 4], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);

describe('pad', () => {
  // From torch.nn.functional.pad(x, (2, 1, 1, 2), mode=…) of PyTorch 2.13; PyTorch's replicate is ONNX's edge.
  for (const [mode, rows] of [
    [
      'reflect',
      [
        [6, 5, 4, 5, 6, 7, 6],
        [2, 1, 0, 1, 2, 3, 2],
        [6, 5, 4, 5, 6, 7, 6],
        [10, 9, 8, 9, 10, 11, 10],
        [6, 5, 4, 5, 6, 7, 6],
        [2, 1, 0, 1, 2, 3, 2],
      ],
    ],
    [
      'edge',
      [
        [0, 0, 0, 1, 2, 3, 3],
        [0, 0, 0, 1, 2, 3, 3],
        [4, 4, 4, 5, 6, 7, 7],
        [8, 8, 8, 9, 10, 11, 11],
        [8, 8, 8, 9, 10, 11, 11],
        [8, 8, 8, 9, 10, 11, 11],
      ],
    ],
  ] as const) {
    itComputes(`pad copies elements from inside with mode ${mode}`, {
      inputs: [X],
      call: (g, [x]) => op.pad(g, x!, { pads: [0, 0, 1, 2, 0, 0, 2, 1], mode }),
      expected: () => [[[1, 1, 6, 7], rows.flat()]],
      declared: [['N', 1, 'H', 'W']],
    });
  }

  // From torch.nn.functional.pad(x, (2, 1, 1, 0), value=-1.5).
  itComputes('pad adds a number with mode constant', {
    inputs: [X],
    call: (g, [x]) => op.pad(g, x!, { pads: [0, 0, 1, 2, 0, 0, 0, 1], value: -1.5 }),
    expected: () => [
      [
        [1, 1, 4, 7],
        [
          [-1.5, -1.5, -1.5, -1.5, -1.5, -1.5, -1.5],
          [-1.5, -1.5, 0, 1, 2, 3, -1.5],
          [-1.5, -1.5, 4, 5, 6, 7, -1.5],
          [-1.5, -1.5, 8, 9, 10, 11, -1.5],
        ].flat(),
      ],
    ],
    declared: [['N', 1, 'H', 'W']],
  });

  itComputes('pad adds zeros by default, and infinities on request', {
    inputs: [listed([2], [1, 2])],
    call: (g, [x]) => [op.pad(g, x!, { pads: [1, 0] }), op.pad(g, x!, { pads: [0, 1], value: -Infinity })],
    expected: () => [
      [[3], [0, 1, 2]],
      [[3], [1, 2, -Infinity]],
    ],
  });

  for (const mode of ['constant', 'edge'] as const) {
    itComputes(`pad with listAxes and mode ${mode} adds the same elements`, {
      inputs: [listed([1, 2], [1, 2])],
      call: (g, [x]) => op.pad(g, x!, { pads: [0, 1, 0, 1], mode, listAxes: true }),
      expected: () => [[[1, 4], mode === 'edge' ? [1, 1, 2, 2] : [0, 1, 2, 0]]],
    });
  }

  it('pad with listAxes has the input axes from opset 18 on, and no attribute of this name', () => {
    const g = new GraphBuilder('test');
    const x = g.input('x', 'float32', ['N', 2]);
    g.output('y', op.pad(g, x, { pads: [0, 1, 0, 1], listAxes: true }));
    for (const [opset, count] of [
      [17, 3],
      [18, 4],
      [25, 4],
    ] as const) {
      const model = Model.decode(encodeModel(g.build(), new Map(), { opset }));
      const [node] = model.nodes;
      expect(node!.inputs).to.have.length(count);
      expect([...node!.attributes()].map(({ name }) => name)).to.deep.equal(['mode']);
      const axes = node!.inputs[3];
      if (axes) expect([...(model.constant(axes)!.data as BigInt64Array)]).to.deep.equal([0n, 1n]);
    }
  });

  it('pad takes integers', async () => {
    const g = new GraphBuilder('test');
    g.output('y', op.pad(g, g.input('x0', 'int64', [1]), { pads: [1, 1], value: -7 }));
    for (const opset of OPSETS) {
      const [y] = await runGraph(g.build(), [tensor('int64', [1], BigInt64Array.of(3n))], opset);
      expect([...(y!.data as BigInt64Array)]).to.deep.equal([-7n, 3n, -7n]);
    }
  });

  it('pad writes pads and the number as inputs', () => {
    const g = new GraphBuilder('test');
    const x = g.input('x', 'float16', ['N', 3]);
    const y = op.pad(g, x, { pads: [0, 1, 0, 2] });
    expect(y).to.deep.include({ dtype: 'float16', shape: ['N', 6] });
    const [node] = nodesOf(g, y);
    expect(node!.attributes).to.deep.equal({ mode: { type: 'STRING', value: 'constant' } });
    expect(node!.inputs.map((input) => [input!.dtype, input!.shape])).to.deep.equal([
      ['float16', ['N', 3]],
      ['int64', [4]],
      ['float16', []],
    ]);
  });

  it('pad refuses invalid pads, and pads that need more elements than there are', () => {
    const g = new GraphBuilder('test');
    const x = g.input('x', 'float32', ['N', 3]);
    for (const pads of [[1], [1, 1], [0, 0, 0, -1], [0, 0, 0, 0.5], undefined, 3] as never[]) {
      expectGraphError(() => op.pad(g, x, { pads }), 'INVALID_ATTRIBUTE', 'Pad: pads', "'x' [N, 3]");
    }
    expectGraphError(
      () => op.pad(g, x, { pads: [0, 3, 0, 0], mode: 'reflect' }),
      'INVALID_SHAPE',
      'pads [0, 3, 0, 0] are too large',
      'below the size',
    );
    expect(op.pad(g, x, { pads: [5, 2, 0, 0], mode: 'reflect' }).shape).to.deep.equal(['N+5', 5]);
    const empty = g.input('empty', 'float32', [0]);
    expectGraphError(() => op.pad(g, empty, { pads: [1, 0], mode: 'edge' }), 'INVALID_SHAPE', 'above 0');
    expect(op.pad(g, empty, { pads: [0, 0], mode: 'reflect' }).shape).to.deep.equal([0]);
  });

  it('pad refuses unknown modes, numbers that the dtype cannot hold, and a value without mode constant', () => {
    const g = new GraphBuilder('test');
    const x = g.input('x', 'float16', [3]);
    const pads = [1, 1];
    expectGraphError(() => op.pad(g, x, { pads, mode: 'wrap' as never }), 'INVALID_ATTRIBUTE', "'wrap'");
    expectGraphError(
      () => op.pad(g, x, { pads, value: 1e6 }),
      'INVALID_ATTRIBUTE',
      'value 1000000',
      'float16',
    );
    expectGraphError(() => op.pad(g, x, { pads, value: NaN }), 'INVALID_ATTRIBUTE', 'value NaN');
    expectGraphError(
      () => op.pad(g, x, { pads, value: 1, mode: 'edge' }),
      'INVALID_ATTRIBUTE',
      'not for edge',
    );
    expectGraphError(() => op.pad(g, g.input('f', 'bool', [3]), { pads }), 'INVALID_DTYPE', 'bool');
    expectGraphError(() => op.pad(g, undefined!, { pads }), 'MISSING_VALUE', 'Pad: x');
  });
});
