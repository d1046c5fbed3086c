import { expect } from 'chai';
import { describe, it } from 'mocha';
import { writeFileSync } from 'node:fs';
import { FileError, ModelError, OptionError } from '../../../lib/errors.js';
import { GraphBuilder, type Scope } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import type { Value } from '../../../lib/graph/types.js';
import { inspectModel as inspectInBrowser } from '../../../lib/insight/browser.js';
import type { InspectOptions } from '../../../lib/insight/inspect/inspect.js';
import { inspectModel } from '../../../lib/insight/node.js';
import type { Normalization } from '../../../lib/insight/inspect/types.js';
import type { LoweringName } from '../../../lib/lowering/types.js';
import { delimited, joinChunks, textField } from '../../../lib/onnx/protobuf/chunks.js';
import { encodeModel, encodeModelExternal } from '../../../lib/onnx/encode.js';
import {
  ATTRIBUTE_TYPE,
  type AttributeMessage,
  GraphProto,
  type ModelMessage,
  ModelProto,
  type NodeMessage,
  NodeProto,
} from '../../../lib/onnx/protobuf/proto.js';
import { ENTRY, GRAPH, MODEL, NODE } from '../../../lib/onnx/protobuf/schema.js';
import { encodeTensor } from '../../../lib/onnx/protobuf/tensors.js';
import { encodeValueInfo } from '../../../lib/onnx/graph/value-info.js';
import { planOf } from '../../../lib/runtime/model/prepare.js';
import { tensor } from '../../../lib/tensor.js';
import { exportedModel } from '../../support/exported-model.js';
import { type GroupNormCase, groupNormModel, randomTensor } from '../../support/group-norm.js';
import { atOpset, instanceNormModel } from '../../support/old-models.js';
import { rejection, temporaryFolder } from '../../support/temporary.js';

/** torch.nn.GroupNorm(4, 8, eps=1e-3) on (2, 8, 6, 5). */
const CASE: GroupNormCase = {
  x: randomTensor('float32', [2, 8, 6, 5]),
  scale: randomTensor('float32', [8], { stream: 'scale' }),
  bias: randomTensor('float32', [8], { stream: 'bias' }),
  numGroups: 4,
  eps: Math.fround(1e-3),
};
/** What the module's definition says of it, however the model has it. */
const MODULE = { operator: 'GroupNormalization', groups: 4, channels: 8, epsilon: 1e-3, affine: true, dtype: 'float32', where: 'graph' }; // prettier-ignore

const REWRITTEN = {
  native: 'kernel',
  cpu: 'reduce-mean',
  cuda: 'reduce-mean',
  tensorrt: 'reduce-mean',
  webgpu: 'reduce-mean',
  wasm: 'reduce-mean',
  coreml: 'reduce-mean',
  dml: 'reduce-mean',
};
const everywhere = (execution: string) =>
  Object.fromEntries(Object.keys(REWRITTEN).map((provider) => [provider, execution]));

/** Returns the only normalization of a model. */
async function only(model: Uint8Array): Promise<Normalization> {
  const { normalizations } = await inspectModel(model);
  expect(normalizations).to.have.length(1);
  return normalizations[0]!;
}

/** Returns a model whose graph another function makes of its input `x`. */
function modelOf(
  make: (g: GraphBuilder, x: Value) => Value,
  { shape = [2, 8, 6, 5] as readonly number[], opset = 21, dtype = 'float32' as const } = {},
): Uint8Array {
  const g = new GraphBuilder('test');
  g.output('y', make(g, g.input('x', dtype, shape)));
  return encodeModel(g.build(), new Map(), { opset, lowering: opset >= 21 ? 'op' : undefined });
}

const weights = (g: Scope, stream: string, dims: readonly number[]): Value =>
  g.constant(randomTensor('float32', dims, { stream }));
const groupNorm = (g: Scope, x: Value): Value =>
  op.groupNormalization(g, x, weights(g, 'scale', [8]), weights(g, 'bias', [8]), {
    numGroups: 4,
    epsilon: 1e-3,
  });

