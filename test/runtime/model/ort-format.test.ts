import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { before, describe, it } from 'mocha';
import { convertModel } from '../../../lib/rewrite/convert.js';
import type { SessionOptions } from '../../../lib/runtime/core/contract.js';
import { prepareOrtFormat } from '../../../lib/runtime/model/ort-format.js';
import { nativeBackendWith } from '../../../lib/runtime/native/backend.js';
import { createSession } from '../../../lib/runtime/node.js';
import { tensor } from '../../../lib/tensor.js';
import {
  type GroupNormCase,
  groupNormModel,
  maxAbsDifference,
  randomTensor,
  referenceGroupNorm,
} from '../../support/group-norm.js';
import { all, int, message, text, valueInfo } from '../../onnx/bytes.js';
import { modelToLoad } from '../../support/model-to-load.js';
import { toOrtFormat } from '../../support/ort-format.js';
import { caught, rejection, temporaryFolder } from '../../support/temporary.js';
import { withoutShapes } from '../../support/without-shapes.js';

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

type Bytes = readonly number[];

const [FLOAT, INT64, BOOL] = [1, 7, 9];

const nodeOf = (
  opType: string,
  inputs: readonly string[],
  output: string,
  ...more: readonly Bytes[]
): Bytes => message(1, ...inputs.map((name) => text(1, name)), text(2, output), text(4, opType), ...more);
const intOf = (name: string, value: number): Bytes => message(5, text(1, name), int(3, value), int(20, 2));

/** A branch with a node that has an empty name among its inputs. */
const branchOf = (name: string): Bytes =>
  message(
    5,
    text(1, name),
    message(6, nodeOf('Min', ['x', ''], 'inner'), text(2, name), message(12, text(1, 'inner'))),
    int(20, 5),
  );

const ints = (name: string, ...values: readonly number[]): Bytes =>
  message(5, text(1, name), ...values.map((value) => int(8, value)), int(20, 7));

/** Two n-grams of one token and one of two, of which the last lacks an index. */
const NGRAMS = [
  message(5, text(1, 'mode'), text(4, 'TF'), int(20, 3)),
  ints('pool_int64s', 1, 2, 3, 4),
  ints('ngram_counts', 0, 2),
  intOf('min_gram_length', 1),
  intOf('max_gram_length', 2),
  intOf('max_skip_count', 0),
  ints('ngram_indexes', 0, 1),
];

const scalar = (name: string, value: number): Bytes =>
  message(5, int(2, INT64), text(8, name), message(9, [value, 0, 0, 0, 0, 0, 0, 0]));
const SCALARS = [scalar('one', 1), scalar('zero', 0)];

/** A model of `x` (1, 8, 4, 4). */
const modelOf = (...fields: readonly Bytes[]): Uint8Array =>
  all(
    int(1, 8),
    message(7, ...fields, valueInfo(11, 'x', FLOAT, 1, 8, 4, 4), message(12, text(1, 'y'))),
    message(8, int(2, 21)),
  );

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

  it('prepareOrtFormat leaves com.microsoft.GroupNorm to CUDA alone, where the caller asks for that', async () => {
    // ONNX Runtime writes no file with these operators on the CPU: operators with names as long take their places.
    for (const [operator, other] of [
      ['GroupNorm', 'LeakyRelu'],
      ['SkipGroupNorm', 'GlobalMaxPool'],
    ] as const) {
      const written = await toOrtFormat(modelOf(nodeOf(other, ['x'], 'y')));
      const text = Buffer.from(written).toString('latin1').replaceAll(other, operator);
      const bytes = new Uint8Array(Buffer.from(text, 'latin1'));
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

  it('a session takes names of values and nodes for names, also where they are those of operators', async () => {
    const node = nodeOf('Abs', ['x'], 'LayerNormalization', text(3, 'InstanceNormalization'));
    const model = modelOf(node, nodeOf('Abs', ['LayerNormalization'], 'y'));
    await using session = await createSession(await toOrtFormat(model), WAYS.wasm);
    expect(session.outputs).to.have.lengthOf(1);
  });

  /** Nodes that ONNX Runtime 1.30 loads, and over which it ends the process in a run. */
  const CRASHES: readonly (readonly [what: string, model: Uint8Array, message: RegExp])[] = [
    ['an empty name among the inputs', modelOf(nodeOf('Min', ['x', ''], 'y')), /empty name as input 1/],
    [
      'a list that is too short',
      modelOf(nodeOf('TfIdfVectorizer', ['i'], 'y', ...NGRAMS), valueInfo(11, 'i', INT64, 3)),
      /2 ngram_indexes for 3 n-grams/,
    ],
    [
      'a wrong constant',
      modelOf(nodeOf('STFT', ['s', 'one', '', 'zero'], 'y'), valueInfo(11, 's', FLOAT, 1, 8, 1), ...SCALARS),
      /frame_length 0/,
    ],
    [
      'an empty name, in the body of an If',
      modelOf(
        nodeOf('If', ['yes'], 'y', branchOf('then_branch'), branchOf('else_branch')),
        valueInfo(11, 'yes', BOOL, 1),
      ),
      /empty name as input 1/,
    ],
  ];

  for (const [what, model, expected] of CRASHES) {
    it(`a session refuses an .ort file with ${what}, over which ONNX Runtime would end the process`, async () => {
      const error = await rejection(createSession(await toOrtFormat(model), WAYS.native));
      expect(error).to.have.property('code', 'MODEL_REJECTED');
      expect((error as Error).message)
        .to.match(expected)
        .and.include('would end or hang the process');
    });
  }

  it('prepareOrtFormat refuses tables that lie in each other, and lists that claim more than the file has', async () => {
    const bytes = await toOrtFormat(modelOf(nodeOf('Abs', ['x'], 'y')));
    const view = (copy: Uint8Array) => new DataView(copy.buffer);
    const wasm = { provider: 'wasm', hasGroupNormKernel: false } as const;
    for (let at = 8; at + 4 <= bytes.length; at += 4) {
      for (const claim of [0xffffffff, 0x7fffffff, 1 << 20]) {
        const copy = bytes.slice();
        view(copy).setUint32(at, claim, true);
        const error = caught(() => prepareOrtFormat(copy, 'a.ort', undefined, wasm));
        if (error !== undefined)
          expect(error, `${claim} at ${at}`).to.have.property('code', 'MODEL_REJECTED');
      }
    }
  });
});
