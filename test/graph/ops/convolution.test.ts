import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import type { Shape } from '../../../lib/tensor.js';
import { describeTable, expectGraphError, nodesOf } from '../support.js';

describeTable<op.ConvOptions>('conv', (g, [x, weight, bias], options) =>
  op.conv(g, x!, weight!, bias, options),
);
describeTable<op.ConvTransposeOptions>('convTranspose', (g, [x, weight, bias], options) =>
  op.convTranspose(g, x!, weight!, bias, options),
);

function setUp(shape: Shape = ['N', 4, 'H', 'W'], kernel: readonly number[] = [6, 4, 3, 3]) {
  const g = new GraphBuilder('test');
  const x = g.input('x', 'float32', shape);
  const layer = g.scope('enc1.0');
  const weight = layer.parameter('weight', { dtype: 'float32', shape: kernel });
  return { g, x, layer, weight };
}

describe('conv', () => {
  it("conv writes every attribute, and takes the kernel's shape from the weight", () => {
    const { g, x, layer, weight } = setUp();
    const [node] = nodesOf(g, op.conv(layer, x, weight, undefined));
    expect(node).to.deep.include({ opType: 'Conv', inputs: [x, weight, undefined] });
    expect(node!.attributes).to.deep.equal({
      kernel_shape: { type: 'INTS', value: [3, 3] },
      strides: { type: 'INTS', value: [1, 1] },
      pads: { type: 'INTS', value: [0, 0, 0, 0] },
      dilations: { type: 'INTS', value: [1, 1] },
      group: { type: 'INT', value: 1 },
    });
  });

  it('conv keeps names of sizes that are known only at run time', () => {
    const { x, layer, weight } = setUp();
    const options = { strides: [2, 1], pads: [1, 1, 1, 1] };
    expect(op.conv(layer, x, weight, undefined, options).shape).to.deep.equal([
      'N',
      6,
      'floor((H-1)/2)+1',
      'W',
    ]);
  });

  it('conv copies the given lists', () => {
    const { g, x, layer, weight } = setUp();
    const options = { strides: [1, 1], pads: [1, 1, 1, 1], dilations: [1, 1] };
    const [node] = nodesOf(g, op.conv(layer, x, weight, undefined, options));
    for (const list of Object.values(options)) list[0] = 9;
    const { strides, pads, dilations } = node!.attributes;
    expect([strides, pads, dilations].map((attribute) => attribute!.value)).to.deep.equal([
      [1, 1],
      [1, 1, 1, 1],
      [1, 1],
    ]);
  });

  it('conv says how many input channels the weight expects', () => {
    const { x, layer, weight } = setUp(['N', 4, 'H', 'W'], [64, 3, 3, 3]);
    expectGraphError(
      () => op.conv(layer, x, weight, undefined),
      'SHAPE_MISMATCH',
      "Conv 'enc1.0': weight 'enc1.0.weight' [64, 3, 3, 3] expects 3 input channels (group 1), " +
        "but the input 'x' [N, 4, H, W] has 4",
    );
  });

  it('conv refuses a channel dimension that is a name', () => {
    const { x, layer, weight } = setUp(['N', 'C', 8, 8]);
    expectGraphError(() => op.conv(layer, x, weight, undefined), 'INVALID_SHAPE', "'x' [N, C, 8, 8]");
  });

  it('conv refuses a weight whose kernel is a name', () => {
    const { g, x, layer } = setUp();
    const weight = g.input('w', 'float32', [6, 4, 'K', 3]);
    expectGraphError(() => op.conv(layer, x, weight, undefined), 'INVALID_SHAPE', "'w' [6, 4, K, 3]");
  });

  it('conv refuses an input without spatial dimensions', () => {
    const { x, layer, weight } = setUp(['N', 4], [6, 4]);
    expectGraphError(() => op.conv(layer, x, weight, undefined), 'RANK_TOO_LOW', 'rank 2', '(N, C, D1, ...)');
  });

  it('conv refuses a weight of another rank', () => {
    const { x, layer, weight } = setUp(['N', 4, 8], [6, 4, 3, 3]);
    expectGraphError(
      () => op.conv(layer, x, weight, undefined),
      'SHAPE_MISMATCH',
      '[6, 4, 3, 3]',
      '[N, 4, 8]',
    );
  });

  it('conv refuses weights of another dtype, and inputs that are not floats', () => {
    const { g, x, layer, weight } = setUp();
    const half = layer.parameter('half', { dtype: 'float16', shape: [6, 4, 3, 3] });
    const whole = g.input('whole', 'int64', [1, 4, 8, 8]);
    expectGraphError(() => op.conv(layer, x, half, undefined), 'DTYPE_MISMATCH', 'float32', 'float16');
    expectGraphError(() => op.conv(layer, whole, weight, undefined), 'INVALID_DTYPE', 'int64');
  });

  it('conv refuses a bias without exactly one element per output channel', () => {
    const { x, layer, weight } = setUp();
    for (const shape of [[4], [6, 1], []]) {
      const bias = layer.parameter(`bias${shape.length}`, { dtype: 'float32', shape });
      expectGraphError(
        () => op.conv(layer, x, weight, bias),
        'SHAPE_MISMATCH',
        `[${shape.join(', ')}]`,
        '[6]',
      );
    }
  });

  it('conv refuses a missing weight', () => {
    const { x, layer } = setUp();
    expectGraphError(
      () => op.conv(layer, x, undefined!, undefined),
      'MISSING_VALUE',
      "Conv 'enc1.0': weight",
    );
  });

  it('conv refuses a kernel larger than the padded input, and says which size would result', () => {
    const { x, layer, weight } = setUp([1, 4, 8, 1]);
    expectGraphError(
      () => op.conv(layer, x, weight, undefined, { pads: [0, 0, 0, 1] }),
      'INVALID_SHAPE',
      'kernel [3, 3]',
      'pads [0, 0, 0, 1]',
      "'x' [1, 4, 8, 1]",
      'dimension 3 of the result would be 0',
    );
  });

  const BAD_OPTIONS = {
    strides: [[0, 1], [1.5, 1], [-1, 1], [1], [1, 1, 1], [NaN, 1], [2 ** 60, 1], 2],
    dilations: [[0, 1], [1], [1, Infinity]],
    pads: [
      [1, 1],
      [-1, 0, 0, 0],
      [0.5, 0, 0, 0],
      [0, 0, 0, 0, 0],
    ],
    group: [0, -1, 1.5, 4, NaN],
  };
  for (const [option, values] of Object.entries(BAD_OPTIONS)) {
    for (const value of values) {
      it(`conv refuses ${option} ${JSON.stringify(value)}`, () => {
        const { x, layer, weight } = setUp();
        const options = { [option]: value } as op.ConvOptions;
        expectGraphError(() => op.conv(layer, x, weight, undefined, options), 'INVALID_ATTRIBUTE', option);
      });
    }
  }
});

