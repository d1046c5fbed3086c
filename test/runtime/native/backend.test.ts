import { readdir, readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { it } from 'mocha';
import { SessionError } from '../../../lib/errors.js';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import { encodeModel } from '../../../lib/onnx/encode.js';
import { ModelProto } from '../../../lib/onnx/protobuf/proto.js';
import type { SessionOptions } from '../../../lib/runtime/core/contract.js';
import { createSession } from '../../../lib/runtime/node.js';
import { int64Vector, tensor, type TensorData } from '../../../lib/tensor.js';
import {
  groupNormModel,
  maxAbsDifference,
  randomTensor,
  referenceGroupNorm,
  runModel,
} from '../../support/group-norm.js';
import { heavyInput, heavyModel } from '../../support/heavy-model.js';
import { describeNative } from '../../support/native.js';
import { rejection, temporaryFolder } from '../../support/temporary.js';

const NATIVE: SessionOptions = { providers: ['native'] };
const CASE = {
  x: randomTensor('float32', [2, 8, 6, 5]),
  scale: randomTensor('float32', [8], { stream: 'scale' }),
  bias: randomTensor('float32', [8], { stream: 'bias' }),
  numGroups: 4,
  eps: 1e-5,
};
const MODEL = () => groupNormModel(CASE, { lowering: 'op', opset: 21 });
const code = async (promise: Promise<unknown>): Promise<string> => {
  const error = await rejection(promise);
  expect(error).to.be.instanceOf(SessionError);
  return (error as SessionError).code;
};

describeNative('the native provider: GroupNormalization', () => {
  it('the native provider lets the runtime infer shapes behind sizes that have neither number nor name', async () => {
    const g = new GraphBuilder('unknown sizes');
    const [x, sizes] = [g.input('x', 'float32', ['N', 4, 'H']), g.input('sizes', 'int64', [3])];
    const shaped = op.reshape(g, x, sizes, { outputShape: ['A', 4, 'B'] });
    const norm = op.groupNormalization(g, shaped, undefined, undefined, { numGroups: 2 });
    const flat = op.reshape(g, norm, [-1]);
    g.output('y', op.reshape(g, flat, op.shape(g, norm), { outputShape: ['A', 4, 'B'] }));
    const message = ModelProto.decode(encodeModel(g.build(), new Map(), { opset: 21 }));
    message.graph!.valueInfo = [];
    const session = await createSession(ModelProto.encode(message).finish(), NATIVE);
    const feeds = { x: randomTensor('float32', [2, 4, 3]), sizes: int64Vector([1, 4, 6]) };
    const { y } = await session.run(feeds);
    const expected = referenceGroupNorm({ x: { ...feeds.x, dims: [1, 4, 6] }, numGroups: 2, eps: 1e-5 });
    expect(y!.dims).to.deep.equal([1, 4, 6]);
    expect(maxAbsDifference(y!, expected)).to.be.below(2e-6);
    await session.dispose();
  });

  it('the native provider runs the standard operator with its own kernel, and says so', async () => {
    const session = await createSession(MODEL(), NATIVE);
    expect([session.provider, session.groupNorm]).to.deep.equal(['native', 'kernel']);
    await session.dispose();
  });

  it('cpu runs on the native provider where the kernel was built', async () => {
    const session = await createSession(MODEL(), { providers: ['cpu'] });
    expect(session.provider).to.equal('native');
    await session.dispose();
  });

  // Rounding of the result itself, up to about 8; in float64 that of the reference, whose mean 1000 is a plain sum.
  const tolerances = { float32: 1e-6, float64: 5e-12, float16: 4e-3, bfloat16: 3e-2 } as const;
  for (const [dtype, tolerance] of Object.entries(tolerances)) {
    it(`the native provider computes ${dtype} to the last digits, at mean 1000 too`, async () => {
      for (const mean of [0, dtype.endsWith('16') ? 8 : 1000]) {
        const x = randomTensor(dtype as 'float32', [2, 8, 33, 5], { mean });
        // A power of two: the operator's epsilon is a float32.
        const options = { x, numGroups: 4, eps: 2 ** -17 };
        const y = await runModel(groupNormModel(options, { lowering: 'op', opset: 21 }), x, NATIVE);
        expect(maxAbsDifference(y, referenceGroupNorm(options)), `mean ${mean}`).to.be.below(tolerance);
      }
    });
  }

  for (const opset of [18, 20, 21, 25]) {
    it(`the native provider runs the operator of opset ${opset}`, async () => {
      const y = await runModel(groupNormModel(CASE, { lowering: 'op', opset }), CASE.x, NATIVE);
      expect(maxAbsDifference(y, referenceGroupNorm(CASE))).to.be.below(2e-6);
    });
  }

  it('the native provider takes an empty batch', async () => {
    const x = tensor('float32', [0, 8, 6, 5], new Float32Array(0));
    expect((await runModel(MODEL(), x, NATIVE)).dims).to.deep.equal([0, 8, 6, 5]);
  });

  it('the native provider refuses what is not a model, and runs on', async () => {
    for (const bytes of [new Uint8Array(0), new Uint8Array(1000).fill(255)]) {
      expect(await rejection(createSession(bytes, NATIVE))).to.be.instanceOf(Error);
    }
  });
});

describeNative('the native provider: runs', () => {
  it('a run of the native provider leaves the event loop free', async () => {
    const session = await createSession(heavyModel(), NATIVE);
    const order: string[] = [];
    const running = session.run({ x: heavyInput() }).then(() => order.push('run'));
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
    order.push('ten turns of the loop');
    await running;
    expect(order).to.deep.equal(['ten turns of the loop', 'run']);
    await session.dispose();
  });

  it('the native provider gives 64 concurrent runs of one session each its own result', async () => {
    const session = await createSession(MODEL(), NATIVE);
    const inputs = Array.from({ length: 64 }, (_, seed) => randomTensor('float32', [2, 8, 6, 5], { seed }));
    const results = await Promise.all(inputs.map((x) => session.run({ x })));
    inputs.forEach((x, i) => {
      expect(maxAbsDifference(results[i]!.y!, referenceGroupNorm({ ...CASE, x })), `run ${i}`).to.be.below(
        2e-6,
      );
    });
    await session.dispose();
  });

  it('the native provider gives the same bits every time', async () => {
    const session = await createSession(MODEL(), NATIVE);
    const [a, b] = [await session.run({ x: CASE.x }), await session.run({ x: CASE.x })];
    expect(a.y!.data).to.deep.equal(b.y!.data);
    await session.dispose();
  });

  it('the native provider takes feeds that are not the same when they are asked twice', async () => {
    const session = await createSession(MODEL(), NATIVE);
    let asked = 0;
    const feeds = new Proxy({ x: CASE.x }, { ownKeys: () => (asked++ % 2 === 0 ? ['x'] : []) });
    for (let attempt = 0; attempt < 8; attempt++) {
      const outcome = await session.run(feeds).catch((error: unknown) => error);
      expect(outcome instanceof SessionError || (outcome as { y: TensorData }).y.dims.length === 4).to.equal(
        true,
      );
    }
    await session.dispose();
  });

  it('the native provider refuses a signal that is not an AbortSignal, before it runs', async () => {
    const session = await createSession(MODEL(), NATIVE);
    const error = await rejection(session.run({ x: CASE.x }, { signal: {} as AbortSignal }));
    expect(error).to.include({ name: 'OptionError', message: "run: 'signal' must be an AbortSignal" });
    await session.dispose();
  });

  it('the native provider ends a run that is aborted, and the session goes on', async () => {
    const session = await createSession(heavyModel(2000), NATIVE);
    const x = heavyInput();
    const controller = new AbortController();
    const running = session.run({ x }, { signal: controller.signal });
    setTimeout(() => controller.abort(), 20);
    expect(await code(running)).to.equal('ABORTED');
    expect(await code(session.run({ x }, { signal: AbortSignal.abort() }))).to.equal('ABORTED');
    await session.dispose();
  });

  it('the native provider finishes the runs in progress before it frees the model', async () => {
    const session = await createSession(heavyModel(), NATIVE);
    const running = session.run({ x: heavyInput() });
    await session.dispose();
    expect((await running).y!.data[0]).to.be.closeTo(1 / 768, 1e-6);
    expect(await code(session.run({ x: heavyInput() }))).to.equal('DISPOSED');
  });

  it('results of the native provider are still valid after dispose', async () => {
    const x = randomTensor('float32', [1, 8, 200, 100]);
    const y = await runModel(MODEL(), x, NATIVE);
    expect(maxAbsDifference(y, referenceGroupNorm({ ...CASE, x }))).to.be.below(2e-6);
  });
});

describeNative('the native provider: options', () => {
  const path = temporaryFolder();

  it('the native provider gives the same bits for any number of threads, with and without the memory arena', async () => {
    const x = randomTensor('float32', [1, 8, 300, 200]);
    const [first, ...others] = await Promise.all(
      [{}, { intraOpNumThreads: 1 }, { intraOpNumThreads: 3 }, { enableCpuMemArena: false }].map((options) =>
        runModel(MODEL(), x, { ...NATIVE, ...options }),
      ),
    );
    for (const other of others) expect(other.data).to.deep.equal(first!.data);
  });

  it('the native provider writes a profile, in which the kernel is', async () => {
    const session = await createSession(MODEL(), { ...NATIVE, profileFilePrefix: path('profile') });
    await session.run({ x: CASE.x });
    await session.dispose();
    const [file] = await readdir(path());
    const events = JSON.parse(await readFile(path(file!), 'utf8')) as { args?: { op_name?: string } }[];
    expect(events.map(({ args }) => args?.op_name)).to.include('GroupNormalization');
  });
});

describeNative('the native provider: memory of the caller', () => {
  it('the native provider keeps an input that is transferred away under the run', async () => {
    const session = await createSession(heavyModel(), NATIVE);
    const x = heavyInput();
    const running = session.run({ x });
    structuredClone(x.data.buffer, { transfer: [x.data.buffer as ArrayBuffer] });
    expect(x.data.length).to.equal(0);
    expect((await running).y!.data[0]).to.be.closeTo(1 / 768, 1e-6);
    await session.dispose();
  });

  it('the native provider keeps an input that is resized under the run', async () => {
    const resizable = ArrayBuffer as unknown as new (
      size: number,
      options: object,
    ) => ArrayBuffer & { resize(size: number): void };
    const session = await createSession(heavyModel(), NATIVE);
    const { data, dims } = heavyInput();
    const buffer = new resizable(data.byteLength, { maxByteLength: data.byteLength });
    const x = { dtype: 'float32', dims, data: new Float32Array(buffer) } as const;
    x.data.set(data as Float32Array);
    const running = session.run({ x });
    buffer.resize(0);
    expect((await running).y!.data[0]).to.be.closeTo(1 / 768, 1e-6);
    await session.dispose();
  });

  it('the native provider reads shared memory', async () => {
    const data = new Float32Array(new SharedArrayBuffer(CASE.x.data.byteLength));
    data.set(CASE.x.data);
    const y = await runModel(MODEL(), { ...CASE.x, data }, NATIVE);
    expect(maxAbsDifference(y, referenceGroupNorm(CASE))).to.be.below(2e-6);
  });

  it('the native provider writes into a given output', async () => {
    const session = await createSession(MODEL(), NATIVE);
    const y = tensor('float32', CASE.x.dims, new Float32Array(CASE.x.data.length));
    const results = await session.run({ x: CASE.x }, { outputs: { y } });
    expect(results.y).to.equal(y);
    expect(maxAbsDifference(y, referenceGroupNorm(CASE))).to.be.below(2e-6);
    await session.dispose();
  });
});

describeNative('the native provider: operators that a model gets wrong', () => {
  type Message = ReturnType<typeof ModelProto.decode>;
  const changed = (change: (message: Message) => void): Uint8Array => {
    const message = ModelProto.decode(MODEL());
    change(message);
    return ModelProto.encode(message).finish();
  };

  for (const value of [3, 0, -4]) {
    it(`the native provider refuses num_groups ${value} for 8 channels`, async () => {
      const model = changed(({ graph }) => {
        graph!.node![0]!.attribute!.find(({ name }) => name === 'num_groups')!.i = value;
      });
      expect(await code(runModel(model, CASE.x, NATIVE))).to.be.oneOf(['RUN_FAILED', 'MODEL_REJECTED']);
    });
  }

  const withAffine = (scale: TensorData) =>
    changed(({ graph }) => {
      for (const initializer of graph!.initializer!) {
        initializer.dims = [scale.data.length];
        initializer.rawData = new Uint8Array(scale.data.buffer as ArrayBuffer);
      }
    });

  for (const length of [8, 4]) {
    it(`the native provider takes ${length} scales for 8 channels in 4 groups`, async () => {
      const scale = randomTensor('float32', [length]);
      const perChannel = Float64Array.from(
        { length: 8 },
        (_, c) => scale.data[Math.floor((c * length) / 8)] as number,
      );
      const wide = tensor('float64', [8], perChannel);
      const y = await runModel(withAffine(scale), CASE.x, NATIVE);
      expect(maxAbsDifference(y, referenceGroupNorm({ ...CASE, scale: wide, bias: wide }))).to.be.below(2e-6);
    });
  }

  for (const length of [0, 1, 2, 9, 100]) {
    it(`the native provider refuses ${length} scales for 8 channels in 4 groups`, async () => {
      const running = runModel(withAffine(randomTensor('float32', [length])), CASE.x, NATIVE);
      expect(await code(running)).to.be.oneOf(['RUN_FAILED', 'MODEL_REJECTED']);
    });
  }
});
