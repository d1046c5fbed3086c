import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder, type Scope } from '../../lib/graph/builder.js';
import * as op from '../../lib/graph/ops/index.js';
import type { Value } from '../../lib/graph/types.js';
import { inspectModel } from '../../lib/insight/node.js';
import type { Normalization } from '../../lib/insight/types.js';
import { encodeModel } from '../../lib/onnx/encode.js';
import {
  ATTRIBUTE_TYPE,
  type AttributeMessage,
  type ModelMessage,
  ModelProto,
  type NodeMessage,
} from '../../lib/onnx/proto.js';
import { encodeTensor } from '../../lib/onnx/tensors.js';
import { encodeValueInfo } from '../../lib/onnx/value-info.js';
import { planOf } from '../../lib/runtime/core/prepare.js';
import { tensor } from '../../lib/tensor.js';
import { exportedModel } from '../support/exported-model.js';
import { type GroupNormCase, groupNormModel, randomTensor } from '../support/group-norm.js';
import { atOpset, instanceNormModel } from '../support/old-models.js';

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
function raw(nodes: NodeMessage[], model: ModelMessage = {}): Uint8Array {
  const filled = (element: number) => tensor('float32', [8], new Float32Array(8).fill(element));
  const dims = { name: 'x', dtype: 'float32', shape: [2, 8, 6, 5] } as const;
  const initializer = [
    encodeTensor('gamma', randomTensor('float32', [8])),
    encodeTensor('beta', randomTensor('float32', [8])),
    encodeTensor('ones', filled(1)),
    encodeTensor('zeros', filled(0)),
  ];
  const graph = { node: nodes, initializer, input: [encodeValueInfo(dims)], output: [encodeValueInfo({ ...dims, name: 'y' })] }; // prettier-ignore
  const opsetImport = [{ domain: '', version: 23 }, { domain: 'com.microsoft', version: 1 }]; // prettier-ignore
  return ModelProto.encode({ irVersion: 10, opsetImport, graph, ...model }).finish();
}

describe('inspectModel', () => {
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
    expect(row.warnings.join()).to.include('1.9e-3');
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
});
