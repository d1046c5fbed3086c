import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { before, describe, it } from 'mocha';
import { convertModel } from '../../../../lib/rewrite/convert.js';
import type { SessionOptions } from '../../../../lib/runtime/core/contract.js';
import { prepareOrtFormat } from '../../../../lib/runtime/core/model/ort-format.js';
import { nativeBackendWith } from '../../../../lib/runtime/native/backend.js';
import { createSession } from '../../../../lib/runtime/node.js';
import { tensor } from '../../../../lib/tensor.js';
import {
  type GroupNormCase,
  groupNormModel,
  maxAbsDifference,
  randomTensor,
  referenceGroupNorm,
} from '../../../support/group-norm.js';
import { modelToLoad } from '../../../support/model-to-load.js';
import { toOrtFormat } from '../../../support/ort-format.js';
import { caught, rejection, temporaryFolder } from '../../../support/temporary.js';
import { withoutShapes } from '../../../support/without-shapes.js';

const CASE: GroupNormCase = {
  x: randomTensor('float32', [2, 8, 3, 5], { mean: 1000, deviation: 0.1 }),
  scale: randomTensor('float32', [8], { stream: 'scale' }),
  numGroups: 4,
  eps: Math.fround(1e-5),
};
/** The error of results of up to 10: what torch.testing.assert_close allows of them. */
const TOLERANCE = 1e-5 + 1.3e-5;
/** A case that ONNX Runtime's own kernels compute well enough. */
const EASY = { ...CASE, x: randomTensor('float32', [2, 8, 3, 5]) };

const OPERATOR = groupNormModel(CASE, { lowering: 'op', opset: 21 });

const WAYS: Readonly<Record<string, SessionOptions>> = {
  native: { providers: ['native'] },
  'cpu, as reduce-mean': { providers: ['cpu'], groupNorm: 'reduce-mean' },
  wasm: { providers: ['wasm'] },
};

