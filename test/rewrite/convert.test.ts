import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphError, ModelError, OptionError } from '../../lib/errors.js';
import { GraphBuilder } from '../../lib/graph/builder.js';
import * as op from '../../lib/graph/ops/index.js';
import { castTensor } from '../../lib/half.js';
import { loweringsAt } from '../../lib/lowering/choose.js';
import { LOWERING_NAMES, type LoweringName } from '../../lib/lowering/types.js';
import { encodeModel } from '../../lib/onnx/encode.js';
import { Model } from '../../lib/onnx/model.js';
import { type ModelMessage, ModelProto } from '../../lib/onnx/protobuf/proto.js';
import { convertModel } from '../../lib/rewrite/convert.js';
import { type FloatDType, tensor, type TensorData } from '../../lib/tensor.js';
import { exportedModel } from '../support/exported-model.js';
import {
  type GroupNormCase,
  groupNormModel,
  maxAbsDifference,
  randomTensor,
  referenceGroupNorm,
  runModel,
} from '../support/group-norm.js';
import { runPlain } from '../support/plain-runtime.js';
import { caught } from '../support/temporary.js';

const DIMS = [2, 8, 24, 25];
const CASE: GroupNormCase = {
  x: randomTensor('float32', DIMS),
  scale: randomTensor('float32', [8], { stream: 'scale' }),
  bias: randomTensor('float32', [8], { stream: 'bias' }),
  numGroups: 4,
  eps: Math.fround(1e-5),
};
/** Where ONNX Runtime's own body of the operator gives NaN, or is off by more than results are large. */
const FAR: GroupNormCase = { ...CASE, x: randomTensor('float32', DIMS, { mean: 1000, deviation: 0.1 }) };

/** Results of up to 10: what torch.testing.assert_close allows of them. */
const TOLERANCE = 1e-5 + 1.3e-5;

const NONE = { groupNormalization: 0, exported: 0, contrib: 0, inlined: 0, rows: 0 };