/** GroupNorm by hand: the variance as the mean of (r − m)², or as E[r²] − E[r]². */
function written(g: GraphBuilder, x: Value, isUnstable: boolean): Value {
  const rows = op.reshape(g, x, [2, 4, -1]);
  const axes = { axes: [2] };
  const square = (value: Value) => op.mul(g, value, value);
  const mean = op.reduceMean(g, rows, axes);
  const centred = op.sub(g, rows, mean);
  const variance = isUnstable
    ? op.sub(g, op.reduceMean(g, square(rows), axes), square(mean))
    : op.reduceMean(g, square(centred), axes);
  const epsilon = g.constant(tensor('float32', [], Float32Array.of(1e-3)));
  const deviation = op.sqrt(g, op.add(g, variance, epsilon));
  const joined = op.reshape(g, op.div(g, centred, deviation), [2, 8, 6, 5]);
  const scaled = op.mul(g, joined, weights(g, 'scale', [8, 1, 1]));
  return op.add(g, scaled, weights(g, 'bias', [8, 1, 1]));
}

const EPSILON = { name: 'epsilon', type: ATTRIBUTE_TYPE.FLOAT, f: 1e-3 };
function node(opType: string, input: string[], ...attribute: AttributeMessage[]): NodeMessage {
  return { opType, input, output: ['y'], attribute: [EPSILON, ...attribute] };
}
function microsoft(...args: Parameters<typeof node>): NodeMessage {
  return { ...node(...args), domain: 'com.microsoft' };
}

/** Returns a model of these nodes, of an input `x`, vectors `gamma`, `beta`, `ones` and `zeros` of 8, and an output `y`. */
function raw(nodes: NodeMessage[], model: ModelMessage = {}, scopes?: string): Uint8Array {
  const filled = (element: number) => tensor('float32', [8], new Float32Array(8).fill(element));
  const dims = { name: 'x', dtype: 'float32', shape: [2, 8, 6, 5] } as const;
  const initializer = [
    encodeTensor('gamma', randomTensor('float32', [8])),
    encodeTensor('beta', randomTensor('float32', [8])),
    encodeTensor('ones', filled(1)),
    encodeTensor('zeros', filled(0)),
  ];
  const opsetImport = [{ domain: '', version: 23 }, { domain: 'com.microsoft', version: 1 }]; // prettier-ignore
  const declared = {
    initializer,
    input: [encodeValueInfo(dims)],
    output: [encodeValueInfo({ ...dims, name: 'y' })],
  };
  const entry = [
    ...textField(ENTRY.key, 'pkg.torch.onnx.name_scopes'),
    ...textField(ENTRY.value, scopes ?? ''),
  ];
  const metadata = scopes === undefined ? [] : delimited(NODE.metadataProps, entry);
  const fields = nodes.flatMap((one) => delimited(GRAPH.node, [NodeProto.encode(one).finish(), ...metadata]));
  return joinChunks([
    ModelProto.encode({ irVersion: 10, opsetImport, ...model }).finish(),
    ...delimited(MODEL.graph, [...fields, GraphProto.encode(declared).finish()]),
  ]);
}

