import { readdirSync, readFileSync } from 'node:fs';
import { expect, use } from 'chai';
import { describe, it } from 'mocha';
import onnxMatchers from '../../lib/chai.js';
import { ModelError, OptionError } from '../../lib/errors.js';
import { castTensor } from '../../lib/half.js';
import { Model } from '../../lib/onnx/model.js';
import {
  ATTRIBUTE_TYPE,
  type AttributeMessage,
  type ModelMessage,
  ModelProto,
  type NodeMessage,
} from '../../lib/onnx/protobuf/proto.js';
import { encodeTensor } from '../../lib/onnx/protobuf/tensors.js';
import { convertModel } from '../../lib/rewrite/convert.js';
import { createSession } from '../../lib/runtime/node.js';
import { tensor, type TensorData } from '../../lib/tensor.js';
import { decodeSafetensors } from '../../lib/weights/safetensors.js';
import { exportedModel } from '../support/exported-model.js';
import { type GroupNormCase, groupNormModel, maxAbsDifference, randomTensor, referenceGroupNorm } from '../support/group-norm.js'; // prettier-ignore
import { atOpset } from '../support/old-models.js';
import { caught } from '../support/temporary.js';

use(onnxMatchers);

const EXPORTS = new URL('../samples/exports/', import.meta.url);
const read = (file: string) => new Uint8Array(readFileSync(new URL(file, EXPORTS)));

const CASE: GroupNormCase = {
  x: randomTensor('float32', [2, 8, 6, 6]),
  scale: randomTensor('float32', [8], { stream: 'scale' }),
  bias: randomTensor('float32', [8], { stream: 'bias' }),
  numGroups: 4,
  eps: Math.fround(1e-5),
};

const { INT, INTS, FLOAT, STRING } = ATTRIBUTE_TYPE;

/** Attributes of a node: integers, lists of integers, floats as texts with a point, other texts. */
const attributes = (given: Readonly<Record<string, number | number[] | string>>): AttributeMessage[] =>
  Object.entries(given).map(([name, value]) => {
    if (typeof value === 'number') return { name, type: INT, i: value };
    if (typeof value !== 'string') return { name, type: INTS, ints: value };
    return /^\d+\.\d+$/.test(value)
      ? { name, type: FLOAT, f: Number(value) }
      : { name, type: STRING, s: new TextEncoder().encode(value) };
  });

const NO_TENSORS: Readonly<Record<string, TensorData>> = {};

const noChange: (message: ModelMessage) => void = () => undefined;

/** GroupNorm as PyTorch exports it, with one more node, whose outputs are z and the like. */
function withNode(
  opset: number,
  opType: string,
  given: Parameters<typeof attributes>[0] = {},
  { input = ['x'], output = ['z'], tensors = NO_TENSORS, change = noChange } = {},
): Uint8Array {
  const message = ModelProto.decode(exportedModel(CASE, Math.max(opset, 13), CASE.x.dims));
  const { graph } = message;
  graph!.node!.push({ opType, name: 'extra', input, output, attribute: attributes(given) });
  graph!.initializer!.push(...Object.entries(tensors).map(([name, data]) => encodeTensor(name, data)));
  graph!.output!.push(
    ...output.filter(Boolean).map((name) => ({ name, type: { tensorType: { elemType: 1 } } })),
  );
  change(message);
  return atOpset(ModelProto.encode(message).finish(), opset, opset < 9 ? 4 : 6);
}

async function run(bytes: Uint8Array): Promise<Readonly<Record<string, TensorData>>> {
  await using session = await createSession(bytes, { providers: ['cpu'] });
  return await session.run({ x: CASE.x });
}

const floats = (dims: number[], values: number[]) => tensor('float32', dims, Float32Array.from(values));
const ints = (values: number[]) => tensor('int64', [values.length], BigInt64Array.from(values, BigInt));

const merge = (bytes: Uint8Array) => convertModel(bytes, { merge: true, where: 'a.onnx' });

const ROIS = { rois: floats([1, 4], [0.5, 1, 4, 5]), batch: ints([1]) };
const GRID = { grid: randomTensor('float32', [2, 3, 3, 2], { deviation: 0.5 }) };
const BATCH_NORM = {
  s: CASE.scale!,
  b: CASE.bias!,
  m: CASE.bias!,
  v: tensor('float32', [8], new Float32Array(8).fill(2)),
};

