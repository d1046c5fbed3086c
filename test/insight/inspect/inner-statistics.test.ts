import { expect } from 'chai';
import { describe, it } from 'mocha';
import { toFloat64Array } from '../../../lib/half.js';
import { inspectModel } from '../../../lib/insight/node.js';
import type { Normalization } from '../../../lib/insight/inspect/types.js';
import { ATTRIBUTE_TYPE, ModelProto, type NodeMessage } from '../../../lib/onnx/protobuf/proto.js';
import { encodeValueInfo } from '../../../lib/onnx/graph/value-info.js';
import { tensor, type TensorData } from '../../../lib/tensor.js';
import { randomTensor } from '../../support/group-norm.js';
import {
  body,
  call,
  constant,
  float,
  graph,
  groupNorm,
  int,
  localFunction,
  model,
  node,
  reference,
} from '../../support/nested-norms.js';
import { expectFigures, figuresOf, ROW_EPSILON, rowsOf } from '../../support/row-figures.js';

const X = randomTensor('float32', [2, 8, 3, 5], { mean: 3, deviation: 2 });
const VALUES = toFloat64Array(X);
const WEIGHTS = {
  scale: randomTensor('float32', [8], { stream: 'scale' }),
  bias: randomTensor('float32', [8], { stream: 'bias' }),
};
const bool = (value: boolean): TensorData => tensor('bool', [], Uint8Array.of(Number(value)));
const epsilon = float('epsilon', ROW_EPSILON);
const norm = (x: string, y: string, groups = 4, ...others: NodeMessage['attribute'] & object) =>
  groupNorm([x, 'scale', 'bias'], y, groups, ...others);
/** y = 2 · x */
const doubled = (x: string, y: string) => node('Add', [x, x], [y]);
/** The groups of X times a factor. */
const groups = (factor: number, count = 4) =>
  rowsOf(
    VALUES.map((value) => value * factor),
    2 * count,
  );
const DIMS = ['N', 8, 'H', 'W'];

/** Returns the normalizations of a model, which a run has measured. */
async function measured(
  bytes: Uint8Array,
  feeds: Readonly<Record<string, TensorData>> = { x: X },
): Promise<readonly Normalization[]> {
  const { normalizations } = await inspectModel(bytes, { feeds });
  return normalizations;
}

/** An If: a GroupNorm of 2 · x in one branch, and another of x in the other. */
const branches = (opset = 21) =>
  model(
    [
      node(
        'If',
        ['c'],
        ['y'],
        graph('then_branch', body([doubled('x', 'h'), norm('h', 'a', 4, epsilon)], [], ['a'])),
        graph('else_branch', body([norm('x', 'b', 2, epsilon)], [], ['b'])),
      ),
    ],
    { x: DIMS, c: [] },
    { y: 4 },
    { weights: WEIGHTS, dtypes: { c: 'bool' }, opset },
  );

/** A Loop that doubles what it carries, and normalizes it before. */
function loopOf(nodes: NodeMessage[], times: number, carried = ['go', 'v']) {
  const inner = body([...nodes, node('Identity', ['go'], ['again'])], carried, ['again', 'next', 'each']);
  inner.input!.unshift(encodeValueInfo({ name: 'i', dtype: 'int64', shape: [] }));
  const weights = {
    times: tensor('int64', [], BigInt64Array.of(BigInt(times))),
    yes: bool(true),
    ...WEIGHTS,
  };
  return { loop: node('Loop', ['times', 'yes', 'x'], ['y', 'all'], graph('body', inner)), weights };
}

