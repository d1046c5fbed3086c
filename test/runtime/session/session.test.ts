import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import * as ort from 'onnxruntime-node';
import { FileError, ModelError, OnnxGroupNormError, OptionError, SessionError } from '../../../lib/errors.js';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import { encodeModel } from '../../../lib/onnx/encode.js';
import { writeModel } from '../../../lib/onnx/write.js';
import type { SessionOptions } from '../../../lib/runtime/core/contract.js';
import { createSession } from '../../../lib/runtime/node.js';
import { tensor, type TensorData } from '../../../lib/tensor.js';
import {
  groupNormModel,
  maxAbsDifference,
  randomTensor,
  referenceGroupNorm,
  runModel,
} from '../../support/group-norm.js';
import { NATIVE_REASON } from '../../support/native.js';
import { rejection } from '../../support/temporary.js';

const CASE = {
  x: randomTensor('float32', [2, 8, 6, 5]),
  scale: randomTensor('float32', [8], { stream: 'scale' }),
  bias: randomTensor('float32', [8], { stream: 'bias' }),
  numGroups: 4,
  eps: 1e-5,
};
const MODEL = () => groupNormModel(CASE, { lowering: 'op', opset: 21, shape: ['N', 8, 'H', 5] });

async function failure(action: () => Promise<unknown>): Promise<OnnxGroupNormError> {
  try {
    await action();
  } catch (error) {
    expect(error).to.be.instanceOf(OnnxGroupNormError);
    return error as OnnxGroupNormError;
  }
  throw new Error('nothing was thrown');
}

describe('a session', () => {
  it('a session describes its inputs and outputs, sizes and names', async () => {
    const session = await createSession(MODEL());
    expect(session.inputs).to.deep.equal([{ name: 'x', dtype: 'float32', shape: ['N', 8, 'H', 5] }]);
    expect(session.outputs).to.deep.equal([{ name: 'y', dtype: 'float32', shape: ['N', 8, 'H', 5] }]);
    await session.dispose();
  });

  it('a session reports its provider and how GroupNormalization runs: as asked, or by the kernel if it was built', async () => {
    const asked = await createSession(MODEL(), { groupNorm: 'reduce-mean' });
    expect([asked.provider, asked.groupNorm]).to.deep.equal(['cpu', 'reduce-mean']);
    await asked.dispose();
    const session = await createSession(MODEL());
    expect([session.provider, session.groupNorm]).to.deep.equal(
      NATIVE_REASON === undefined ? ['native', 'kernel'] : ['cpu', 'reduce-mean'],
    );
    await session.dispose();
  });

  it('a session refuses a given output whose shape is not the shape of the result, and runs again', async () => {
    for (const groupNorm of [undefined, 'reduce-mean'] as const) {
      const session = await createSession(MODEL(), { groupNorm });
      const small = tensor('float32', [2, 8, 5, 5], new Float32Array(400));
      const error = await failure(() => session.run({ x: CASE.x }, { outputs: { y: small } }));
      expect(error.code).to.equal('OUTPUT_INVALID');
      expect(error.message).to.equal(
        "output 'y' is [2, 8, 6, 5] in this run, but the tensor given for it is [2, 8, 5, 5]",
      );
      expect((await session.run({ x: CASE.x })).y!.dims).to.deep.equal(CASE.x.dims);
      await session.dispose();
    }
  });

  it('a session runs the inlined operator only if asked: at mean 1000 the result is right', async () => {
    const x = randomTensor('float32', [1, 8, 20, 5], { mean: 1000, deviation: 0.1 });
    const expected = referenceGroupNorm({ ...CASE, x });
    expect(maxAbsDifference(await runModel(MODEL(), x), expected)).to.be.below(1e-5);
    const inlined = maxAbsDifference(await runModel(MODEL(), x, { groupNorm: 'op' }), expected);
    expect(Number.isNaN(inlined) || inlined > 1e-2, `the inlined body's error was ${inlined}`).to.equal(true);
  });

  for (const dtype of ['float64', 'float16', 'bfloat16'] as const) {
    it(`a session takes and returns ${dtype} without a conversion`, async () => {
      const x = randomTensor(dtype, [2, 8, 3, 5]);
      const groupNorm = { x, numGroups: 4, eps: 1e-5 };
      const session = await createSession(groupNormModel(groupNorm, { lowering: 'op', opset: 21 }));
      expect(session.inputs[0]!.dtype).to.equal(dtype);
      const { y } = await session.run({ x });
      expect([y!.dtype, y!.data.constructor]).to.deep.equal([dtype, x.data.constructor]);
      await session.dispose();
    });
  }

  it('a session refuses to run after dispose, and can be disposed of twice', async () => {
    const session = await createSession(MODEL());
    await Promise.all([session.dispose(), session.dispose()]);
    await session.dispose();
    const error = await failure(() => session.run({ x: CASE.x }));
    expect(error).to.be.instanceOf(SessionError).with.property('code', 'DISPOSED');
  });

  it('a session finishes the runs in progress before it frees the model', async () => {
    const session = await createSession(MODEL());
    const running = session.run({ x: CASE.x });
    await session.dispose();
    expect((await running).y!.dims).to.deep.equal([2, 8, 6, 5]);
  });

  it('a session returns to each of several concurrent runs its own result', async () => {
    const session = await createSession(MODEL());
    const inputs = Array.from({ length: 16 }, (_, seed) =>
      randomTensor('float32', [1, 8, 2 + seed, 5], { seed }),
    );
    const results = await Promise.all(inputs.map((x) => session.run({ x })));
    results.forEach(({ y }, i) => {
      expect(maxAbsDifference(y!, referenceGroupNorm({ ...CASE, x: inputs[i]! }))).to.be.below(5e-6);
    });
    await session.dispose();
  });
});

