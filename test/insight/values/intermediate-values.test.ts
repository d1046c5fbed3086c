import { expect } from 'chai';
import { afterEach, describe, it } from 'mocha';
import { writeFileSync } from 'node:fs';
import { SessionError } from '../../../lib/errors.js';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import { ModelRun } from '../../../lib/insight/values/intermediate-values.js';
import { encodeModelExternal } from '../../../lib/onnx/encode.js';
import { ModelProto, type ValueInfoMessage } from '../../../lib/onnx/protobuf/proto.js';
import type { Feeds, SessionOptions } from '../../../lib/runtime/core/contract.js';
import { NODE } from '../../../lib/runtime/node.js';
import { tensor, type TensorData } from '../../../lib/tensor.js';
import { exportedModel } from '../../support/exported-model.js';
import { randomTensor } from '../../support/group-norm.js';
import { NATIVE_REASON } from '../../support/native.js';
import { castNode, declared, intAttribute, node, smallModel, STRING } from '../../support/small-model.js';
import { rejection, temporaryFolder } from '../../support/temporary.js';
import { TWO_HEADS_FEEDS, twoHeads } from '../../support/two-heads.js';

const floats = (...values: number[]): TensorData =>
  tensor('float32', [values.length / 4, 4], Float32Array.from(values));

