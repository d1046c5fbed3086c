import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder, type Scope } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import type { Value } from '../../../lib/graph/types.js';
import { FLOAT_DTYPES, type Shape } from '../../../lib/tensor.js';
import { describeTable, expectGraphError, nodesOf } from '../support.js';

describeTable<op.GroupNormalizationOptions>('groupNormalization', (g, [x, scale, bias], options) =>
  op.groupNormalization(g, x!, scale, bias, options),
);
describeTable('batchNormalization', (g, [x, scale, bias, mean, variance]) =>
  op.batchNormalization(g, x!, scale!, bias!, mean!, variance!),
);
describeTable('instanceNormalization', (g, [x, scale, bias]) =>
  op.instanceNormalization(g, x!, scale!, bias!),
);
describeTable<{ axis?: number }>('layerNormalization', (g, [x, scale, bias], options) =>
  op.layerNormalization(g, x!, scale!, bias, options),
);

function setUp(shape: Shape = ['N', 6, 'H', 'W'], perChannel: Shape = [6]) {
  const g = new GraphBuilder('test');
  const x = g.input('x', 'float32', shape);
  const norm = g.scope('enc1.norm');
  const vector = (name: string) => g.input(name, 'float32', perChannel);
  return { g, x, norm, scale: vector('scale'), bias: vector('bias'), vector };
}

describe('groupNormalization', () => {
  it('groupNormalization writes num_groups and epsilon', () => {
    const { g, x, norm, scale, bias } = setUp();
    const y = op.groupNormalization(norm, x, scale, bias, { numGroups: 3 });
    expect(y).to.deep.include({ dtype: 'float32', shape: ['N', 6, 'H', 'W'] });
    expect(nodesOf(g, y)[0]).to.deep.include({
      opType: 'GroupNormalization',
      inputs: [x, scale, bias],
      attributes: { num_groups: { type: 'INT', value: 3 }, epsilon: { type: 'FLOAT', value: 1e-5 } },
    });
  });

  it('groupNormalization works without scale, without bias and without both', () => {
    const { x, norm, scale, bias } = setUp();
    for (const [weight, shift] of [
      [undefined, bias],
      [scale, undefined],
      [undefined, undefined],
    ]) {
      const y = op.groupNormalization(norm, x, weight, shift, { numGroups: 2 });
      expect(y.shape).to.deep.equal(x.shape);
    }
  });

  it('groupNormalization takes every float', () => {
    for (const dtype of FLOAT_DTYPES) {
      const g = new GraphBuilder('test');
      const x = g.input('x', dtype, [2, 4]);
      expect(op.groupNormalization(g, x, undefined, undefined, { numGroups: 2 }).dtype).to.equal(dtype);
    }
  });

  it('groupNormalization lists the allowed numbers of groups', () => {
    const { g } = setUp();
    const x = g.input('image', 'float32', ['N', 30, 8, 8]);
    expectGraphError(
      () => op.groupNormalization(g.scope('enc1.double_conv.1'), x, undefined, undefined, { numGroups: 8 }),
      'NUM_GROUPS_MISMATCH',
      "GroupNormalization 'enc1.double_conv.1': numChannels 30 is not divisible by numGroups 8",
      'allowed: 1, 2, 3, 5, 6, 10, 15, 30',
    );
  });

  for (const numGroups of [0, -2, 1.5, 12, NaN, Infinity, '2' as never, undefined!]) {
    it(`groupNormalization refuses numGroups ${String(numGroups)}`, () => {
      const { x, norm } = setUp();
      const options = { numGroups };
      expectGraphError(
        () => op.groupNormalization(norm, x, undefined, undefined, options),
        'NUM_GROUPS_MISMATCH',
      );
    });
  }

  it('groupNormalization refuses an input without channels', () => {
    const { g } = setUp();
    const x = g.input('none', 'float32', [2, 0, 4]);
    const options = { numGroups: 1 };
    expectGraphError(
      () => op.groupNormalization(g, x, undefined, undefined, options),
      'NUM_GROUPS_MISMATCH',
      'none',
    );
  });

  it('groupNormalization refuses a rank below 2', () => {
    const { g } = setUp();
    for (const shape of [[6], []]) {
      const x = g.input(`x${shape.length}`, 'float32', shape);
      const options = { numGroups: 1 };
      expectGraphError(
        () => op.groupNormalization(g, x, undefined, undefined, options),
        'RANK_TOO_LOW',
        '(N, C, ...)',
      );
    }
  });

  it('groupNormalization refuses a channel dimension that is a name', () => {
    const { g } = setUp();
    const x = g.input('free', 'float32', ['N', 'C', 4]);
    const options = { numGroups: 1 };
    expectGraphError(
      () => op.groupNormalization(g, x, undefined, undefined, options),
      'INVALID_SHAPE',
      '[N, C, 4]',
    );
  });

  it('groupNormalization refuses a scale or bias without exactly one element per channel', () => {
    const { g, x, norm, scale } = setUp();
    for (const shape of [[3], [1], [6, 1], []]) {
      const odd = g.input(`odd${shape.join('_')}`, 'float32', shape);
      const parts = [`[${shape.join(', ')}]`, "'x' [N, 6, H, W]", 'must be [6]'];
      const options = { numGroups: 3 };
      expectGraphError(
        () => op.groupNormalization(norm, x, odd, undefined, options),
        'SHAPE_MISMATCH',
        'scale',
        ...parts,
      );
      expectGraphError(
        () => op.groupNormalization(norm, x, scale, odd, options),
        'SHAPE_MISMATCH',
        'bias',
        ...parts,
      );
    }
  });

  it('groupNormalization refuses mixed dtypes, integers and a missing input', () => {
    const { g, x, norm } = setUp();
    const half = g.input('half', 'float16', [6]);
    const whole = g.input('whole', 'int32', ['N', 6]);
    const options = { numGroups: 3 };
    expectGraphError(
      () => op.groupNormalization(norm, x, half, undefined, options),
      'DTYPE_MISMATCH',
      'float16',
    );
    expectGraphError(
      () => op.groupNormalization(norm, x, undefined, half, options),
      'DTYPE_MISMATCH',
      'float16',
    );
    expectGraphError(
      () => op.groupNormalization(norm, whole, undefined, undefined, options),
      'INVALID_DTYPE',
      'int32',
    );
    expectGraphError(
      () => op.groupNormalization(norm, undefined!, undefined, undefined, options),
      'MISSING_VALUE',
      'x',
    );
  });

  for (const epsilon of [NaN, Infinity]) {
    it(`groupNormalization refuses epsilon ${epsilon}`, () => {
      const { x, norm } = setUp();
      expectGraphError(
        () => op.groupNormalization(norm, x, undefined, undefined, { numGroups: 3, epsilon }),
        'INVALID_ATTRIBUTE',
        `epsilon ${epsilon}`,
      );
    });
  }
});