/** Models below opset 21, and how the node is written at opset 21. */
const KEPT: readonly (readonly [opset: number, opType: string, Parameters<typeof attributes>[0], Parameters<typeof withNode>[3]?])[] = [
  [13, 'ReduceMean', { axes: [2, 3], keepdims: 0 }],
  [17, 'ReduceMax', { axes: [-1] }],
  [17, 'ReduceL2', {}],
  [11, 'ReduceSum', { axes: [1] }],
  [18, 'ReduceMean', {}, { input: ['x', 'a'], tensors: { a: ints([1]) } }],
  [11, 'Unsqueeze', { axes: [0, 2] }],
  [11, 'Squeeze', { axes: [0] }, { input: ['w'], tensors: { w: { ...CASE.scale!, dims: [1, 8] } as TensorData } }],
  [11, 'Split', { axis: 1, split: [3, 5] }, { output: ['z', 'z2'] }],
  [9, 'Split', { axis: 1 }, { output: ['z', 'z2'] }],
  [13, 'Split', { axis: 2 }, { output: ['z', 'z2', 'z3'] }],
  [13, 'Split', { axis: 1 }, { input: ['x', 'a'], output: ['z', 'z2'], tensors: { a: ints([2, 6]) } }],
  [9, 'Slice', { starts: [1, 0], ends: [3, 4], axes: [2, 1] }],
  [9, 'Slice', { starts: [1], ends: [2] }],
  [11, 'Softmax', { axis: 3 }],
  [12, 'LogSoftmax', { axis: -1 }],
  [13, 'Softmax', { axis: 1 }],
  [11, 'Dropout', { ratio: '0.75' }],
  [9, 'Dropout', { ratio: '0.75' }],
  [7, 'BatchNormalization', { spatial: 1 }, { input: ['x', 's', 'b', 'm', 'v'], tensors: BATCH_NORM }],
  [13, 'BatchNormalization', {}, { input: ['x', 's', 'b', 'm', 'v'], tensors: BATCH_NORM }],
  [13, 'RoiAlign', { output_height: 2, output_width: 3, sampling_ratio: 2 }, { input: ['x', 'rois', 'batch'], tensors: ROIS }],
  [16, 'GridSample', {}, { input: ['x', 'grid'], tensors: GRID }],
  [16, 'GridSample', { mode: 'bilinear', padding_mode: 'border' }, { input: ['x', 'grid'], tensors: GRID }],
  [18, 'GridSample', { mode: 'bicubic', align_corners: 1 }, { input: ['x', 'grid'], tensors: GRID }],
  [16, 'GridSample', { mode: 'nearest' }, { input: ['x', 'grid'], tensors: GRID }],
  [13, 'AveragePool', { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 }],
  [17, 'AveragePool', { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1], count_include_pad: 1 }],
  [11, 'MaxPool', { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 }],
  [13, 'Resize', { mode: 'linear', coordinate_transformation_mode: 'half_pixel' }, { input: ['x', '', 'scales'], tensors: { scales: floats([4], [1, 1, 2, 1.5]) } }],
  [11, 'Resize', { mode: 'cubic', coordinate_transformation_mode: 'align_corners' }, { input: ['x', 'none', 'none', 'a'], tensors: { none: floats([0], []), a: ints([2, 8, 9, 4]) } }],
  [13, 'Pad', { mode: 'reflect' }, { input: ['x', 'a'], tensors: { a: ints([0, 0, 1, 2, 0, 0, 2, 1]) } }],
  [13, 'Clip', {}, { input: ['x', '', 'one'], tensors: { one: floats([], [1]) } }],
  [9, 'LeakyRelu', { alpha: '0.25' }],
  [13, 'CumSum', {}, { input: ['x', 'one'], tensors: { one: tensor('int64', [], BigInt64Array.of(2n)) } }],
]; // prettier-ignore