describe('values inside a model', () => {
  const at = temporaryFolder();
  const runs: ModelRun[] = [];
  afterEach(async () => {
    for (const run of runs.splice(0)) await run.dispose();
  });

  async function open(model: string | Uint8Array, feeds: Feeds, session?: SessionOptions): Promise<ModelRun> {
    const run = await ModelRun.open(NODE, model, { feeds, session });
    runs.push(run);
    return run;
  }

  /** Reads values as lists of numbers, slice by slice. */
  async function slicesOf(run: ModelRun, names: readonly string[], maxBytes = Infinity) {
    const slices: Record<string, number[]>[] = [];
    for await (const tensors of run.slices(names, maxBytes)) {
      const entries = [...tensors].map(([name, { data }]) => [name, Array.from(data, Number)]);
      slices.push(Object.fromEntries(entries) as Record<string, number[]>);
    }
    return slices;
  }

  /** y = (relu(x) + relu(x)) * relu(x), and so on. */
  const chain = (): Uint8Array =>
    smallModel([node('Relu', 'x', 'a'), node('Add', 'a a', 'b'), node('Mul', 'b a', 'y')]);

  it('a run returns inputs and outputs together, and then the values between, whose sizes it measures', async () => {
    for (const providers of [['cpu'], ['wasm']] as const) {
      const run = await open(chain(), { x: floats(1, -2, 3, 4) }, { providers });
      expect(run.names).to.deep.equal(['a', 'b', 'y']);
      expect(await slicesOf(run, ['x', ...run.names])).to.deep.equal([
        { x: [1, -2, 3, 4], y: [2, 0, 18, 32] },
        { a: [1, 0, 3, 4], b: [2, 0, 6, 8] },
      ]);
    }
  });

  it('the values of a slice take no more bytes than allowed, unless one alone does', async () => {
    const run = await open(chain(), { x: floats(1, -2, 3, 4) });
    expect(await run.plan(run.names, 31)).to.deep.equal([['y'], ['a'], ['b']]);
    expect(await run.plan(run.names, 32)).to.deep.equal([['y'], ['a', 'b']]);
    expect(await slicesOf(run, ['b', 'a'], 0)).to.deep.equal([{ b: [2, 0, 6, 8] }, { a: [1, 0, 3, 4] }]);
  });

  it('sizes follow from the feeds, whatever the model declares, and those that depend on data are measured', async () => {
    const nodes = [node('NonZero', 'x', 'places'), node('Abs', 'places', 'same'), node('Relu', 'x', 'a')];
    const output = [declared('out', 'float32', ['M', 4]), declared('y', 'int64', [2, 'K'])];
    const model = smallModel([...nodes, node('Abs', 'same', 'y'), node('Neg', 'a', 'out')], { output });
    const run = await open(model, { x: floats(1, 0, 3, 0, 5, 0, 7, 0) });
    // (2, 4) of int64 for the 4 elements that are not 0, and (2, 4) of float32.
    expect(await run.plan(run.names, 64 + 64)).to.deep.equal([['y', 'out'], ['places', 'same'], ['a']]);
    expect(await run.plan(run.names, 64 + 63)).to.deep.equal([['y', 'out'], ['places'], ['same', 'a']]);
  });

  it('the tensors of a slice are empty after the next slice is asked for', async () => {
    const run = await open(chain(), { x: floats(1, -2, 3, 4) });
    const held: TensorData[] = [];
    for await (const tensors of run.slices(['a', 'b'], 0)) held.push(...tensors.values());
    expect(held.map(({ data }) => data.length)).to.deep.equal(NATIVE_REASON === undefined ? [0, 0] : [4, 4]);
  });

  it('values that are not tensors of numbers, weights and values in bodies have a reason', async () => {
    const model = smallModel([
      node('SequenceConstruct', 'x x', 'list'),
      node('SequenceAt', 'list at', 'item'),
      castNode('item', 'text', STRING),
      castNode('text', 'y', 'float32'),
      node('Constant', '', 'at', intAttribute('value_int', 0)),
    ]);
    const run = await open(model, { x: floats(1, -2, 3, 4) });
    expect(await slicesOf(run, [...run.names, 'z'])).to.deep.equal([
      { y: [1, -2, 3, 4] },
      { item: [1, -2, 3, 4] },
    ]);
    expect(run.whyNot('list')).to.include('not a tensor');
    expect(run.whyNot('text')).to.include('texts');
    expect(run.whyNot('z')).to.include('no value of this name');

    const heads = await open(twoHeads(), {
      ...TWO_HEADS_FEEDS,
      index: tensor('int64', [1], BigInt64Array.of(1n)),
    });
    expect(await slicesOf(heads, ['trunk', 'one', 'branch', 'call'])).to.deep.equal([
      { branch: [2, 3], call: [-2, -3] },
      { trunk: [2, 3] },
    ]);
    expect(heads.whyNot('one')).to.include('without a feed');
    expect(heads.whyNot('three')).to.include('weight');
    expect(heads.whyNot('then_branch_out')).to.include('body of an If');
  });

  it('a value of a dtype that the runtime does not return is left out, and the others can be read', async () => {
    const FLOAT8E4M3FN = 17;
    const nodes = [
      node('Relu', 'x', 'a'),
      node('Cast', 'a', 'small', intAttribute('to', FLOAT8E4M3FN)),
      castNode('small', 'y', 'float32'),
    ];
    const model = ModelProto.decode(smallModel(nodes));
    const bytes = ModelProto.encode({ ...model, opsetImport: [{ domain: '', version: 19 }] }).finish();
    for (const providers of [['cpu'], ['wasm']] as const) {
      const run = await open(bytes, { x: floats(1, -2, 3, 4) }, { providers });
      expect(await slicesOf(run, run.names)).to.deep.equal([{ y: [1, 0, 3, 4] }, { a: [1, 0, 3, 4] }]);
      expect(run.whyNot('small')).to.include('dtype');
    }
  });

  it('an output that is a sequence is left out, and the values before it can be read', async () => {
    const sequence: ValueInfoMessage = {
      name: 'list',
      type: { sequenceType: { elemType: { tensorType: { elemType: 1 } } } },
    };
    const nodes = [node('Relu', 'x', 'a'), node('SequenceConstruct', 'a', 'list')];
    const run = await open(smallModel(nodes, { output: [sequence] }), { x: floats(1, -2, 3, 4) });
    expect(await slicesOf(run, run.names)).to.deep.equal([{ a: [1, 0, 3, 4] }]);
    expect(run.whyNot('list')).to.equal('it is a sequence');
  });

  it('ModelRun leaves out of its names the values inside of what the session merges, and can read them all the same', async () => {
    const scale = randomTensor('float32', [4], { stream: 'scale' });
    const x = randomTensor('float32', [1, 4, 3, 3]);
    const { graph, ...model } = ModelProto.decode(
      exportedModel({ x, scale, bias: scale, numGroups: 2, eps: 1e-5 }, 17),
    );
    const node = graph!.node!;
    const inner = node.at(-2)!.output![0]!;
    node.at(-1)!.output = ['norm'];
    node.push({ opType: 'Relu', input: ['norm'], output: ['y'] });
    const bytes = ModelProto.encode({ ...model, graph: graph! }).finish();
    const choices: [SessionOptions, string[]][] = [
      [{ providers: ['cpu'], groupNorm: 'reduce-mean' }, ['norm', 'y']],
      [{ providers: ['wasm'] }, ['norm', 'y']],
    ];
    // The kernel computes the Relu too.
    if (NATIVE_REASON === undefined) choices.push([{ providers: ['native'] }, ['y']]);
    for (const [options, names] of choices) {
      const run = await open(bytes, { x }, options);
      expect(run.names).to.deep.equal(names);
      const [[values]] = [await slicesOf(run, [inner])];
      expect(values![inner]).to.have.length(36);
    }
  });

  it('a bfloat16 value can be read where the runtime does not take bfloat16 over its boundary', async () => {
    const model = smallModel([castNode('x', 'half', 'bfloat16'), castNode('half', 'y', 'float32')]);
    const run = await open(model, { x: floats(1, -2, 3, 4) }, { providers: ['wasm'] });
    const [, inner] = await slicesOf(run, run.names);
    expect(inner).to.deep.equal({ half: [0x3f80, 0xc000, 0x4040, 0x4080] });
  });

  it('the files of weights are found beside the model', async () => {
    const g = new GraphBuilder('test');
    const x = g.input('x', 'float32', [2, 512]);
    const weight = g.parameter('weight', { dtype: 'float32', shape: [512] });
    g.output('y', op.relu(g, op.mul(g, x, weight)));
    const weights = new Map([['weight', tensor('float32', [512], new Float32Array(512).fill(2))]]);
    const { model, data } = encodeModelExternal(g.build(), weights, 'm.data');
    writeFileSync(at('m.onnx'), model);
    writeFileSync(at('m.data'), Buffer.concat(data));
    const feeds = { x: tensor('float32', [2, 512], new Float32Array(1024).fill(-3)) };
    const run = await open(at('m.onnx'), feeds);
    const [outputs, inner] = await slicesOf(run, run.names);
    expect([Object.values(outputs!)[0]![7], Object.values(inner!)[0]![7]]).to.deep.equal([0, -6]);
  });

  it("a model in ONNX Runtime's own format is refused, for it has no values to show", async () => {
    const bytes = Uint8Array.from('\0\0\0\0ORTM', (letter) => letter.charCodeAt(0));
    const error = (await rejection(ModelRun.open(NODE, bytes, { feeds: {} }))) as SessionError;
    expect(error).to.be.instanceOf(SessionError).with.property('code', 'MODEL_REJECTED');
    expect(error.message).to.include('.ort').and.to.include('.onnx');
  });
});