describe('tensors of onnxruntime', () => {
  const backends: SessionOptions[] = [{}, { groupNorm: 'reduce-mean' }, { providers: ['wasm'] }];
  for (const options of backends) {
    it(`a session takes tensors of onnxruntime as inputs and for outputs (${JSON.stringify(options)})`, async () => {
      const session = await createSession(MODEL(), options);
      const x = new ort.Tensor('float32', CASE.x.data, CASE.x.dims);
      const given = new ort.Tensor('float32', new Float32Array(CASE.x.data.length), CASE.x.dims);
      const { y } = await session.run({ x }, { outputs: { y: given } });
      expect(y!.data).to.equal(given.data);
      expect(maxAbsDifference(y!, referenceGroupNorm(CASE))).to.be.below(5e-6);
      await session.dispose();
    });
  }
});

describe('a session checks its inputs before the runtime sees them', () => {
  const cases: [what: string, feeds: () => Record<string, TensorData>, code: string, words: string[]][] = [
    ['a missing input', () => ({}), 'INPUT_MISSING', ["'x' is missing", "'x' float32 [N, 8, H, 5]"]],
    ['an unknown name', () => ({ x: CASE.x, X1: CASE.x }), 'INPUT_UNKNOWN', ["'X1' is not an input"]],
    [
      'another dtype',
      () => ({ x: randomTensor('float64', [2, 8, 6, 5]) }),
      'INPUT_DTYPE',
      ['float64', 'float32'],
    ],
    [
      'another rank',
      () => ({ x: randomTensor('float32', [2, 8, 30]) }),
      'INPUT_SHAPE',
      ['rank 3', '[N, 8, H, 5]'],
    ],
    [
      'another size where it is fixed',
      () => ({ x: randomTensor('float32', [2, 8, 6, 4]) }),
      'INPUT_SHAPE',
      ['[2, 8, 6, 4]', '[N, 8, H, 5]', 'dimension 3 is 4'],
    ],
    [
      'data shorter than its shape',
      () => ({ x: { ...CASE.x, data: new Float32Array(3) } }),
      'INPUT_SHAPE',
      ['holds 480 elements'],
    ],
  ];
  for (const [what, feeds, code, words] of cases) {
    it(`a session refuses ${what} before the runtime sees it`, async () => {
      const session = await createSession(MODEL());
      const error = await failure(() => session.run(feeds()));
      expect(error).to.be.instanceOf(SessionError).with.property('code', code);
      for (const word of words) expect(error.message).to.include(word);
      await session.dispose();
    });
  }

  it('a session reports every problem of its inputs at once', async () => {
    const g = new GraphBuilder('two');
    const [a, b] = [g.input('a', 'float32', [2]), g.input('b', 'float32', [2])];
    g.output('y', op.add(g, a, b));
    const session = await createSession(encodeModel(g.build(), new Map()));
    const error = await failure(() =>
      session.run({ a: tensor('float32', [3], new Float32Array(3)), c: CASE.x }),
    );
    for (const word of ["input 'a' has shape [3]", "input 'b' is missing", "'c' is not an input"]) {
      expect(error.message).to.include(word);
    }
    await session.dispose();
  });
});