describe("models in ONNX Runtime's own format", () => {
  const at = temporaryFolder();
  let converted: Uint8Array;
  /** Models with operators that sessions rewrite in ONNX models. */
  const rewritten = new Map<string, Uint8Array>();

  before(async () => {
    converted = await toOrtFormat(convertModel(OPERATOR).bytes);
    rewritten.set('GroupNormalization', await toOrtFormat(OPERATOR));
    for (const [operator, lowering] of [
      ['InstanceNormalization', 'instance-norm'],
      ['LayerNormalization', 'layer-norm'],
    ] as const) {
      rewritten.set(operator, await toOrtFormat(groupNormModel(CASE, { lowering, opset: 17 })));
    }
  });

  for (const [way, options] of Object.entries(WAYS)) {
    it(`a session on ${way} runs a model that needs no rewriting, with the right result`, async () => {
      await using session = await createSession(converted, options);
      expect(session.inputs).to.deep.equal([
        { name: 'x', dtype: 'float32', shape: session.inputs[0]!.shape },
      ]);
      expect(session.inputs[0]!.shape).to.have.lengthOf(4).and.include(8);
      expect(session.outputs.map(({ name }) => name)).to.deep.equal(['y']);
      const { y } = await session.run({ x: CASE.x });
      expect(maxAbsDifference(y!, referenceGroupNorm(CASE))).to.be.below(TOLERANCE);
    });

    it(`a session on ${way} refuses a model with an operator that it would rewrite, and names the operator`, async () => {
      for (const [operator, bytes] of rewritten) {
        const error = await rejection(createSession(bytes, options));
        expect(error, operator).to.have.property('code', 'MODEL_REJECTED');
        expect((error as Error).message)
          .to.include(`the operator ${operator},`)
          .and.include('give the .onnx file')
          .and.include("groupNorm: 'op'");
      }
    });

    it(`a session on ${way} runs such a model as it is with groupNorm 'op'`, async () => {
      for (const [operator, bytes] of rewritten) {
        await using session = await createSession(bytes, { ...options, groupNorm: 'op' });
        expect(session.groupNorm, operator).to.equal(undefined);
        const { y } = await session.run({ x: EASY.x });
        expect(maxAbsDifference(y!, referenceGroupNorm(EASY)), operator).to.be.below(TOLERANCE);
      }
    });

    it(`a session on ${way} refuses an empty input where InstanceNormalization would end the process`, async () => {
      await using session = await createSession(rewritten.get('InstanceNormalization')!, {
        ...options,
        groupNorm: 'op',
      });
      const x = tensor('float32', [2, 8, 0, 5], new Float32Array(0));
      const error = await rejection(session.run({ x }));
      expect(error).to.have.property('code', 'RUN_FAILED');
      expect((error as Error).message).to.include("input 'x' has no elements");
    });

    it(`a session on ${way} takes any rank for an input without a shape`, async () => {
      const model = convertModel(OPERATOR).bytes;
      await using session = await createSession(await toOrtFormat(withoutShapes(model, ['x', 'y'])), options);
      expect(session.inputs[0]).to.have.property('shape', undefined);
      const { y } = await session.run({ x: CASE.x });
      expect(y!.dims).to.deep.equal([2, 8, 3, 5]);
    });

    it(`a session on ${way} refuses a damaged file with a typed error`, async () => {
      for (const length of [12, 1000, Math.floor(converted.length / 2)]) {
        const error = await rejection(createSession(converted.slice(0, length), options));
        expect(error, `${length} bytes`).to.have.property('code', 'MODEL_REJECTED');
      }
    });
  }

  it('a session on native runs a model by the kernel that was written with the kernel', async () => {
    const optimizedModelPath = at('kernel.ort');
    const backend = nativeBackendWith({
      optimizedModelPath,
      config: { 'session.save_model_format': 'ORT' },
    });
    await (await backend.load(modelToLoad(OPERATOR), undefined, {})).dispose();
    await using session = await createSession(optimizedModelPath, { providers: ['native'] });
    expect(session.groupNorm).to.equal('kernel');
    const { y } = await session.run({ x: CASE.x });
    expect(maxAbsDifference(y!, referenceGroupNorm(CASE))).to.be.below(TOLERANCE);
    const bytes = new Uint8Array(readFileSync(optimizedModelPath));
    expect(await rejection(createSession(bytes, WAYS.wasm))).to.have.property('code', 'MODEL_REJECTED');
  });

  it('prepareOrtFormat leaves com.microsoft.GroupNorm to CUDA alone, where the caller asks for that', () => {
    for (const operator of ['GroupNorm', 'SkipGroupNorm']) {
      const bytes = Buffer.from(`\x24\0\0\0ORTM${String.fromCharCode(operator.length)}\0\0\0${operator}\0`);
      const cuda = { provider: 'cuda', hasGroupNormKernel: false } as const;
      const prepared = prepareOrtFormat(bytes, 'a.ort', 'contrib-group-norm', cuda);
      expect(prepared.bytes).to.equal(bytes);
      const native = { provider: 'native', hasGroupNormKernel: true } as const;
      for (const backend of [cuda, native]) {
        expect(caught(() => prepareOrtFormat(bytes, 'a.ort', undefined, backend))).to.have.property(
          'code',
          'MODEL_REJECTED',
        );
      }
    }
  });

  it('prepareOrtFormat tells an operator from a longer name that has the same word', () => {
    const names = ['SkipLayerNormalization', '/LayerNormalization/Mul', 'LayerNormalization_output'];
    const strings = names.map((name) => `${String.fromCharCode(name.length)}\0\0\0${name}\0`);
    const bytes = Buffer.from(`\x24\0\0\0ORTM${strings.join('')}`);
    const wasm = { provider: 'wasm', hasGroupNormKernel: false } as const;
    expect(prepareOrtFormat(bytes, 'a.ort', undefined, wasm).bytes).to.equal(bytes);
  });
});