describe('convTranspose', () => {
  it("convTranspose writes every attribute, and takes the kernel's shape from the weight", () => {
    const { g, x, layer, weight } = setUp(['N', 6, 'H', 'W']);
    const y = op.convTranspose(layer, x, weight, undefined, {
      strides: [2, 2],
      outputPadding: [1, 0],
      group: 2,
    });
    expect(y.shape).to.deep.equal(['N', 8, '2*H+2', '2*W+1']);
    const [node] = nodesOf(g, y);
    expect(node).to.deep.include({ opType: 'ConvTranspose', inputs: [x, weight, undefined] });
    expect(node!.attributes).to.deep.equal({
      kernel_shape: { type: 'INTS', value: [3, 3] },
      strides: { type: 'INTS', value: [2, 2] },
      pads: { type: 'INTS', value: [0, 0, 0, 0] },
      dilations: { type: 'INTS', value: [1, 1] },
      output_padding: { type: 'INTS', value: [1, 0] },
      group: { type: 'INT', value: 2 },
    });
  });

  it('convTranspose undoes a pooling by half', () => {
    const { x, layer, weight } = setUp(['N', 6, 'H', 'W'], [6, 3, 2, 2]);
    const half = op.maxPool(layer, x, { kernelShape: [2, 2], strides: [2, 2] });
    const full = op.convTranspose(layer, half, weight, undefined, { strides: [2, 2] });
    expect(full.shape).to.deep.equal(['N', 3, '2*floor(H/2)', '2*floor(W/2)']);
  });

  it("convTranspose takes its input channels from the weight's first dimension", () => {
    const { x, layer, weight } = setUp(['N', 4, 8, 8], [6, 4, 3, 3]);
    expectGraphError(
      () => op.convTranspose(layer, x, weight, undefined),
      'SHAPE_MISMATCH',
      "ConvTranspose 'enc1.0'",
      'expects 6 input channels (group 1)',
      'has 4',
    );
  });

  for (const outputPadding of [[1, 1], [-1, 0], [0], [0.5, 0]]) {
    it(`convTranspose refuses outputPadding ${JSON.stringify(outputPadding)} if stride and dilation are 1`, () => {
      const { x, layer, weight } = setUp(['N', 6, 8, 8]);
      expectGraphError(
        () => op.convTranspose(layer, x, weight, undefined, { outputPadding }),
        'INVALID_ATTRIBUTE',
        'outputPadding',
      );
    });
  }

  it('convTranspose refuses groups that do not divide its input channels', () => {
    const { x, layer, weight } = setUp(['N', 6, 8, 8]);
    for (const group of [0, 4, 1.5]) {
      const options = { group };
      expectGraphError(
        () => op.convTranspose(layer, x, weight, undefined, options),
        'INVALID_ATTRIBUTE',
        'divides the 6',
      );
    }
  });

  it('convTranspose refuses pads that leave an empty result', () => {
    const { x, layer, weight } = setUp(['N', 6, 1, 'W']);
    expectGraphError(
      () => op.convTranspose(layer, x, weight, undefined, { pads: [2, 0, 1, 0] }),
      'INVALID_SHAPE',
      'dimension 2 of the result would be 0',
    );
  });

  it('convTranspose refuses a rank below 3 and a missing input with a GraphError', () => {
    const { x, layer, weight } = setUp([4], [6, 4]);
    expectGraphError(() => op.convTranspose(layer, x, weight, undefined), 'RANK_TOO_LOW');
    expectGraphError(() => op.convTranspose(layer, undefined!, weight, undefined), 'MISSING_VALUE', 'x');
  });
});