describe('creating a session', () => {
  it('createSession lists the known providers after an unknown name', async () => {
    const error = await failure(() => createSession(MODEL(), { providers: ['cpuu' as never] }));
    expect(error.code).to.equal('UNKNOWN_PROVIDER');
    expect(error.message).to.include("did you mean 'cpu'");
    expect((await failure(() => createSession(MODEL(), { providers: [] }))).code).to.equal(
      'UNKNOWN_PROVIDER',
    );
  });

  it('createSession reports a missing file, and a file that is not a model', async () => {
    expect(await failure(() => createSession('/nowhere/model.onnx'))).to.be.instanceOf(FileError);
    const error = await failure(() => createSession(new TextEncoder().encode('not a model, but some text')));
    expect(error).to.be.instanceOf(ModelError).with.property('code', 'MODEL_INVALID');
    expect(await failure(() => createSession(new Uint8Array(0)))).to.have.property('code', 'MODEL_INVALID');
  });

  it("createSession throws MODEL_REJECTED if the runtime refuses a model, with the runtime's error as cause", async () => {
    const g = new GraphBuilder('unknown');
    const x = g.input('x', 'float32', [1]);
    g.output('y', g.node('NoSuchOperator', [x], {}, [{ dtype: 'float32', shape: [1] }])[0]!);
    const error = await failure(() => createSession(encodeModel(g.build(), new Map())));
    expect(error).to.be.instanceOf(SessionError).with.property('code', 'MODEL_REJECTED');
    expect(error.message).to.include('NoSuchOperator');
    expect(error.cause).to.be.instanceOf(Error);
  });

  it("run throws RUN_FAILED if the runtime fails, with the runtime's error as cause", async () => {
    const g = new GraphBuilder('broken');
    const [a, b] = [g.input('a', 'float32', ['A']), g.input('b', 'float32', ['B'])];
    g.output('y', op.add(g, a, b));
    const session = await createSession(encodeModel(g.build(), new Map()));
    const vector = (length: number) => tensor('float32', [length], new Float32Array(length));
    const error = await failure(() => session.run({ a: vector(2), b: vector(3) }));
    expect(error).to.be.instanceOf(SessionError).with.property('code', 'RUN_FAILED');
    expect(error.cause).to.be.instanceOf(Error);
    await session.dispose();
  });
});

describe('options that a runtime would misunderstand', () => {
  for (const intraOpNumThreads of [0, 1.5, -3, 2 ** 31, 'two' as unknown as number]) {
    it(`createSession refuses intraOpNumThreads ${intraOpNumThreads}`, async () => {
      const error = await rejection(createSession(new Uint8Array(0), { intraOpNumThreads }));
      expect(error).to.be.instanceOf(OptionError);
      expect((error as Error).message).to.include('must be an integer from 1 to 2147483647');
    });
  }

  it('createSession refuses an unknown graphOptimizationLevel', async () => {
    const error = await rejection(
      createSession(new Uint8Array(0), { graphOptimizationLevel: 'foo' as 'all' }),
    );
    expect(error).to.be.instanceOf(OptionError);
    expect((error as Error).message).to.include("'foo' is unknown; known: disabled, basic, extended, all");
  });
});

describe('a value that is not a model', () => {
  it('createSession says what a model is, and how to make one of an ArrayBuffer', async () => {
    for (const model of [undefined, null, 3, {}, new ArrayBuffer(8)]) {
      const error = (await rejection(createSession(model as Uint8Array))) as OptionError;
      expect(error).to.be.instanceOf(OptionError);
      expect(error.message).to.match(/^createSession takes a path or a Uint8Array, not /);
    }
    const error = await rejection(createSession(new ArrayBuffer(8) as unknown as Uint8Array));
    expect((error as Error).message).to.include('not ArrayBuffer: new Uint8Array(buffer) makes one of it');
  });
});

describe('a session of a file', () => {
  for (const groupNorm of [undefined, 'op'] as const) {
    it(`a session of a file finds external data beside the model (groupNorm: ${groupNorm})`, async () => {
      const folder = await mkdtemp(join(tmpdir(), 'session-'));
      try {
        const channels = 512;
        const g = new GraphBuilder('external');
        const weight = g.parameter('weight', { dtype: 'float32', shape: [channels] });
        const x = g.input('x', 'float32', ['N', channels, 3]);
        g.output('y', op.groupNormalization(g, x, weight, undefined, { numGroups: 8 }));
        const scale = randomTensor('float32', [channels], { stream: 'scale' });
        const path = join(folder, 'model.onnx');
        await writeModel(path, g.build(), new Map([['weight', scale]]), { externalData: true });
        const input = randomTensor('float32', [1, channels, 3]);
        const session = await createSession(path, { groupNorm });
        const { y } = await session.run({ x: input });
        expect(
          maxAbsDifference(y!, referenceGroupNorm({ x: input, scale, numGroups: 8, eps: 1e-5 })),
        ).to.be.below(5e-6);
        await session.dispose();
      } finally {
        await rm(folder, { recursive: true });
      }
    });
  }

  it('a session of a file reads a model that was written to disk', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'session-'));
    try {
      const path = join(folder, 'model.onnx');
      await writeFile(path, MODEL());
      const session = await createSession(path);
      expect((await session.run({ x: CASE.x })).y!.dims).to.deep.equal([2, 8, 6, 5]);
      await session.dispose();
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