describe('inspectModel with feeds, where a normalization lies in a body', () => {
  for (const isThen of [true, false])
    it(`inspectModel measures the branch of an If that the run takes, and says that it does not take the other: ${isThen}`, async () => {
      const [inThen, inElse] = await measured(branches(), { x: X, c: bool(isThen) });
      const [taken, other] = isThen ? [inThen!, inElse!] : [inElse!, inThen!];
      expectFigures(taken.statistics, figuresOf(isThen ? groups(2) : groups(1, 2)));
      expect(other.statistics).to.equal(undefined);
      expect(other.warnings.at(-1)).to.equal(
        'no statistics of this run: no branch or iteration of this run has its input',
      );
    });

  it('inspectModel measures all iterations of a Loop', async () => {
    const { loop, weights } = loopOf([norm('v', 'each', 4, epsilon), doubled('v', 'next')], 3);
    const bytes = model([loop], { x: DIMS }, { y: 4, all: 5 }, { weights });
    const [row] = await measured(bytes);
    expectFigures(row!.statistics, figuresOf([...groups(1), ...groups(2), ...groups(4)]));
  });

  it('inspectModel says that a Loop without an iteration has no input, and that a Loop may change the shape', async () => {
    const { loop, weights } = loopOf([norm('v', 'each', 4, epsilon), doubled('v', 'next')], 0);
    const [unused] = await measured(model([loop], { x: DIMS }, { y: 4, all: 5 }, { weights }));
    expect(unused!.warnings.at(-1)).to.include('no branch or iteration of this run has its input');
    const growing = loopOf(
      [norm('v', 'h', 4, epsilon), node('Concat', ['v', 'v'], ['next'], int('axis', 0)), node('ReduceSum', ['h'], ['each'])],
      2,
    ); // prettier-ignore
    const [row] = await measured(model([growing.loop], { x: DIMS }, { y: 4, all: 5 }, { weights }));
    expect(row!.statistics).to.equal(undefined);
    expect(row!.warnings.at(-1)).to.include(
      "body of Loop '/y/Loop', and may have another shape in each iteration",
    );
  });

  it('inspectModel measures every slice of a Scan, but not where the Scan says the axes of its outputs', async () => {
    // Each slice (8, 3, 5) of x is taken for a sample of (1, 8, 15).
    const to = constant('to', tensor('int64', [3], BigInt64Array.of(1n, 8n, 15n)));
    const inner = body(
      [to, node('Reshape', ['v', 'to'], ['r']), norm('r', 'each', 4, epsilon)],
      ['v'],
      ['each'],
    );
    const scan = (...axes: NodeMessage['attribute'] & object) =>
      model([node('Scan', ['x'], ['y'], int('num_scan_inputs', 1), graph('body', inner), ...axes)], { x: [2, 8, 3, 5] }, { y: 4 }, { weights: WEIGHTS }); // prettier-ignore
    const [row] = await measured(scan());
    expectFigures(row!.statistics, figuresOf(groups(1)));
    const [other] = await measured(scan({ name: 'scan_output_axes', type: ATTRIBUTE_TYPE.INTS, ints: [0] }));
    expect(other!.warnings.at(-1)).to.include('which says the axes of its outputs');
  });
});