const sample = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../samples/${name}.onnx`, import.meta.url)));

const operatorsOf = (bytes: Uint8Array): string[] => Model.decode(bytes).nodes.map(({ opType }) => opType);

/** Operators of ONNX alone, none of them unread; and a second time there is nothing left to do. */
function expectClean(bytes: Uint8Array, lowering: LoweringName): void {
  const model = Model.decode(bytes);
  expect(model.nodes.map(({ domain }) => domain).filter(Boolean)).to.deep.equal([]);
  const read = new Set([...model.outputNames, ...model.nodes.flatMap(({ inputs }) => inputs)]);
  const unread = model.nodes.filter(({ outputs }) => !outputs.some((name) => read.has(name)));
  expect(unread.map(({ opType }) => opType)).to.deep.equal([]);
  const { graph, opsetImport } = ModelProto.decode(bytes);
  expect((graph!.initializer ?? []).filter(({ name }) => !read.has(name!))).to.deep.equal([]);
  expect(opsetImport.map(({ domain }) => domain)).to.not.include('onnx_groupnorm');
  const again = convertModel(bytes, { lowering });
  expect(again.bytes).to.equal(bytes);
  expect([again.replaced, again.lowerings]).to.deep.equal([NONE, []]);
}

async function expectRight(bytes: Uint8Array): Promise<void> {
  for (const one of [CASE, FAR]) {
    const y = await runPlain(bytes, one.x);
    expect(maxAbsDifference(y, referenceGroupNorm(one))).to.be.below(TOLERANCE);
  }
}

describe('convertModel', () => {
  const plain = (opset: number) => loweringsAt(opset).filter((name) => name !== 'op');

  for (const opset of [13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23]) {
    for (const lowering of plain(opset)) {
      it(`convertModel writes a PyTorch export as ${lowering} at opset ${opset}, correct for any mean`, async () => {
        const { bytes, replaced, lowerings, foreign } = convertModel(exportedModel(CASE, opset), {
          lowering,
        });
        expect(replaced).to.deep.equal({ ...NONE, exported: 1 });
        expect([lowerings, foreign]).to.deep.equal([[lowering], []]);
        expect(Model.decode(bytes).opset).to.equal(opset);
        expectClean(bytes, lowering);
        await expectRight(bytes);
      });
    }
  }

  for (const opset of [18, 20, 21, 22, 23]) {
    for (const lowering of plain(opset)) {
      it(`convertModel writes GroupNormalization as ${lowering} at opset ${opset}, correct for any mean`, async () => {
        const model = groupNormModel(CASE, { lowering: 'op', opset });
        const { bytes, replaced, lowerings } = convertModel(model, { lowering });
        expect(replaced).to.deep.equal({ ...NONE, groupNormalization: 1 });
        expect(lowerings).to.deep.equal([lowering]);
        expectClean(bytes, lowering);
        await expectRight(bytes);
      });
    }
  }

  it('convertModel writes a node whose name has control characters', async () => {
    const model = ModelProto.decode(groupNormModel(CASE, { lowering: 'op', opset: 21 }));
    model.graph!.node![0]!.name = 'block/\u001b[31m\nnorm';
    const { bytes, replaced } = convertModel(ModelProto.encode(model).finish(), { lowering: 'reduce-mean' });
    expect(replaced).to.deep.equal({ ...NONE, groupNormalization: 1 });
    expectClean(bytes, 'reduce-mean');
    await expectRight(bytes);
  });

  it('convertModel corrects a file whose results are wrong in ONNX Runtime', async () => {
    const y = await runPlain(groupNormModel(FAR, { lowering: 'op', opset: 21 }), FAR.x);
    expect(maxAbsDifference(y, referenceGroupNorm(FAR))).not.to.be.below(0.1);
  });

  for (const name of ['inlined-group-norm', 'saved-group-norm']) {
    for (const lowering of LOWERING_NAMES) {
      it(`convertModel writes the inlined body of ${name} as ${lowering}, and removes all of it`, async () => {
        const { bytes, replaced, lowerings } = convertModel(sample(name), { lowering });
        expect(replaced).to.deep.equal({ ...NONE, inlined: 1 });
        expect(lowerings).to.deep.equal([lowering]);
        expectClean(bytes, lowering);
        // The operator is wrong for large means in ONNX Runtime, and here it is only to be what it was.
        const means = lowering === 'op' ? [[0, 1]] : [[0, 1], [300, 1], [1000, 0.1]]; // prettier-ignore
        for (const [mean, deviation] of means) {
          const x = randomTensor('float32', [2, 4, 6, 5], { mean, deviation });
          expect(maxAbsDifference(await runPlain(bytes, x), sampled(x))).to.be.below(TOLERANCE);
        }
      });
    }
  }

  it('convertModel converts a TorchScript export, which declares no types', async () => {
    const { bytes, replaced } = convertModel(sample('torchscript-group-norm'));
    expect(replaced).to.deep.equal({ ...NONE, exported: 1 });
    expectClean(bytes, 'reduce-mean');
    const x = randomTensor('float32', [2, 4, 50, 60], { mean: 1000, deviation: 0.1 });
    expect(maxAbsDifference(await runPlain(bytes, x), sampled(x))).to.be.below(TOLERANCE);
  });

  it('convertModel writes files that give the same results in a session on any provider', async () => {
    const { bytes } = convertModel(exportedModel(FAR, 17));
    for (const provider of ['cpu', 'wasm'] as const) {
      const y = await runModel(bytes, FAR.x, { providers: [provider] });
      expect(maxAbsDifference(y, referenceGroupNorm(FAR))).to.be.below(TOLERANCE);
    }
  });

  for (const lowering of ['reduce-mean', 'instance-norm', 'layer-norm'] as const) {
    // ONNX Runtime has no float64 InstanceNormalization, so that reduce-mean stands in for it.
    const name = lowering === 'instance-norm' ? 'reduce-mean' : lowering;
    it(`convertModel writes float64 as ${name} for the lowering ${lowering}`, async () => {
      const wide = (one: TensorData | undefined) => one && castTensor(one, 'float64');
      const one = { ...FAR, x: wide(FAR.x)!, scale: wide(FAR.scale), bias: wide(FAR.bias), eps: 2 ** -17 };
      for (const model of [exportedModel(one, 17), groupNormModel(one, { lowering: 'op', opset: 21 })]) {
        const { bytes, lowerings } = convertModel(model, { lowering });
        expect(lowerings).to.deep.equal([name]);
        expectClean(bytes, lowering);
        // ε of the operator is a float32; means of 1000 have 3 digits less than the 16 of float64.
        expect(maxAbsDifference(await runPlain(bytes, one.x), referenceGroupNorm(one))).to.be.below(1e-10);
      }
    });
  }

  for (const [dtype, tolerance] of Object.entries({ float16: 8e-3, bfloat16: 6e-2 }) as [
    FloatDType,
    number,
  ][]) {
    it(`convertModel converts models of ${dtype}`, async () => {
      const narrow = (one: TensorData | undefined) => one && castTensor(one, dtype);
      const x = narrow(randomTensor('float32', DIMS, { mean: 10 }))!;
      const one = { ...CASE, x, scale: narrow(CASE.scale), bias: narrow(CASE.bias) };
      const { bytes } = convertModel(groupNormModel(one, { lowering: 'op', opset: 21 }));
      const y = await runModel(bytes, x, { groupNorm: 'op', providers: ['cpu'] });
      expect(maxAbsDifference(y, referenceGroupNorm(one))).to.be.below(tolerance);
    });
  }

  describe('with the lowering op', () => {
    for (const opset of [21, 23]) {
      it(`convertModel to op writes a PyTorch export as one node at opset ${opset}`, async () => {
        const { bytes, lowerings } = convertModel(exportedModel(CASE, opset), { lowering: 'op' });
        expect(operatorsOf(bytes)).to.include('GroupNormalization');
        expect(operatorsOf(bytes)).to.have.members(['Reshape', 'Reshape', 'GroupNormalization']);
        expect(lowerings).to.deep.equal(['op']);
        expectClean(bytes, 'op');
        expect(maxAbsDifference(await runPlain(bytes, CASE.x), referenceGroupNorm(CASE))).to.be.below(
          TOLERANCE,
        );
        const y = await runModel(bytes, FAR.x);
        expect(maxAbsDifference(y, referenceGroupNorm(FAR))).to.be.below(TOLERANCE);
      });
    }

    it('convertModel to op leaves GroupNormalization, and normalizations that are not GroupNorm', () => {
      const model = groupNormModel(CASE, { lowering: 'op', opset: 21 });
      expect(convertModel(model, { lowering: 'op' }).bytes).to.equal(model);
      const rows = normalizations(21);
      expect(convertModel(rows, { lowering: 'op' }).bytes).to.equal(rows);
    });

    for (const opset of [13, 18, 20]) {
      it(`convertModel to op refuses opset ${opset}, with advice`, () => {
        const error = caught(() =>
          convertModel(exportedModel(CASE, opset), { lowering: 'op', where: 'a.onnx' }),
        );
        expect(error).to.be.instanceOf(GraphError).with.property('code', 'LOWERING_UNAVAILABLE');
        expect((error as Error).message)
          .to.match(/^a\.onnx: lowering 'op' needs a model of opset 21/)
          .and.include('choose another lowering, such as reduce-mean')
          .and.include('convert_version');
      });
    }
  });

  it('convertModel replaces other normalizations of long rows, except the operator that the lowering names', async () => {
    const model = normalizations(17);
    const left = (lowering: LoweringName) => {
      const { bytes, replaced, lowerings } = convertModel(model, { lowering });
      expect(lowerings).to.deep.equal([]);
      expectClean(bytes, lowering);
      const operators = operatorsOf(bytes).filter((name) => /^(Instance|Layer)Norm/.test(name));
      return [replaced.rows, ...operators];
    };
    expect(left('reduce-mean')).to.deep.equal([2]);
    expect(left('instance-norm')).to.deep.equal([1, 'InstanceNormalization']);
    expect(left('layer-norm')).to.deep.equal([1, 'LayerNormalization']);
    const x = randomTensor('float32', [2, 3, 5000], { mean: 1000, deviation: 0.1 });
    const y = await runPlain(convertModel(model).bytes, x);
    const once = referenceGroupNorm({ x, numGroups: 3, eps: Math.fround(1e-5) });
    const twice = referenceGroupNorm({
      x: tensor('float64', x.dims, once),
      numGroups: 3,
      eps: Math.fround(1e-5),
    });
    expect(maxAbsDifference(y, twice)).to.be.below(TOLERANCE);
  });

  it('convertModel returns the given bytes if there is nothing to rewrite', () => {
    const g = new GraphBuilder('relu');
    g.output('y', op.relu(g, g.input('x', 'float32', [4])));
    const model = encodeModel(g.build(), new Map());
    const { bytes, ...rest } = convertModel(model);
    expect(bytes).to.equal(model);
    expect(rest).to.deep.equal({
      replaced: NONE,
      nhwcConvs: 0,
      lowerings: [],
      foreign: [],
      raisedFrom: undefined,
      externalData: [],
    });
  });

  it('convertModel leaves nodes whose outputs no other node reads, and lists operators that are not of ONNX', () => {
    const model = changed(({ graph, opsetImport }) => {
      opsetImport!.push({ domain: 'com.microsoft', version: 1 });
      graph!.node!.push(
        { opType: 'Tanh', input: ['x'], output: ['unread'] },
        { opType: 'FusedConv', domain: 'com.microsoft', input: ['x', 'w'], output: ['c'] },
        { opType: 'FusedConv', domain: 'com.microsoft', input: ['x', 'w'], output: ['d'] },
      );
    });
    const { bytes, foreign } = convertModel(model);
    expect(operatorsOf(bytes)).to.include('Tanh');
    expect(foreign).to.deep.equal(['com.microsoft.FusedConv']);
  });

  it('convertModel keeps local functions and fields of a newer ONNX', async () => {
    const { bytes, replaced, foreign } = convertModel(sample('local-function'));
    expect([replaced.groupNormalization, foreign]).to.deep.equal([1, []]);
    expect(Buffer.from(bytes).includes('of a newer ONNX')).to.equal(true);
    const x = randomTensor('float32', [1, 4, 3], { mean: 1000, deviation: 0.1 });
    // The function doubles what the norm gives.
    const scale = tensor('float32', [4], Float32Array.of(2, 4, 6, 8));
    const expected = referenceGroupNorm({ x, scale, numGroups: 2, eps: Math.fround(1e-5) });
    expect(maxAbsDifference(await runPlain(bytes, x), expected)).to.be.below(TOLERANCE);
  });

  describe('given a model or options that it cannot use', () => {
    const message = (model: Uint8Array, code: string, options = {}) => {
      const error = caught(() => convertModel(model, { where: 'a.onnx', ...options }));
      expect(error).to.be.instanceOf(ModelError).with.property('code', code);
      expect((error as Error).message).to.match(/^a\.onnx: /);
      return (error as Error).message;
    };
    it('convertModel refuses a GroupNormalization in a body that it cannot rewrite, except for op', () => {
      const inBody = changed(({ graph }) => {
        const node = [{ opType: 'GroupNormalization', input: ['x'], output: ['z'] }];
        const body = { name: 'body', node };
        graph!.node!.push({ opType: 'If', attribute: [{ name: 'then_branch', type: 5, g: body }] });
      });
      expect(message(inBody, 'MODEL_UNSUPPORTED')).to.include("in the body of If ''").and.include('1 inputs');
      expect(convertModel(inBody, { lowering: 'op' }).bytes).to.equal(inBody);
    });

    it('convertModel refuses a GroupNormalization without declared types', () => {
      const undeclared = changed(({ graph }) => {
        graph!.input = [];
      });
      expect(message(undeclared, 'MODEL_UNSUPPORTED')).to.include('onnx.shape_inference.infer_shapes');
    });

    it('convertModel refuses bytes that are not a model', () => {
      message(new Uint8Array(3), 'MODEL_INVALID');
    });

    it('convertModel refuses unknown opsets and lowerings', () => {
      const old = changed((model) => {
        model.opsetImport = [{ domain: '', version: 6 }];
      });
      const cases = [
        [old, {}, 'UNSUPPORTED_OPSET', /opset 6 is not supported; allowed: 7 to 28; or bring the model/],
        [exportedModel(CASE, 16), { lowering: 'layer-norm' }, 'LOWERING_UNAVAILABLE', /needs opset 17/],
        [old, { lowering: 'redcue-mean' }, 'UNKNOWN_LOWERING', /did you mean 'reduce-mean'/],
        [old, { lowering: 'contrib-group-norm' }, 'UNSUPPORTED_OPSET', /opset 6 is not supported/],
      ] as const;
      for (const [model, options, code, words] of cases) {
        const given: object = options;
        const error = caught(() => convertModel(model, given));
        expect(error).to.be.instanceOf(GraphError).with.property('code', code);
        expect((error as Error).message).to.match(words);
      }
    });

    it('convertModel refuses unknown options, and a model that is not a Uint8Array', () => {
      const model = exportedModel(CASE, 17);
      expect(() => convertModel(model, { groupNorm: 'op' } as object)).to.throw(OptionError, 'groupNorm');
      for (const no of ['model.onnx', undefined, new ArrayBuffer(8)]) {
        expect(() => convertModel(no as unknown as Uint8Array)).to.throw(OptionError, 'takes a Uint8Array');
      }
    });
  });

  it('convertModel converts models of newer opsets than this library builds', () => {
    const model = changed((message) => {
      message.opsetImport = [{ domain: '', version: 26 }];
    });
    expect(convertModel(model).replaced.groupNormalization).to.equal(1);
  });
});

/** What the samples compute, in float64: their scale is 1 to 4, their bias −1, and a ReLU follows. */
function sampled(x: TensorData): Float64Array {
  const scale = tensor('float32', [4], Float32Array.of(1, 2, 3, 4));
  const bias = tensor('float32', [4], Float32Array.of(-1, -1, -1, -1));
  const eps = Math.fround(1e-5);
  return referenceGroupNorm({ x, scale, bias, numGroups: 2, eps }).map((value) => Math.max(0, value));
}

/** The standard operator's model, changed as another tool might have written it. */
function changed(change: (model: ModelMessage) => void): Uint8Array {
  const message = ModelProto.decode(groupNormModel(CASE, { lowering: 'op', opset: 21 }));
  change(message);
  return ModelProto.encode(message).finish();
}

/** InstanceNormalization and LayerNormalization of rows of 5,000 and of unknown length, one after the other. */
function normalizations(opset: number): Uint8Array {
  const g = new GraphBuilder('rows');
  const x = g.input('x', 'float32', ['N', 3, 5000]);
  const filled = (length: number, mean: number) =>
    g.constant(randomTensor('float32', [length], { mean, deviation: 0 }));
  const y = op.instanceNormalization(g, x, filled(3, 1), filled(3, 0));
  g.output('y', op.layerNormalization(g, y, filled(5000, 1), undefined, { axis: 2 }));
  return encodeModel(g.build(), new Map(), { opset });
}
