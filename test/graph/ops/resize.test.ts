import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import { describeTable, expectGraphError, nodesOf } from '../support.js';

describeTable<op.ResizeOptions>('resize', (g, [x], options) => op.resize(g, x!, options));

function setUp() {
  const g = new GraphBuilder('test');
  return { g, x: g.input('x', 'float32', ['N', 4, 'H', 10]) };
}

describe('resize', () => {
  it("resize writes PyTorch's nearest upsampling", () => {
    const { g, x } = setUp();
    const y = op.resize(g, x, {
      scales: [1, 1, 2, 2],
      mode: 'nearest',
      coordinateTransformationMode: 'asymmetric',
      nearestMode: 'floor',
    });
    expect(y.shape).to.deep.equal(['N', 4, '2*H', 20]);
    const [node] = nodesOf(g, y);
    expect(node).to.deep.include({ opType: 'Resize', inputs: [x] });
    expect(node!.attributes).to.deep.equal({
      mode: { type: 'STRING', value: 'nearest' },
      coordinate_transformation_mode: { type: 'STRING', value: 'asymmetric' },
      nearest_mode: { type: 'STRING', value: 'floor' },
      scales: { type: 'FLOATS', value: [1, 1, 2, 2] },
    });
  });

  it('resize writes sizes in place of scales, and nearest_mode only for mode nearest', () => {
    const { g, x } = setUp();
    const y = op.resize(g, x, { sizes: [1, 4, 7, 5], mode: 'linear' });
    expect(y.shape).to.deep.equal([1, 4, 7, 5]);
    expect(nodesOf(g, y)[0]!.attributes).to.deep.equal({
      mode: { type: 'STRING', value: 'linear' },
      coordinate_transformation_mode: { type: 'STRING', value: 'half_pixel' },
      sizes: { type: 'INTS', value: [1, 4, 7, 5] },
    });
  });

  it('resize copies the given lists', () => {
    const { g, x } = setUp();
    const options = { sizes: [1, 4, 7, 5], scales: [1, 1, 2, 2] };
    const bySizes = op.resize(g, x, { sizes: options.sizes });
    g.output('scaled', op.resize(g, x, { scales: options.scales }));
    for (const list of Object.values(options)) list[0] = 9;
    const [sized, scaled] = nodesOf(g, bySizes);
    expect(bySizes.shape).to.deep.equal([1, 4, 7, 5]);
    expect(sized!.attributes.sizes!.value).to.deep.equal([1, 4, 7, 5]);
    expect(scaled!.attributes.scales!.value).to.deep.equal([1, 1, 2, 2]);
  });

  it('resize takes either scales or sizes', () => {
    const { g, x } = setUp();
    const both = { scales: [1, 1, 1, 1], sizes: [1, 4, 7, 5] };
    expectGraphError(() => op.resize(g, x, both), 'INVALID_ATTRIBUTE', 'either scales or sizes');
    expectGraphError(() => op.resize(g, x, {}), 'INVALID_ATTRIBUTE', 'either scales or sizes');
  });

  // From 10, 0.7 makes 7 in ONNX Runtime 1.32 and 6 in onnx 1.23's shape inference and reference evaluator.
  it('resize refuses a scale for which runtimes compute different sizes', () => {
    const { g, x } = setUp();
    expectGraphError(
      () => op.resize(g, x, { scales: [1, 1, 1, 0.7] }),
      'INVALID_ATTRIBUTE',
      'would be 6',
      'but 7',
      'sizes',
    );
  });

  it('resize refuses a scale that leaves an empty result', () => {
    const { g, x } = setUp();
    expectGraphError(
      () => op.resize(g, x, { scales: [1, 1, 1, 0.05] }),
      'INVALID_SHAPE',
      'axis 3',
      '[N, 4, H, 10]',
    );
  });

  it('resize keeps an empty batch', () => {
    const { g } = setUp();
    const empty = g.input('empty', 'float32', [0, 3]);
    expect(op.resize(g, empty, { scales: [1, 2] }).shape).to.deep.equal([0, 6]);
  });

  const BAD = {
    scales: [[1, 1, 2], [1, 1, 0, 1], [1, 1, -1, 1], [1, 1, NaN, 1], [1, 1, Infinity, 1], 2],
    sizes: [[1, 4, 8], [1, 4, 0, 8], [1, 4, 8.5, 8], 8],
    mode: ['cubic', 'bilinear'],
    coordinateTransformationMode: ['tf_crop_and_resize'],
    nearestMode: ['round'],
  };
  for (const [option, values] of Object.entries(BAD)) {
    for (const value of values) {
      it(`resize refuses ${option} ${JSON.stringify(value)}`, () => {
        const { g, x } = setUp();
        const rest = option === 'scales' || option === 'sizes' ? {} : { scales: [1, 1, 2, 2] };
        const options = { ...rest, [option]: value } as op.ResizeOptions;
        expectGraphError(() => op.resize(g, x, options), 'INVALID_ATTRIBUTE', option);
      });
    }
  }

  it('resize takes sizes that are known only at run time, with the shape of the result', () => {
    const { g, x } = setUp();
    const sizes = g.input('sizes', 'int64', [4]);
    const y = op.resize(g, x, { sizes, outputShape: ['N', 4, 'H2', 'W2'] });
    expect(y.shape).to.deep.equal(['N', 4, 'H2', 'W2']);
    expect(nodesOf(g, y)[0]!.inputs).to.deep.equal([x, undefined, undefined, sizes]);
  });

  it('resize refuses sizes of another rank or dtype, and a shape that is missing, wrong or not needed', () => {
    const { g, x } = setUp();
    const sizes = g.input('sizes', 'int64', [4]);
    const bad = [g.input('three', 'int64', [3]), g.input('narrow', 'int32', [4])];
    for (const value of bad) {
      expectGraphError(
        () => op.resize(g, x, { sizes: value, outputShape: ['N', 4, 'H2', 'W2'] }),
        'INVALID_DTYPE',
        'int64 vector of 4 elements',
      );
    }
    expectGraphError(() => op.resize(g, x, { sizes }), 'INVALID_SHAPE', 'give outputShape');
    expectGraphError(() => op.resize(g, x, { sizes, outputShape: [1, 4] }), 'SHAPE_MISMATCH', 'rank 4');
    const needless = { sizes: [1, 4, 7, 5], outputShape: [1, 4, 7, 5] };
    expectGraphError(() => op.resize(g, x, needless), 'INVALID_ATTRIBUTE', 'outputShape');
  });

  it('resize refuses integers and a missing input', () => {
    const { g } = setUp();
    const whole = g.input('whole', 'int64', [4]);
    expectGraphError(() => op.resize(g, whole, { scales: [2] }), 'INVALID_DTYPE', 'int64');
    expectGraphError(() => op.resize(g, undefined!, { scales: [2] }), 'MISSING_VALUE');
  });
});