describe('inspectModel with feeds, where a normalization lies in a local function', () => {
  const block = localFunction(
    'Block',
    [
      doubled('v', 'h'),
      { ...norm('h', 'r'), attribute: [reference('num_groups', 'INT', 'groups'), epsilon] },
    ],
    ['v', 'scale', 'bias'],
    ['r'],
    { attribute: ['groups'] },
  );
  const callOf = (x: string, y: string, count: number) =>
    call('Block', [x, 'scale', 'bias'], [y], int('groups', count));

  it('inspectModel measures the groups of every call of a local function, in one row', async () => {
    const nodes = [
      doubled('x', 'u'),
      callOf('x', 'a', 4),
      callOf('u', 'b', 2),
      node('Add', ['a', 'b'], ['y']),
    ];
    const [row, ...others] = await measured(
      model(nodes, { x: DIMS }, { y: 4 }, { weights: WEIGHTS, functions: [block] }),
    );
    expect(others).to.deep.equal([]);
    const [first, second] = [figuresOf(groups(2)), figuresOf(groups(4, 2))];
    expectFigures(row!.statistics, {
      rows: 16 + 4 - 8,
      rowLength: second.rowLength,
      meanToDeviation: Math.max(first.meanToDeviation, second.meanToDeviation),
      sumOfSquares: Math.max(first.sumOfSquares, second.sumOfSquares),
      largest: second.largest,
    });
  });

  it('inspectModel measures a function that a function calls in the body of a Loop in the branch of an If', async () => {
    const outer = localFunction('Outer', [callOf('v', 'o', 4)], ['v', 'scale', 'bias'], ['o']);
    const calling = call('Outer', ['v', 'scale', 'bias'], ['each']);
    const { loop, weights } = loopOf([calling, doubled('v', 'next')], 2);
    const then = graph('then_branch', body([loop], [], ['y', 'all']));
    const rank5 = node('Unsqueeze', ['x', 'zero'], ['none']);
    const otherwise = graph('else_branch', body([node('Identity', ['x'], ['e']), rank5], [], ['e', 'none']));
    const zero = tensor('int64', [1], BigInt64Array.of(0n));
    const bytes = model([node('If', ['c'], ['p', 'q'], then, otherwise)], { x: DIMS, c: [] }, { p: 4, q: 5 }, { weights: { ...weights, zero }, dtypes: { c: 'bool' }, functions: [outer, block] }); // prettier-ignore
    const [row] = await measured(bytes, { x: X, c: bool(true) });
    expect(row!.where).to.equal('function my.Block');
    expectFigures(row!.statistics, figuresOf([...groups(2), ...groups(4)]));
  });

  it('inspectModel says that no node calls the function', async () => {
    const bytes = model([node('Relu', ['x'], ['y'])], { x: DIMS }, { y: 4 }, { functions: [block] });
    expect((await measured(bytes))[0]!.warnings.at(-1)).to.include('no node calls the function my.Block');
  });

  it('inspectModel takes a function that has the names of its values from the function, and not from the graph', async () => {
    const nodes = [{ ...doubled('x', 'h'), name: 'h' }, doubled('h', 'v'), callOf('x', 'r', 4), node('Add', ['r', 'v'], ['y'])]; // prettier-ignore
    const [row] = await measured(
      model(nodes, { x: DIMS }, { y: 4 }, { weights: WEIGHTS, functions: [block] }),
    );
    expectFigures(row!.statistics, figuresOf(groups(2)));
  });
});

describe('inspectModel with feeds, where a normalization adds its inputs', () => {
  const contrib = (bytes: Uint8Array) => {
    const message = ModelProto.decode(bytes);
    message.opsetImport.push({ domain: 'com.microsoft', version: 1 });
    return ModelProto.encode(message).finish();
  };
  const rows = randomTensor('float32', [2, 6, 8], { mean: 3, deviation: 2 });
  const skip = (x: string, y: string): NodeMessage => ({
    ...node('SkipLayerNormalization', [x, x, 'scale', 'bias'], [y], epsilon),
    domain: 'com.microsoft',
  });

  for (const outputs of [['y'], ['y', '', '', '']])
    it(`inspectModel measures the sum of SkipLayerNormalization, which the node does not return: ${outputs.length} outputs`, async () => {
      const bytes = contrib(model([{ ...skip('x', 'y'), output: outputs }], { x: ['N', 6, 8] }, { y: 3 }, { weights: WEIGHTS })); // prettier-ignore
      const sums = rowsOf(toFloat64Array(rows).map((value) => 2 * value), 12); // prettier-ignore
      expectFigures((await measured(bytes, { x: rows }))[0]!.statistics, figuresOf(sums));
    });

  it('inspectModel measures the sum of SkipLayerNormalization within a function', async () => {
    const opsetImport = [{ domain: 'com.microsoft', version: 1 }];
    const block = localFunction('Block', [skip('v', 'r')], ['v', 'scale', 'bias'], ['r'], { opsetImport });
    const bytes = contrib(model([call('Block', ['x', 'scale', 'bias'], ['y'])], { x: ['N', 6, 8] }, { y: 3 }, { weights: WEIGHTS, functions: [block] })); // prettier-ignore
    const sums = rowsOf(toFloat64Array(rows).map((value) => 2 * value), 12); // prettier-ignore
    expectFigures((await measured(bytes, { x: rows }))[0]!.statistics, figuresOf(sums));
  });
});
