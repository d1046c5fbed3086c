import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { SessionError } from '../../../lib/errors.js';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import { castTensor } from '../../../lib/half.js';
import { encodeModel, encodeModelExternal } from '../../../lib/onnx/encode.js';
import { type ModelMessage, ModelProto } from '../../../lib/onnx/protobuf/proto.js';
import { createSession } from '../../../lib/runtime/node.js';
import { tensor } from '../../../lib/tensor.js';
import {
  groupNormModel,
  maxAbsDifference,
  randomTensor,
  referenceGroupNorm,
  runModel,
} from '../../support/group-norm.js';

const CASE = {
  x: randomTensor('float32', [2, 8, 6, 5]),
  scale: randomTensor('float32', [8], { stream: 'scale' }),
  bias: randomTensor('float32', [8], { stream: 'bias' }),
  numGroups: 4,
  eps: 1e-5,
};

/** The standard operator's model, changed as another tool might have written it. */
function changed(change: (model: ModelMessage) => void, opset = 21): Uint8Array {
  const message = ModelProto.decode(groupNormModel(CASE, { lowering: 'op', opset }));
  change(message);
  return ModelProto.encode(message).finish();
}

/** What a session says that has to rewrite the operator, as it has where there is no kernel for it. */
async function rejection(model: Uint8Array): Promise<string> {
  const options = { groupNorm: 'reduce-mean' } as const;
  const error: unknown = await createSession(model, options).catch((caught: unknown) => caught);
  expect(error).to.be.instanceOf(SessionError).with.property('code', 'MODEL_REJECTED');
  return (error as Error).message;
}

describe('createSession, given a model of another tool,', () => {
  it('createSession reads scale and bias from typed fields, as onnx.helper.make_tensor writes them', async () => {
    const model = changed(({ graph }) => {
      for (const initializer of graph!.initializer!) {
        const { rawData } = initializer;
        initializer.floatData = [...new Float32Array(new Uint8Array(rawData!).buffer)];
        delete initializer.rawData;
      }
    });
    expect(maxAbsDifference(await runModel(model, CASE.x), referenceGroupNorm(CASE))).to.be.below(2e-6);
  });

  it('createSession refuses a GroupNormalization in the body of an If that it cannot rewrite', async () => {
    const model = changed(({ graph }) => {
      const body = { name: 'body', node: [{ opType: 'GroupNormalization', input: ['x'], output: ['z'] }] };
      graph!.node!.push({ opType: 'If', attribute: [{ name: 'then_branch', type: 5, g: body }] });
    });
    expect(await rejection(model))
      .to.include("in the body of If ''")
      .and.include("groupNorm: 'op'");
  });

  it('createSession rewrites models of newer opsets than this library builds', async () => {
    const model = changed((message) => {
      message.opsetImport = [{ domain: '', version: 26 }];
    });
    const y = await runModel(model, CASE.x, { groupNorm: 'reduce-mean' });
    expect(maxAbsDifference(y, referenceGroupNorm(CASE))).to.be.below(2e-6);
  });

  it('createSession rewrites a model with local functions, which are newer than the schema of this library', async () => {
    const sample = readFileSync(new URL('../../samples/local-function.onnx', import.meta.url));
    const x = tensor(
      'float32',
      [1, 4, 3],
      Float32Array.from({ length: 12 }, (_, i) => i),
    );
    const y = await runModel(sample, x, { groupNorm: 'reduce-mean' });
    // The function doubles what the norm gives.
    const scale = tensor('float32', [4], Float32Array.of(2, 4, 6, 8));
    expect(maxAbsDifference(y, referenceGroupNorm({ x, scale, numGroups: 2, eps: 1e-5 }))).to.be.below(1e-5);
  });

  for (const provider of ['cpu', 'wasm'] as const) {
    it(`createSession accepts a scale and bias of one element per group, at opset 18, on ${provider}`, async () => {
      const [scale, bias] = [Float32Array.of(1, -2, 3, 4), Float32Array.of(0, 5, 0, -1)];
      const model = changed(({ graph }) => {
        const { input } = graph!.node!.find(({ opType }) => opType === 'GroupNormalization')!;
        [scale, bias].forEach((data, index) => {
          const found = graph!.initializer!.find(({ name }) => name === input![index + 1])!;
          found.rawData = new Uint8Array(data.buffer);
        });
      }, 18);
      const affine = Float64Array.from(
        referenceGroupNorm({ ...CASE, scale: undefined, bias: undefined }),
        (value, i) => {
          const group = Math.floor(i / (2 * 30)) % 4;
          return value * scale[group]! + bias[group]!;
        },
      );
      // The model has its own scale and bias behind the operator.
      const expected = affine.map((value, i) => {
        const channel = Math.floor(i / 30) % 8;
        return value * (CASE.scale.data[channel] as number) + (CASE.bias.data[channel] as number);
      });
      const y = await runModel(model, CASE.x, { providers: [provider], groupNorm: 'reduce-mean' });
      expect(maxAbsDifference(y, expected)).to.be.below(1e-5);
    });
  }

  for (const provider of ['cpu', 'wasm'] as const) {
    for (const groupNorm of ['op', 'reduce-mean', 'instance-norm', 'layer-norm'] as const) {
      // ONNX Runtime has no InstanceNormalization of float64, so another lowering stands in for it.
      const name = groupNorm === 'instance-norm' ? 'reduce-mean' : groupNorm;
      it(`createSession runs float64 as ${name} for groupNorm ${groupNorm}, on ${provider}`, async () => {
        const wide = {
          ...CASE,
          x: castTensor(CASE.x, 'float64'),
          scale: castTensor(CASE.scale, 'float64'),
          bias: castTensor(CASE.bias, 'float64'),
          // The operator's epsilon is a float32: this number is the same in float32 and float64.
          eps: 2 ** -17,
        };
        const model = groupNormModel(wide, { lowering: 'op', opset: 21 });
        const session = await createSession(model, { providers: [provider], groupNorm });
        const { y } = await session.run({ x: wide.x });
        expect(maxAbsDifference(y!, referenceGroupNorm(wide))).to.be.below(1e-13);
        expect(session.groupNorm).to.equal(name === 'op' ? undefined : name);
        await session.dispose();
      });
    }
  }

  it('createSession names the model whose opset is out of range', async () => {
    const model = changed((message) => {
      message.opsetImport = [{ domain: '', version: 29 }];
    });
    expect(await rejection(model)).to.include('model: opset 29 is not supported; allowed: 7 to 28');
  });

  it('createSession refuses external data of a model that was given as bytes, for it has no folder', async () => {
    const g = new GraphBuilder('external');
    const weight = g.parameter('weight', { dtype: 'float32', shape: [512] });
    g.output('y', op.mul(g, g.input('x', 'float32', [512]), weight));
    const weights = new Map([['weight', randomTensor('float32', [512])]]);
    expect(await rejection(encodeModelExternal(g.build(), weights, 'w.data').model)).to.include("'w.data'");
    expect(encodeModel(g.build(), weights)).to.have.length.above(2048);
  });

  it('createSession refuses providers that are not a list', async () => {
    const options = { providers: 'cpu' } as object;
    const error: unknown = await createSession(
      changed(() => undefined),
      options,
    ).catch((caught: unknown) => caught);
    expect(error).to.be.instanceOf(SessionError).with.property('code', 'UNKNOWN_PROVIDER');
  });
});