describe('inspectModel', () => {
  const at = temporaryFolder();

  const forms: Record<string, [model: Uint8Array, form: string]> = {
    'the operator of opset 21': [groupNormModel(CASE, { lowering: 'op', opset: 21 }), 'operator'],
    "PyTorch's export below opset 21": [exportedModel(CASE, 17), 'exported'],
    "PyTorch's export at opset 11": [atOpset(exportedModel(CASE, 13), 11), 'exported'],
    'arithmetic': [modelOf((g, x) => written(g, x, false), { opset: 17 }), 'written'],
    "ONNX's definition in the operator's place": [modelOf((g, x) => written(g, x, true), { opset: 17 }), 'inlined'],
  }; // prettier-ignore
  for (const [name, [model, form]] of Object.entries(forms)) {
    it(`inspectModel describes GroupNorm as ${name} by the numbers of the PyTorch module`, async () => {
      const row = await only(model);
      expect(row).to.deep.include({ ...MODULE, form, activation: 'none', residual: undefined });
      expect(row.providers).to.deep.equal(REWRITTEN);
      expect(row.shape!.slice(1, 2)).to.deep.equal([8]);
    });
  }

  it('inspectModel takes the kernel and the lowering of each provider from the plan of sessions', () => {
    const site = { name: '', x: { name: 'x', dtype: 'float32', shape: [2, 8, 4] }, numGroups: 4, epsilon: 1e-5, output: 'y' } as const; // prettier-ignore
    for (const [provider, execution] of Object.entries(REWRITTEN))
      expect(planOf(provider as 'native').execute('operator', site)).to.equal(execution);
  });

  const behind: Record<string, [(g: GraphBuilder, y: Value, x: Value) => Value, Partial<Normalization>]> = {
    'Relu': [(g, y) => op.relu(g, y), { activation: 'relu', residual: undefined }],
    'SiLU': [(g, y) => op.mul(g, y, op.sigmoid(g, y)), { activation: 'silu', residual: undefined }],
    'a residual and Relu': [(g, y, x) => op.relu(g, op.add(g, y, x)), { activation: 'relu', residual: 'x' }],
    'another reader as well': [(g, y) => op.add(g, op.relu(g, y), op.tanh(g, y)), { activation: 'none' }],
  }; // prettier-ignore
  for (const [name, [follow, expected]] of Object.entries(behind)) {
    it(`inspectModel says what is behind a normalization: ${name}`, async () => {
      for (const norm of [groupNorm, (g: GraphBuilder, x: Value) => written(g, x, false)])
        expect(await only(modelOf((g, x) => follow(g, norm(g, x), x)))).to.include(expected);
    });
  }

  it('inspectModel describes InstanceNormalization, which sessions rewrite', async () => {
    const row = await only(instanceNormModel(CASE, [2, 8, 6, 5]));
    expect(row).to.deep.include({
      ...MODULE,
      operator: 'InstanceNormalization',
      groups: 8,
      shape: [2, 8, 6, 5],
    });
    expect(row.providers).to.deep.equal(REWRITTEN);
    expect(row.warnings.join()).to.include(
      'loses digits if the mean of a channel is many times its standard deviation',
    );
  });

  it('inspectModel describes LayerNormalization, which sessions rewrite where the rows are long', async () => {
    const model = (length: number) =>
      modelOf(
        (g, x) => op.layerNormalization(g, x, weights(g, 'scale', [length]), undefined, { epsilon: 1e-6 }),
        {
          shape: [2, length],
        },
      );
    const short = await only(model(1024));
    expect(short).to.include({ operator: 'LayerNormalization', groups: undefined, channels: undefined, epsilon: 1e-6, affine: true }); // prettier-ignore
    expect(short.providers).to.deep.equal({
      ...everywhere('onnxruntime'),
      webgpu: 'reduce-mean',
      wasm: 'reduce-mean',
    });
    expect(short.warnings).to.deep.equal([]);
    const long = await only(model(1025));
    expect(long.providers).to.deep.equal(REWRITTEN);
    expect(long.warnings.join()).to.include('more than 1024 elements');
  });

  const operators: [operator: string, node: NodeMessage, expected: object][] = [
    ['RMSNormalization', node('RMSNormalization', ['x', 'gamma']), { affine: true, channels: undefined }],
    ['BatchNormalization', node('BatchNormalization', ['x', 'ones', 'zeros', 'zeros', 'ones']), { affine: false, channels: 8 }],
    ['com.microsoft.SkipLayerNormalization', microsoft('SkipLayerNormalization', ['x', 'x', 'ones', 'beta']), { affine: true }],
  ]; // prettier-ignore
  for (const [operator, message, expected] of operators) {
    it(`inspectModel describes ${operator}, which ONNX Runtime runs`, async () => {
      const row = await only(raw([message]));
      expect(row).to.include({ operator, form: 'operator', epsilon: 1e-3, groups: undefined, ...expected });
      expect(row.providers).to.deep.equal(everywhere('onnxruntime'));
      expect(row.warnings).to.deep.equal([]);
    });
  }

  it("inspectModel describes ONNX Runtime's GroupNorm and SkipGroupNorm, with the SiLU in them", async () => {
    const groups = { name: 'groups', type: ATTRIBUTE_TYPE.INT, i: 4 };
    const silu = { name: 'activation', type: ATTRIBUTE_TYPE.INT, i: 1 };
    const first = { name: 'channels_last', type: ATTRIBUTE_TYPE.INT, i: 0 };
    const plain = await only(raw([microsoft('GroupNorm', ['x', 'gamma', 'beta'], groups, silu, first)]));
    expect(plain).to.deep.include({ ...MODULE, operator: 'com.microsoft.GroupNorm', activation: 'silu', shape: [2, 8, 6, 5] }); // prettier-ignore
    expect(plain.providers).to.deep.equal(REWRITTEN);
    const skip = await only(raw([microsoft('SkipGroupNorm', ['x', 'gamma', 'beta', 'x'], groups)]));
    expect(skip).to.deep.include({ ...MODULE, operator: 'com.microsoft.SkipGroupNorm', activation: 'none', shape: [2, 8, 8, 6] }); // prettier-ignore
  });

  it('inspectModel names the versions of TensorRT that take num_groups = 1 for InstanceNorm, or refuse the operator', async () => {
    const warnings = async (numGroups: number, lowering: LoweringName, opset = 21) =>
      (await only(groupNormModel({ ...CASE, numGroups }, { lowering, opset }))).warnings.join();
    expect(await warnings(1, 'op'))
      .to.include('TensorRT/issues/4756')
      .and.to.include('TensorRT/issues/4336');
    expect(await warnings(4, 'op')).not.to.include('TensorRT/issues/4756');
    expect(await warnings(1, 'op', 18))
      .to.include('TensorRT/issues/4756')
      .and.not.to.include('TensorRT/issues/4336');
    expect(await warnings(1, 'reduce-mean')).not.to.include('TensorRT');
  });

  it('inspectModel says what refuses the operator of opset 18, whose scale has one element for each group', async () => {
    const row = await only(groupNormModel(CASE, { lowering: 'op', opset: 18 }));
    expect(row.warnings.join()).to.include('onnx.checker refuses the model');
  });

  const SCOPES = "['', 'layer1', 'layer1.0', 'layer1.0.bn1', 'group_norm']";
  const modules: [name: string, node: NodeMessage, scopes: string | undefined, path: string | undefined][] = [
    ['torch.export leaves it in the metadata', node('RMSNormalization', ['x', 'gamma']), SCOPES, 'layer1.0.bn1'],
    ['TorchScript leaves it in the name', { ...node('RMSNormalization', ['x', 'gamma']), name: '/features/features.1/conv/conv.0/conv.0.0/bn1/Mul' }, undefined, 'features.1.conv.0.0.bn1'],
    ['neither does', { ...node('RMSNormalization', ['x', 'gamma']), name: 'RMSNormalization_5' }, undefined, undefined],
  ]; // prettier-ignore
  for (const [name, message, scopes, path] of modules) {
    it(`inspectModel says the PyTorch module of a normalization: ${name}`, async () => {
      expect((await only(raw([message], {}, scopes))).module).to.equal(path);
    });
  }

  it('inspectModel lists the normalizations in bodies and functions, with what the nodes say', async () => {
    const groups = { name: 'num_groups', type: ATTRIBUTE_TYPE.INT, i: 4 };
    const inner = node('GroupNormalization', ['x', 'gamma', 'beta'], groups);
    const body = { name: 'body', node: [inner], output: [{ name: 'y' }] };
    const branch = (name: string) => ({ name, type: ATTRIBUTE_TYPE.GRAPH, g: body });
    const choice = {
      opType: 'If',
      name: 'choice',
      input: ['c'],
      output: ['y'],
      attribute: [branch('then_branch')],
    };
    const called = { name: 'Block', domain: 'local', input: ['x'], output: ['y'], node: [node('LayerNormalization', ['x', 'x'])] }; // prettier-ignore
    const { model, normalizations } = await inspectModel(raw([choice], { functions: [called] }));
    expect(model.controlFlow).to.deep.equal({ If: 1 });
    expect(model.functions).to.deep.equal(['local.Block']);
    expect(model.operators).to.deep.equal({ If: 1, GroupNormalization: 1, LayerNormalization: 1 });
    const [inBody, inFunction] = normalizations;
    expect(inFunction).to.include({
      operator: 'LayerNormalization',
      where: 'function local.Block',
      epsilon: 1e-3,
    });
    expect(inBody).to.include({ operator: 'GroupNormalization', where: "body of If 'choice'", groups: 4, epsilon: 1e-3, channels: 8, dtype: 'float32', affine: true }); // prettier-ignore
    expect(inBody!.shape).to.deep.equal([2, 8, 6, 5]);
    expect(inBody!.providers).to.deep.equal({ ...everywhere('reduce-mean'), native: 'kernel' });
  });

  it('inspectModel describes a norm of a function by its calls, and says why one of them cannot be rewritten', async () => {
    const reference = { name: 'num_groups', type: ATTRIBUTE_TYPE.INT, refAttrName: 'g' };
    const norm = {
      opType: 'GroupNormalization',
      input: ['v', 's', 'b'],
      output: ['r'],
      attribute: [reference],
    };
    const block = { name: 'Block', domain: 'local', input: ['v', 's', 'b'], output: ['r'], node: [norm] };
    const call = (x: string, g: number) => ({ opType: 'Block', domain: 'local', input: [x, 'gamma', 'beta'], output: [`${x}${g}`], attribute: [{ name: 'g', type: ATTRIBUTE_TYPE.INT, i: g }] }); // prettier-ignore
    const unknown = { opType: 'Unknown', input: ['x'], output: ['u'] };
    const describe = async (...nodes: NodeMessage[]) =>
      (await inspectModel(raw(nodes, { functions: [block] }))).normalizations.find(
        ({ where }) => where !== 'graph',
      )!;
    const known = await describe(call('x', 2), call('x', 4));
    expect(known).to.include({ where: 'function local.Block', groups: undefined, channels: 8, affine: true });
    expect(known.providers).to.deep.equal({ ...everywhere('reduce-mean'), native: 'kernel' });
    const refused = await describe(call('x', 2), unknown, call('u', 2));
    expect(refused.providers).to.deep.equal({ ...everywhere('refused'), native: 'kernel' });
    expect(refused.warnings.join()).to.include("the rank of the node's input");
    expect((await describe()).providers).to.deep.equal(everywhere('onnxruntime'));
  });

  it('inspectModel describes every operator in bodies and functions, with its shape, affine and activation', async () => {
    const relu = { opType: 'Relu', input: ['r'], output: ['o'] };
    const instance = { ...node('InstanceNormalization', ['v', 's', 'b']), output: ['r'] };
    const block = {
      name: 'Block',
      domain: 'local',
      input: ['v', 's', 'b'],
      output: ['o'],
      node: [instance, relu],
    };
    const layer = {
      ...node('LayerNormalization', ['x', 'six'], { name: 'axis', type: ATTRIBUTE_TYPE.INT, i: -1 }),
      output: ['l'],
    };
    const called = { opType: 'Block', domain: 'local', input: ['l', 'ones', 'beta'], output: ['y'] };
    const body = { name: 'body', node: [layer, called], output: [{ name: 'y' }] };
    const branch = { name: 'then_branch', type: ATTRIBUTE_TYPE.GRAPH, g: body };
    const six = {
      opType: 'Constant',
      output: ['six'],
      attribute: [{ name: 'value_floats', type: ATTRIBUTE_TYPE.FLOATS, floats: [1, 1, 1, 1, 1] }],
    };
    const choice = {
      opType: 'If',
      name: 'choice',
      input: ['c'],
      output: ['y'],
      attribute: [branch],
    };
    const { normalizations } = await inspectModel(raw([six, choice], { functions: [block] }));
    const common = { shape: [2, 8, 6, 5], dtype: 'float32', epsilon: 1e-3 };
    const ofShortRows = { ...everywhere('onnxruntime'), webgpu: 'reduce-mean', wasm: 'reduce-mean' };
    expect(normalizations).to.have.length(2);
    expect(normalizations[0]).to.deep.include({ ...common, providers: ofShortRows, operator: 'LayerNormalization', where: "body of If 'choice'", affine: false, activation: 'none' }); // prettier-ignore
    expect(normalizations[1]).to.deep.include({ ...common, providers: REWRITTEN, operator: 'InstanceNormalization', where: 'function local.Block', groups: 8, channels: 8, affine: true, activation: 'relu' }); // prettier-ignore
  });

  for (const [name, made] of Object.entries({
    exported: exportedModel(CASE, 17),
    written: modelOf((g, x) => written(g, x, false)),
    inlined: modelOf((g, x) => written(g, x, true)),
  })) {
    const { graph, opsetImport } = ModelProto.decode(made);
    const { node: nodes, initializer, output } = graph!;
    const expected = { ...MODULE, form: name };

    it(`inspectModel finds GroupNorm in a body that is ${name}, which sessions rewrite there`, async () => {
      const body = { name: 'body', node: nodes!, initializer: initializer!, output: output! };
      const branch = { name: 'then_branch', type: ATTRIBUTE_TYPE.GRAPH, g: body };
      const choice = { opType: 'If', name: 'choice', input: ['c'], output: ['y'], attribute: [branch] };
      const row = await only(raw([choice], { opsetImport: opsetImport }));
      expect(row).to.include({ ...expected, where: "body of If 'choice'" });
      expect(row.shape).to.deep.equal([2, 8, 6, 5]);
      expect(row.providers).to.deep.equal(REWRITTEN);
    });

    it(`inspectModel finds GroupNorm in a function that is ${name}, with an epsilon that the calls give`, async () => {
      const epsilon = { name: 'epsilon', type: ATTRIBUTE_TYPE.FLOAT, refAttrName: 'eps' };
      const inside = nodes!.map((one) =>
        one.opType === 'InstanceNormalization' ? { ...one, attribute: [epsilon] } : one,
      );
      const constants = initializer!.map((t) => ({
        opType: 'Constant',
        output: [t.name!],
        attribute: [{ name: 'value', type: ATTRIBUTE_TYPE.TENSOR, t }],
      }));
      const block = { name: 'Block', domain: 'local', input: ['x'], output: [output![0]!.name!], node: [...constants, ...inside], attribute: ['eps'] }; // prettier-ignore
      const call = { opType: 'Block', domain: 'local', input: ['x'], output: ['y'], attribute: [{ ...EPSILON, name: 'eps' }] }; // prettier-ignore
      const row = await only(raw([call], { functions: [block], opsetImport: opsetImport }));
      expect(row).to.include({ ...expected, where: 'function local.Block' });
    });
  }

  it('inspectModel takes a value that a function returns for more than the input of an activation', async () => {
    const norm = { ...node('InstanceNormalization', ['v', 's', 'b']), output: ['r'] };
    const block = { name: 'Block', domain: 'local', input: ['v', 's', 'b'], output: ['r', 'o'], node: [norm, { opType: 'Relu', input: ['r'], output: ['o'] }] }; // prettier-ignore
    const call = { opType: 'Block', domain: 'local', input: ['x', 'ones', 'beta'], output: ['z', 'y'] };
    expect((await only(raw([call], { functions: [block] }))).activation).to.equal('none');
  });

  it('inspectModel keeps what all calls of a function have in common', async () => {
    const norm = { ...node('InstanceNormalization', ['v', 's', 'b']), output: ['r'] };
    const block = { name: 'Block', domain: 'local', input: ['v', 's', 'b'], output: ['r'], node: [norm] };
    const call = (x: string, output: string) => ({ opType: 'Block', domain: 'local', input: [x, 'ones', 'beta'], output: [output] }); // prettier-ignore
    const pool = { opType: 'GlobalAveragePool', input: ['x'], output: ['p'] };
    const row = await only(raw([pool, call('x', 'y'), call('p', 'z')], { functions: [block] }));
    expect(row).to.deep.include({
      shape: [2, 8, '?', '?'],
      channels: 8,
      groups: 8,
      dtype: 'float32',
      affine: true,
    });
  });

  it('inspectModel describes the head of a model', async () => {
    const bytes = raw([node('RMSNormalization', ['x', 'gamma'])], { producerName: 'pytorch', producerVersion: '2.13.0' }); // prettier-ignore
    const tensorOf = (name: string) => ({ name, dtype: 'float32', shape: [2, 8, 6, 5] });
    expect((await inspectInBrowser(bytes)).model).to.deep.equal({
      irVersion: 10,
      producerName: 'pytorch',
      producerVersion: '2.13.0',
      opsets: { 'ai.onnx': 23, 'com.microsoft': 1 },
      inputs: [tensorOf('x')],
      outputs: [tensorOf('y')],
      operators: { RMSNormalization: 1 },
      parameters: 4 * 8,
      bytes: bytes.byteLength,
      externalData: [],
      functions: [],
      controlFlow: {},
    });
  });

  it('inspectModel says whether the files of the weights are there', async () => {
    const g = new GraphBuilder('test');
    const weight = g.parameter('weight', { dtype: 'float32', shape: [1024] });
    g.output('y', op.add(g, g.input('x', 'float32', [1024]), weight));
    const { model, data } = encodeModelExternal(g.build(), new Map([['weight', randomTensor('float32', [1024])]]), 'w.bin'); // prettier-ignore
    writeFileSync(at('m.onnx'), model);
    const files = async (source: string | Uint8Array) => (await inspectModel(source)).model.externalData;
    expect(await files(model)).to.deep.equal([{ location: 'w.bin', bytes: 4096, isThere: undefined }]);
    const [missing] = await files(at('m.onnx'));
    expect(missing).to.include({ location: 'w.bin', bytes: 4096, isThere: false });
    expect(missing!.problem).to.include('not beside the model');
    writeFileSync(at('w.bin'), Buffer.concat(data));
    expect(await files(at('m.onnx'))).to.deep.equal([{ location: 'w.bin', bytes: 4096, isThere: true }]);
  });

  it('inspectModel refuses bad input with the errors of convertModel', async () => {
    const text = Buffer.from('<!doctype html>');
    const model = raw([node('RMSNormalization', ['x', 'gamma'])]);
    const errors: [input: Uint8Array | string, options: InspectOptions | undefined, type: unknown, code: string][] = [
      [text, undefined, ModelError, 'MODEL_INVALID'],
      [new Uint8Array(0), undefined, ModelError, 'MODEL_INVALID'],
      [model.subarray(0, -3), undefined, ModelError, 'MODEL_INVALID'],
      [model, { limits: { modelParts: 1 } }, ModelError, 'LIMIT_EXCEEDED'],
      [at('missing.onnx'), undefined, FileError, 'FILE_NOT_FOUND'],
      [model, { lowering: 'op' } as object, OptionError, 'UNKNOWN_OPTION'],
    ]; // prettier-ignore
    for (const [input, options, type, code] of errors) {
      const error = await rejection(inspectModel(input, options));
      expect(error).to.be.instanceOf(type).with.property('code', code);
    }
  });
});