describe('convertModel with merge', () => {
  for (const [opset, opType, given, more] of KEPT) {
    it(`convertModel merges at opset ${opset} beside ${opType} ${JSON.stringify(given)}, which computes what it did`, async () => {
      const before = withNode(opset, opType, given, more);
      const { bytes, raisedFrom, replaced, lowerings } = merge(before);
      expect([raisedFrom, replaced.exported, lowerings]).to.deep.equal([opset, 1, ['op']]);
      const model = Model.decode(bytes);
      expect([model.opset, model.nodes.filter((node) => node.opType === 'GroupNormalization').length]).to.deep.equal([21, 1]); // prettier-ignore
      const [old, now] = [await run(before), await run(bytes)];
      expect(Object.keys(now)).to.deep.equal(Object.keys(old));
      for (const [name, value] of Object.entries(old)) {
        // ONNX Runtime has another kernel for AveragePool of opset 19, which rounds otherwise.
        if (name === 'y' || opType === 'AveragePool') expect(now[name]).to.matchTensor(value);
        else expect(now[name]!.data, name).to.deep.equal(value.data);
      }
    });
  }

  for (const opset of [7, 9, 12, 13, 16, 18, 20]) {
    it(`convertModel merges an export of opset ${opset}, and its result agrees with float64`, async () => {
      const exported = exportedModel(CASE, Math.max(opset, 13));
      const { bytes } = merge(opset < 13 ? atOpset(exported, opset) : exported);
      expect(Model.decode(bytes).opset).to.equal(21);
      expect(maxAbsDifference((await run(bytes)).y!, referenceGroupNorm(CASE))).to.be.below(2.3e-5);
    });
  }

  for (const name of readdirSync(EXPORTS).flatMap((file) =>
    file.endsWith('.onnx') ? [file.slice(0, -5)] : [],
  )) {
    it(`convertModel merges what exporters write, and the result agrees with float64: ${name}`, async () => {
      const { tensors } = decodeSafetensors(read(`${name}.safetensors`));
      const { bytes, replaced } = merge(read(`${name}.onnx`));
      const count = replaced.exported + replaced.inlined;
      const model = Model.decode(bytes);
      expect([model.opset, count]).to.deep.equal([21, /^(shared|choice)/.test(name) ? 2 : 1]);
      // Of a corrected variance there is no operator, and the branches of an If have nodes of their own.
      const operators = name.startsWith('textbook-corrected') || name.startsWith('choice') ? 0 : count;
      expect(model.nodes.filter(({ opType }) => opType === 'GroupNormalization')).to.have.lengthOf(operators);
      expect(model.nestedOpTypes().has('GroupNormalization')).to.equal(name.startsWith('choice'));
      await using session = await createSession(bytes);
      const results = await session.run({ [session.inputs[0]!.name]: tensors.get('x')! });
      expect(results[session.outputs[0]!.name]).to.matchTensor(castTensor(tensors.get('y')!, 'float32'));
    });
  }

  it('convertModel makes GroupNormalization of opset 18, with one scale a group, that of opset 21', async () => {
    const bytes = groupNormModel(
      { ...CASE, scale: undefined, bias: undefined },
      { lowering: 'op', opset: 18 },
    );
    const message = ModelProto.decode(bytes);
    const [node] = message.graph!.node!;
    node!.input = ['x', 's', 'b'];
    const [scale, bias] = [[1, 2, 3, 4], [-1, 0, 1, 2]] as const; // prettier-ignore
    message.graph!.initializer!.push(
      encodeTensor('s', floats([4], [...scale])),
      encodeTensor('b', floats([4], [...bias])),
    );
    const { bytes: converted, replaced, raisedFrom } = merge(ModelProto.encode(message).finish());
    expect([replaced.groupNormalization, raisedFrom]).to.deep.equal([1, 18]);
    const perChannel = (values: readonly number[]) =>
      floats(
        [8],
        values.flatMap((value) => [value, value]),
      );
    const expected = referenceGroupNorm({ ...CASE, scale: perChannel(scale), bias: perChannel(bias) });
    expect(maxAbsDifference((await run(converted)).y!, expected)).to.be.below(5e-5);
  });

  it('convertModel leaves a model that has nothing to merge, whatever its opset', () => {
    const message = ModelProto.decode(exportedModel(CASE, 13));
    message.graph!.node = [{ opType: 'Relu', input: ['x'], output: ['y'] }];
    const bytes = atOpset(ModelProto.encode(message).finish(), 9);
    const converted = merge(bytes);
    expect(converted.bytes).to.equal(bytes);
    expect(converted.raisedFrom).to.equal(undefined);
    const at21 = merge(exportedModel(CASE, 21));
    expect([at21.raisedFrom, at21.replaced.exported]).to.deep.equal([undefined, 1]);
  });

  it('convertModel keeps the rest of an edited node: its name, its other attributes and its text', () => {
    const change = ({ graph }: ModelMessage) => {
      graph!.node!.at(-1)!.docString = 'kept';
    };
    const { graph } = ModelProto.decode(
      merge(withNode(13, 'ReduceMean', { axes: [2], keepdims: 0 }, { change })).bytes,
    );
    const node = graph!.node!.find(({ opType }) => opType === 'ReduceMean')!;
    expect(node.name).to.equal('extra');
    expect(node.attribute!.map(({ name }) => name)).to.deep.equal(['keepdims']);
    expect(node.input).to.deep.equal(['x', 'extra_axes']);
    expect(node.docString).to.equal('kept');
  });
});

