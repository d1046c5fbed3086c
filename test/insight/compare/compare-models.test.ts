import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ParityError, SessionError } from '../../../lib/errors.js';
import type { CompareOptions } from '../../../lib/insight/compare/compare-models.js';
import { compareValues, type ReferenceValues } from '../../../lib/insight/compare/compare-values.js';
import type { ModelComparison } from '../../../lib/insight/compare/comparison.js';
import { ModelRun } from '../../../lib/insight/values/intermediate-values.js';
import { compareModels } from '../../../lib/insight/node.js';
import { ModelProto } from '../../../lib/onnx/protobuf/proto.js';
import { NODE } from '../../../lib/runtime/node.js';
import { tensor, type TensorData } from '../../../lib/tensor.js';
import { groupNormModel, randomTensor } from '../../support/group-norm.js';
import { NATIVE_REASON } from '../../support/native.js';
import { castNode, declared, node, smallModel } from '../../support/small-model.js';
import { rejection } from '../../support/temporary.js';
import { TWO_HEADS_FEEDS, twoHeads } from '../../support/two-heads.js';

const floats = (...values: number[]): TensorData =>
  tensor('float32', [values.length / 4, 4], Float32Array.from(values));
const X = { x: floats(1, -2, 3, 4, 5, 6, -7, 8) };

const compare = (
  expected: Uint8Array,
  actual: Uint8Array,
  options: Partial<CompareOptions> = {},
): Promise<ModelComparison> =>
  compareModels({ model: expected, label: 'a' }, { model: actual, label: 'b' }, { feeds: X, ...options });

/** y = relu(x) w - x, with the value `scaled` in between. */
const scaledBy = (...w: number[]): Uint8Array =>
  smallModel(
    [node('Relu', 'x', 'positive'), node('Mul', 'positive w', 'scaled'), node('Sub', 'scaled x', 'y')],
    {
      weights: { w: tensor('float32', [4], Float32Array.from(w)) },
    },
  );

/** Tensors instead of a session. */
const knownValues = (tensors: ReadonlyMap<string, TensorData>): ReferenceValues => ({
  label: 'known',
  names: [...tensors.keys()],
  whyNot: () => undefined,
  readable: (names) => Promise.resolve(names),
  read: () => Promise.resolve({ tensors, dispose: () => undefined }),
});

const verdicts = ({ values }: Pick<ModelComparison, 'values'>) =>
  Object.fromEntries(values.map(({ name, verdict }) => [name, verdict]));