describe('every normalization', () => {
  /** Each with an input, a scale and an epsilon of the caller's choice. */
  const APPLY: Record<string, (g: Scope, x: Value, scale: Value, epsilon: number) => Value> = {
    GroupNormalization: (g, x, scale, epsilon) =>
      op.groupNormalization(g, x, scale, scale, { numGroups: 1, epsilon }),
    BatchNormalization: (g, x, scale, epsilon) =>
      op.batchNormalization(g, x, scale, scale, scale, scale, { epsilon }),
    InstanceNormalization: (g, x, scale, epsilon) =>
      op.instanceNormalization(g, x, scale, scale, { epsilon }),
    LayerNormalization: (g, x, scale, epsilon) => op.layerNormalization(g, x, scale, scale, { epsilon }),
  };
  for (const [opType, apply] of Object.entries(APPLY)) {
    it(`${opType} refuses invalid dtypes, epsilons and inputs`, () => {
      const { g, x, scale } = setUp(['N', 6, 6]);
      const odd = g.input('odd', 'float32', [5]);
      const half = g.input('half', 'float16', [6]);
      const whole = g.input('whole', 'int64', ['N', 6, 6]);
      const wholeScale = g.input('wholeScale', 'int64', [6]);
      const at = g.scope('layer');
      expectGraphError(
        () => apply(at, x, scale, NaN),
        'INVALID_ATTRIBUTE',
        `${opType} 'layer'`,
        'epsilon NaN',
      );
      expectGraphError(
        () => apply(at, x, odd, 1),
        'SHAPE_MISMATCH',
        `${opType} 'layer'`,
        "'odd' [5]",
        "'x' [N, 6, 6]",
      );
      expectGraphError(() => apply(at, x, half, 1), 'DTYPE_MISMATCH', `${opType} 'layer'`, 'float16');
      expectGraphError(() => apply(at, whole, wholeScale, 1), 'INVALID_DTYPE', `${opType} 'layer'`, 'int64');
      expectGraphError(() => apply(at, undefined!, scale, 1), 'MISSING_VALUE', `${opType} 'layer'`, 'x');
    });
  }

  it('BatchNormalization, InstanceNormalization and LayerNormalization refuse a missing scale', () => {
    const { x, norm } = setUp(['N', 6, 6]);
    for (const opType of ['BatchNormalization', 'InstanceNormalization', 'LayerNormalization']) {
      expectGraphError(() => APPLY[opType]!(norm, x, undefined!, 1), 'MISSING_VALUE', 'scale');
    }
  });
});