/** Models that cannot become models of opset 21, with the words of the message. */
const REFUSED: readonly (readonly [opset: number, opType: string, says: string, Parameters<typeof attributes>[0], Parameters<typeof withNode>[3]?])[] = [
  [12, 'Softmax', 'opset 13', { axis: 1 }],
  [12, 'Softmax', 'opset 13', {}],
  [9, 'Clip', 'opset 11', { min: '0.0', max: '6.0' }],
  [9, 'TopK', 'opset 10', { axis: 1 }, { output: ['z', 'i'] }],
  [9, 'Dropout', 'opset 10', { ratio: '0.5' }, { output: ['z', 'mask'] }],
  [8, 'BatchNormalization', 'opset 9', { spatial: 0 }, { input: ['x', 'x', 'x', 'x', 'x'] }],
  [11, 'Resize', 'opset 13', { coordinate_transformation_mode: 'tf_half_pixel_for_nn' }, { input: ['x', 'none', 'scales'], tensors: { none: floats([0], []), scales: floats([4], [1, 1, 2, 2]) } }],
  [17, 'AveragePool', 'opset 19', { kernel_shape: [3, 3], ceil_mode: 1, count_include_pad: 1 }],
  [17, 'DFT', 'opset 20', { axis: 1 }],
]; // prettier-ignore

function expectRefused(bytes: Uint8Array, says: string): void {
  const error = caught(() => merge(bytes));
  expect(error).to.be.instanceOf(ModelError).with.property('code', 'MODEL_UNSUPPORTED');
  expect((error as Error).message)
    .to.include('a.onnx: it cannot become a model of opset 21')
    .and.include(says);
}

describe('convertModel refuses to merge', () => {
  for (const [opset, opType, says, given, more] of REFUSED) {
    it(`convertModel refuses to merge at opset ${opset} beside ${opType} ${JSON.stringify(given)}, and names the node`, () => {
      expectRefused(
        withNode(opset, opType, given, more),
        `${opType} 'extra' means something else at ${says}`,
      );
    });
  }

  it('convertModel refuses a body with a node that is written otherwise, and takes a body without one', () => {
    const branch = (name: string, node: NodeMessage) => ({
      name,
      type: ATTRIBUTE_TYPE.GRAPH,
      g: { name, node: [node], output: [{ name: 'i' }] },
    });
    const withBody = (node: NodeMessage) =>
      withNode(
        17,
        'Identity',
        {},
        {
          change: ({ graph }) => {
            const pass = { opType: 'Relu', input: ['x'], output: ['i'] };
            const attribute = [branch('then_branch', node), branch('else_branch', pass)];
            graph!.input!.push({ name: 'c', type: { tensorType: { elemType: 9 } } });
            graph!.node!.push({ opType: 'If', input: ['c'], output: ['chosen'], attribute });
          },
        },
      );
    const mean = {
      opType: 'ReduceMean',
      name: 'inner',
      input: ['x'],
      output: ['i'],
      attribute: attributes({ axes: [1] }),
    };
    expectRefused(withBody(mean), "ReduceMean 'inner' in a body is written otherwise at opset 18");
    expect(merge(withBody({ opType: 'Abs', input: ['x'], output: ['i'] })).raisedFrom).to.equal(17);
  });

  it('convertModel refuses local functions, which have opsets of their own', () => {
    const change = (message: ModelMessage) => {
      const node = [{ opType: 'Relu', input: ['a'], output: ['b'] }];
      message.functions = [{ name: 'F', domain: 'own', input: ['a'], output: ['b'], node, opsetImport: [{ domain: '', version: 17 }] }]; // prettier-ignore
    };
    expectRefused(withNode(17, 'Relu', {}, { change }), 'local functions');
  });

  it('convertModel refuses merge together with another lowering, and an opset before 7', () => {
    const error = caught(() =>
      convertModel(exportedModel(CASE, 17), { merge: true, lowering: 'reduce-mean' }),
    );
    expect(error).to.be.instanceOf(OptionError);
    expect(caught(() => merge(atOpset(exportedModel(CASE, 13), 6)))).to.have.property(
      'code',
      'UNSUPPORTED_OPSET',
    );
  });
});