describe('compareModels', () => {
  it('compareModels finds the first value that drifts, its node, and the worst element', async () => {
    const result = await compare(scaledBy(1, 1, 1, 1), scaledBy(1, 1.5, 1, 1.25));
    expect(result.passed).to.equal(false);
    expect(verdicts(result)).to.deep.equal({ positive: 'within', scaled: 'drifts', y: 'drifts' });
    expect(result.counts).to.deep.equal({ within: 1, drifts: 2, 'not-finite': 0, type: 0 });
    expect(result.first).to.deep.include({
      name: 'scaled',
      operator: 'Mul',
      node: 'node of scaled',
      isOutput: false,
    });
    // 6 · 0.5 = 3 at [1, 1]; 8 · 0.25 = 2 at [1, 3], and 4 · 0.25 at [0, 3]. -2 is cut to 0.
    expect(result.first!.difference).to.deep.include({
      mismatched: 3,
      elements: 8,
      maxAbs: 3,
      worstIndex: [1, 1],
      worstActual: 9,
      worstExpected: 6,
    });
  });

  it('compareModels has the same result in one slice and in many', async () => {
    const [a, b] = [scaledBy(1, 1, 1, 1), scaledBy(1, 1.5, 1, 1.25)];
    const tasks: string[] = [];
    const many = await compare(a, b, { maxBytes: 0, onProgress: (task) => tasks.push(task) });
    expect(many).to.deep.equal(await compare(a, b));
    expect(tasks.filter((task) => task.startsWith('comparing'))).to.deep.equal([
      'comparing values 1 to 1 of 3',
      'comparing values 2 to 2 of 3',
      'comparing values 3 to 3 of 3',
    ]);
  });

  it('compareModels uses the tolerance of the dtype, or the given one', async () => {
    const [a, b] = [scaledBy(1, 1, 1, 1), scaledBy(1, 1.001, 1, 1)];
    expect((await compare(a, b)).passed).to.equal(false);
    expect((await compare(a, b, { rtol: 2e-3, atol: 1e-2 })).passed).to.equal(true);
    const error = await rejection(compare(a, b, { rtol: -1 }));
    expect(error).to.have.property('code', 'INVALID_OPTION');
  });

  it('a GroupNorm is equal by every way to run it, and the values inside of it are said not to be compared', async () => {
    const x = randomTensor('float32', [1, 8, 5, 5], { mean: 3 });
    const scale = randomTensor('float32', [8], { stream: 'scale' });
    const { graph, ...rest } = ModelProto.decode(
      groupNormModel({ x, scale, bias: scale, numGroups: 4, eps: 1e-5 }, { lowering: 'op', opset: 21 }),
    );
    graph!.node!.at(-1)!.output = ['norm'];
    graph!.node!.push(node('Relu', 'norm', 'y'));
    const model = ModelProto.encode({ ...rest, graph: graph! }).finish();
    const portable = { model, label: 'reduce-mean', session: { groupNorm: 'reduce-mean' as const } };
    const others = NATIVE_REASON === undefined ? (['native', 'wasm'] as const) : (['wasm'] as const);
    for (const provider of others) {
      const other = { model, label: provider, session: { providers: [provider] } };
      const result = await compareModels(portable, other, { feeds: { x } });
      expect(result.passed).to.equal(true);
      expect(result.expected).to.deep.equal({
        label: 'reduce-mean',
        provider: 'cpu',
        groupNorm: 'reduce-mean',
      });
      const fused = result.notCompared.map(({ name, side }) => [name, side]);
      expect(fused).to.deep.equal(provider === 'native' ? [['norm', 'actual']] : []);
      expect(Object.keys(verdicts(result))).to.deep.equal(provider === 'native' ? ['y'] : ['norm', 'y']);
    }
  });

  it('an output that is not finite does not pass, and a value that is finite on one side only drifts', async () => {
    // 1 / 0, log(-2) and so on.
    const logs = smallModel([node('Log', 'x', 'log'), node('Relu', 'log', 'y')]);
    const result = await compare(logs, logs);
    expect(verdicts(result)).to.deep.equal({ log: 'not-finite', y: 'not-finite' });
    expect(result.values[0]!.notFinite).to.deep.equal({ expected: 2, actual: 2 });
    expect([result.passed, result.first]).to.deep.equal([false, null]);

    const divided = (w: number) =>
      smallModel([node('Div', 'x w', 'y')], { weights: { w: tensor('float32', [1], Float32Array.of(w)) } });
    const one = await compare(divided(1), divided(0));
    expect(verdicts(one)).to.deep.equal({ y: 'drifts' });
    expect(one.first!.notFinite).to.deep.equal({ expected: 0, actual: 8 });
  });

  it('values of other shapes or kinds of dtype do not pass; floats of two dtypes are compared by their numbers', async () => {
    const flat = {
      output: [declared('y', 'float32', ['M'])],
      weights: { to: tensor('int64', [1], BigInt64Array.of(-1n)) },
    };
    const shapes = await compare(scaledBy(1, 1, 1, 1), smallModel([node('Reshape', 'x to', 'y')], flat));
    expect(shapes.first).to.deep.include({
      name: 'y',
      verdict: 'type',
      dims: [8],
      expectedDims: [2, 4],
      difference: null,
    });
    expect(shapes.notCompared.map(({ name, side, reason }) => [name, side, reason])).to.deep.equal(
      ['positive', 'scaled'].map((name) => [name, 'actual', 'the graph has no value of this name']),
    );

    const rounded = (to: 'int32' | 'float16' | 'float32') =>
      smallModel([castNode('x', 'a', to), castNode('a', 'y', 'float32')]);
    const kinds = await compare(rounded('float32'), rounded('int32'));
    expect(verdicts(kinds)).to.deep.equal({ a: 'type', y: 'within' });
    expect(kinds.passed).to.equal(false);
    const halves = await compare(rounded('float32'), rounded('float16'));
    expect(halves.values[0]).to.deep.include({
      dtype: 'float16',
      expectedDtype: 'float32',
      verdict: 'within',
    });
    expect(halves.passed).to.equal(true);
  });

  it('integers must be equal', async () => {
    const counted = (w: number) =>
      smallModel(
        [castNode('x', 'int', 'int64'), node('Add', 'int w', 'sum'), castNode('sum', 'y', 'float32')],
        {
          weights: { w: tensor('int64', [1], BigInt64Array.of(BigInt(w))) },
        },
      );
    const result = await compare(counted(1), counted(2), { rtol: 1, atol: 1 });
    expect(verdicts(result)).to.deep.equal({ int: 'within', sum: 'drifts', y: 'within' });
  });

  it('values in bodies and in functions are said not to be compared, and the results of these nodes are', async () => {
    const feeds = { ...TWO_HEADS_FEEDS, index: tensor('int64', [1], BigInt64Array.of(1n)) };
    const result = await compare(twoHeads(), twoHeads(), { feeds });
    expect(Object.keys(verdicts(result))).to.have.members([
      'trunk',
      'sum',
      'product',
      'call',
      'branch',
      'chosen',
    ]);
    expect(result.passed).to.equal(true);
    expect(result.notes.join('\n')).to.include('in the bodies of If').and.to.include('local functions');
  });

  it('outputs that are inputs or weights are compared; an output that one side lacks does not pass', async () => {
    const model = (value: number, ...names: string[]) =>
      smallModel([node('Add', 'x w', 'y')], {
        weights: { w: tensor('float32', [1], Float32Array.of(value)) },
        output: names.map((name) => declared(name, 'float32', name === 'w' ? [1] : ['N', 4])),
      });
    expect(verdicts(await compare(model(1, 'y', 'x', 'w'), model(1, 'y', 'x', 'w')))).to.deep.equal({ y: 'within', x: 'within', w: 'within' }); // prettier-ignore
    expect(verdicts(await compare(model(1, 'x', 'w'), model(2, 'x', 'w')))).to.deep.equal({
      x: 'within',
      w: 'drifts',
    });
    const lacking = await compare(model(1, 'y', 'x'), model(1, 'y'));
    expect(lacking.passed).to.equal(false);
    expect(lacking.notCompared).to.deep.equal([
      {
        name: 'x',
        side: 'actual',
        reason: 'the session merges or fuses the nodes around it, or no output needs it',
        isOutput: true,
      },
    ]);
  });

  it('models with other inputs are refused, and floats are cast for an input of another dtype', async () => {
    const model = (name: string, dtype: 'float32' | 'float16') =>
      smallModel([castNode(name, 'y', 'float32')], { input: [declared(name, dtype, ['N', 4])] });
    const error = await rejection(compare(model('x', 'float32'), model('z', 'float32')));
    expect(error).to.be.instanceOf(ParityError).with.property('code', 'INPUTS_DIFFER');
    expect((error as Error).message)
      .to.include('a got x')
      .and.to.include("b takes 'z' float32");
    const halves = await compare(model('x', 'float32'), model('x', 'float16'));
    expect([halves.passed, halves.notes]).to.deep.equal([
      true,
      ["input 'x' is cast from float32 to float16 for b"],
    ]);
  });

  it('an error of a session has the label of its side', async () => {
    const picked = (index: number) =>
      smallModel([node('Gather', 'x at', 'y')], {
        weights: { at: tensor('int64', [1], BigInt64Array.of(BigInt(index))) },
        output: [declared('y', 'float32', ['M', 4])],
      });
    const error = await rejection(compare(picked(0), picked(7)));
    expect(error).to.be.instanceOf(SessionError);
    expect((error as Error).message).to.match(/^b: /);
  });

  it('compareModels refuses a side that is not an object with a model', async () => {
    const side = { model: scaledBy(1, 1, 1, 1) };
    const error = await rejection(compareModels('a.onnx' as never, side, { feeds: X }));
    expect(error).to.have.property('code', 'NO_OPTIONS');
    expect((error as Error).message)
      .to.include('the expected side')
      .and.to.include('model, session, label');
    const unknown = { ...side, session: { providers: ['cuda'] }, label: 'GPU' } as const;
    const failed = (await rejection(compareModels(side, unknown, { feeds: X }))) as Error;
    expect(failed).to.be.instanceOf(SessionError);
    expect(failed.message).to.match(/^GPU: /);
  });

  it('values may have the names of methods and of what is added to measure them', async () => {
    const names = ['__proto__', 'dispose', 'shape_0', 'constructor'];
    const nodes = names.map((name, index) => node('Neg', names[index - 1] ?? 'x', name));
    // The size of `places` depends on data, so that it is measured.
    const others = [node('NonZero', 'x', 'places'), node('Abs', 'places', 'y')];
    const output = [declared('y', 'int64', [2, 'K']), declared('constructor', 'float32', ['N', 4])];
    const model = smallModel([...nodes, ...others], { output });
    const result = await compare(model, model);
    expect(result.values.map(({ name }) => name)).to.deep.equal([...names, 'places', 'y']);
    expect(result.passed).to.equal(true);
  });

  it('values without elements are named, and do not pass where nothing else is compared', async () => {
    const empty = { feeds: { x: tensor('float32', [0, 4], new Float32Array(0)) } };
    const result = await compare(scaledBy(1, 1, 1, 1), scaledBy(1, 2, 1, 1), empty);
    expect(result.passed).to.equal(false);
    expect(result.notes).to.include(
      "without elements, so that nothing was compared: 3 values, 'positive', 'scaled', 'y' (output)",
    );
    const output = ['y', 'none'].map((name) => declared(name, 'float32', ['N', 4]));
    const nodes = [node('Relu', 'x', 'y'), node('Slice', 'x zero zero', 'none')];
    const zero = tensor('int64', [1], BigInt64Array.of(0n));
    const model = smallModel(nodes, { output, weights: { zero } });
    const other = await compare(model, model);
    expect(other.passed).to.equal(true);
    expect(other.notes.join()).to.include("nothing was compared: 1 value, 'none' (output)");
  });

  it('a value named __proto__ is not compared where ONNX Runtime loses it, and the others are', async () => {
    const [inside, outside] = ['y', '__proto__'].map((name) =>
      smallModel([node('Relu', 'x', '__proto__'), node('Neg', '__proto__', 'y')], {
        output: [declared(name, 'float32', ['N', 4])],
      }),
    ) as [Uint8Array, Uint8Array];
    const plain = { providers: ['cpu'], groupNorm: 'reduce-mean' } as const;
    for (const session of [plain, { providers: ['wasm'] } as const]) {
      const other = { model: inside, label: 'b', session };
      const result = await compareModels({ model: inside, label: 'a' }, other, { feeds: X });
      expect(verdicts(result)).to.deep.equal({ y: 'within' });
      expect(result.notCompared[0]).to.deep.include({ name: '__proto__', reason: 'the packages of ONNX Runtime for JavaScript lose a value of this name' }); // prettier-ignore
    }
    const lost = { model: outside, session: plain };
    expect((await compareModels(lost, lost, { feeds: X })).passed).to.equal(false);
  });

  it('a value of an optional type is not compared, and the value within is', async () => {
    const nodes = [node('Optional', 'x', 'maybe'), node('OptionalGetElement', 'maybe', 'got'), node('Neg', 'got', 'y')]; // prettier-ignore
    const model = smallModel(nodes);
    const result = await compare(model, model);
    expect(verdicts(result)).to.deep.equal({ got: 'within', y: 'within' });
    expect(result.notCompared).to.deep.equal([{ name: 'maybe', side: 'expected', reason: 'it is not a tensor, or of a dtype that sessions do not return', isOutput: false }]); // prettier-ignore
    const optional = { name: 'maybe', type: { optionalType: { elemType: declared('x', 'float32', ['N', 4]).type! } } }; // prettier-ignore
    const returned = smallModel(nodes, { output: [declared('y', 'float32', ['N', 4]), optional] });
    const other = await compare(returned, returned);
    expect(other.notCompared[0]).to.deep.include({ name: 'maybe', isOutput: true });
  });

  it('two sides that run in the same way are told', async () => {
    const model = scaledBy(1, 2, 3, 4);
    const { notes } = await compare(model, model);
    expect(notes.join()).to.include('both sides run the same model').and.to.include('in the same way');
  });

  it('heat maps show where the worst values differ, by channels and in space', async () => {
    const dims = [1, 2, 2, 3];
    const shape = { input: [declared('x', 'float32', dims)], output: [declared('y', 'float32', dims)] };
    const added = (...data: number[]) =>
      smallModel([node('Add', 'x w', 'y')], {
        ...shape,
        weights: { w: tensor('float32', dims, Float32Array.from(data)) },
      });
    const zeros = new Array<number>(12).fill(0);
    const feeds = { x: tensor('float32', dims, new Float32Array(12)) };
    const result = await compare(added(...zeros), added(0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0), {
      feeds,
      atol: 1,
      heatMaps: 3,
    });
    expect(result.heatMaps).to.deep.equal([
      {
        name: 'y',
        maps: [
          { down: { axis: 'channels', size: 2 }, across: { axis: 'positions', size: 6 }, cells: [[0, 0, 0, 0, 0, 2], [1, 0, 0, 0, 0, 0]] },
          { down: { axis: 'axis 2', size: 2 }, across: { axis: 'axis 3', size: 3 }, cells: [[1, 0, 0], [0, 0, 2]] },
        ],
      },
    ]); // prettier-ignore
  });

  it('compareValues compares a model with tensors that are known, by the names of its values', async () => {
    const run = await ModelRun.open(NODE, scaledBy(2, 2, 2, 2), { feeds: X });
    try {
      const tensors = new Map([
        ['scaled', floats(2, 0, 6, 8, 10, 12, 0, 17)],
        ['positive', floats(1, 0, 3, 4, 5, 6, 0, 8)],
        ['other', floats(1, 2, 3, 4)],
      ]);
      const result = await compareValues(run, knownValues(tensors), { maxBytes: 1e6 });
      expect(verdicts(result)).to.deep.equal({ positive: 'within', scaled: 'drifts' });
      expect(result.notCompared).to.deep.equal([
        { name: 'other', side: 'actual', reason: 'the graph has no value of this name', isOutput: false },
      ]);
    } finally {
      await run.dispose();
    }
  });
});