describe('batchNormalization', () => {
  it('batchNormalization refuses a rank below 2', () => {
    const { g, scale } = setUp();
    const flat = g.input('flat', 'float32', [6]);
    expectGraphError(
      () => op.batchNormalization(g, flat, scale, scale, scale, scale),
      'RANK_TOO_LOW',
      "'flat' [6]",
    );
  });

  it('batchNormalization names the vector that does not fit or is missing', () => {
    const { g, x, norm, scale, bias, vector } = setUp();
    const [mean, odd] = [vector('mean'), g.input('odd', 'float32', [5])];
    expectGraphError(
      () => op.batchNormalization(norm, x, scale, bias, mean, odd),
      'SHAPE_MISMATCH',
      "variance 'odd' [5]",
    );
    expectGraphError(
      () => op.batchNormalization(norm, x, scale, bias, undefined!, mean),
      'MISSING_VALUE',
      'mean',
    );
  });
});

describe('instanceNormalization', () => {
  it('instanceNormalization writes epsilon', () => {
    const { g, x, norm, scale, bias } = setUp();
    const [node] = nodesOf(g, op.instanceNormalization(norm, x, scale, bias, { epsilon: 0.5 }));
    expect(node).to.deep.include({
      opType: 'InstanceNormalization',
      inputs: [x, scale, bias],
      attributes: { epsilon: { type: 'FLOAT', value: 0.5 } },
    });
  });

  it('instanceNormalization refuses a scale or a bias without exactly one element per channel', () => {
    const { g, x, norm, scale, bias } = setUp();
    const odd = g.input('odd', 'float32', [1]);
    expectGraphError(() => op.instanceNormalization(norm, x, odd, bias), 'SHAPE_MISMATCH', "scale 'odd' [1]");
    expectGraphError(() => op.instanceNormalization(norm, x, scale, odd), 'SHAPE_MISMATCH', "bias 'odd' [1]");
  });

  it('instanceNormalization refuses a rank below 3 and missing parameters', () => {
    const { x, norm, scale, bias, g } = setUp();
    const matrix = g.input('matrix', 'float32', ['N', 6]);
    expectGraphError(
      () => op.instanceNormalization(norm, matrix, scale, bias),
      'RANK_TOO_LOW',
      "'matrix' [N, 6]",
    );
    expectGraphError(() => op.instanceNormalization(norm, x, scale, undefined!), 'MISSING_VALUE', 'bias');
  });
});

describe('layerNormalization', () => {
  it('layerNormalization writes axis and epsilon, and works without bias', () => {
    const { g, x, norm } = setUp(['N', 'L', 6]);
    const scale = g.input('gain', 'float32', [6]);
    const [node] = nodesOf(g, op.layerNormalization(norm, x, scale, undefined));
    expect(node).to.deep.include({
      opType: 'LayerNormalization',
      inputs: [x, scale, undefined],
      attributes: { axis: { type: 'INT', value: -1 }, epsilon: { type: 'FLOAT', value: 1e-5 } },
    });
  });

  it('layerNormalization takes only a scale that broadcasts to the normalised dimensions', () => {
    const { g, x, norm } = setUp(['N', 4, 1, 6]);
    const apply = (shape: Shape) =>
      op.layerNormalization(norm, x, g.input(`s${shape.join('_')}`, 'float32', shape), undefined, {
        axis: 1,
      });
    for (const shape of [[4, 1, 6], [1, 6], [6], [1], [], ['D', 6]]) {
      expect(apply(shape).shape).to.deep.equal(x.shape);
    }
    for (const shape of [[4], [2, 6], [1, 4, 1, 6], [4, 5, 6]]) {
      expectGraphError(
        () => apply(shape),
        'SHAPE_MISMATCH',
        `[${shape.join(', ')}]`,
        '[4, 1, 6]',
        '[N, 4, 1, 6]',
      );
    }
  });

  for (const axis of [3, -4, 0.5]) {
    it(`layerNormalization refuses axis ${axis} of rank 3`, () => {
      const { x, norm, scale } = setUp(['N', 6, 6]);
      expectGraphError(
        () => op.layerNormalization(norm, x, scale, undefined, { axis }),
        'INVALID_ATTRIBUTE',
        `axis ${axis}`,
        'allowed: -3 to 2',
      );
    });
  }
});
