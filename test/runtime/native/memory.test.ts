/** The memory of results and inputs: its end, and what holds it. */
import { expect } from 'chai';
import { it } from 'mocha';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import { OptionError, SessionError } from '../../../lib/errors.js';
import { createSession, setBufferPoolLimit } from '../../../lib/index.js';
import { encodeModel } from '../../../lib/onnx/encode.js';
import type { RunResults, Session } from '../../../lib/runtime/core/contract.js';
import { loadAddon } from '../../../lib/runtime/native/addon.js';
import { tensor, type TensorData } from '../../../lib/tensor.js';
import {
  groupNormModel,
  maxAbsDifference,
  randomTensor,
  referenceGroupNorm,
} from '../../support/group-norm.js';
import { heavyInput, heavyModel } from '../../support/heavy-model.js';
import { describeNative } from '../../support/native.js';
import { rejection } from '../../support/temporary.js';

const NATIVE = { providers: ['native'] } as const;
/** Results of more than 64 KiB lie in the pool. */
const CASE = { x: randomTensor('float32', [2, 8, 64, 50]), numGroups: 4, eps: 1e-5 };
const EXPECTED = referenceGroupNorm(CASE);
const MODEL = groupNormModel(CASE, { lowering: 'op', opset: 21 });
const BYTES = CASE.x.data.byteLength;
const isRight = (y: TensorData | undefined): boolean =>
  y !== undefined && maxAbsDifference(y, EXPECTED) < 2e-6;
const statistics = () => loadAddon().addon!.poolStatistics();
const open = (): Promise<Session> => createSession(MODEL, NATIVE);

describeNative('the native provider: the end of results', () => {
  it('using empties the results at the end of the block', async () => {
    await using session = await open();
    let kept: RunResults;
    {
      using out = await session.run({ x: CASE.x });
      expect(isRight(out.y)).to.equal(true);
      kept = out;
    }
    expect(kept.y!.data.length).to.equal(0);
    expect((kept.y!.data.buffer as ArrayBuffer).byteLength).to.equal(0);
  });

  it('the next run takes the memory of disposed results', async () => {
    await using session = await open();
    (await session.run({ x: CASE.x })).dispose();
    const before = statistics();
    for (let run = 0; run < 10; run++) {
      using out = await session.run({ x: CASE.x });
      expect(isRight(out.y)).to.equal(true);
    }
    const after = statistics();
    // At most: the results of earlier tests may be collected meanwhile.
    expect(after.usedBytes).to.be.at.most(before.usedBytes);
    expect(after.reused - before.reused).to.be.at.least(20);
  });

  it('dispose empties small results too, and does nothing the second time', async () => {
    const small = { ...CASE, x: randomTensor('float32', [1, 8, 3, 2]) };
    await using session = await createSession(groupNormModel(small, { lowering: 'op', opset: 21 }), NATIVE);
    const out = await session.run({ x: small.x });
    out.dispose();
    out.dispose();
    out[Symbol.dispose]();
    expect(out.y!.data.length).to.equal(0);
  });

  it('Object.keys and a spread of the results see the outputs alone', async () => {
    await using session = await open();
    using out = await session.run({ x: CASE.x });
    expect(Object.keys(out)).to.deep.equal(['y']);
    expect({ ...out }).to.have.all.keys('y');
    expect('dispose' in out && Symbol.dispose in out).to.equal(true);
  });

  it('an output may be named dispose, and using still works', async () => {
    const g = new GraphBuilder('names');
    const x = g.input('x', 'float32', [40_000]);
    g.output('dispose', op.relu(g, x));
    await using session = await createSession(encodeModel(g.build(), new Map(), { opset: 21 }), NATIVE);
    const results = await session.run({ x: randomTensor('float32', [40_000]) });
    const out = results as unknown as Record<string, TensorData> & Disposable;
    expect(out.dispose!.data.length).to.equal(40_000);
    out[Symbol.dispose]();
    expect(out.dispose!.data.length).to.equal(0);
  });

  it('results outlive the session, and can be disposed of after it', async () => {
    const session = await open();
    const [kept, ended] = [await session.run({ x: CASE.x }), await session.run({ x: CASE.x })];
    await session.dispose();
    ended.dispose();
    expect(isRight(kept.y)).to.equal(true);
    kept.dispose();
    expect(kept.y!.data.length).to.equal(0);
  });

  it('a buffer that was transferred keeps its memory when the results are disposed of', async function () {
    const { transfer } = ArrayBuffer.prototype as { transfer?: (this: ArrayBuffer) => ArrayBuffer };
    if (!transfer) this.skip();
    await using session = await open();
    const out = await session.run({ x: CASE.x });
    const moved = transfer.call(out.y!.data.buffer as ArrayBuffer);
    out.dispose();
    using other = await session.run({ x: CASE.x });
    expect(isRight(other.y)).to.equal(true);
    expect(isRight(tensor('float32', CASE.x.dims, new Float32Array(moved)))).to.equal(true);
  });

  it('an output that is an input as it came in has memory of its own', async () => {
    const g = new GraphBuilder('through');
    const x = g.input('x', 'float32', [40_000]);
    g.output('same', op.reshape(g, x, [40_000]));
    g.output('y', op.relu(g, x));
    await using session = await createSession(encodeModel(g.build(), new Map(), { opset: 21 }), NATIVE);
    using given = session.allocate('float32', [40_000]);
    given.data.fill(1);
    const out = await session.run({ x: given });
    given.data.fill(2);
    expect([out.same!.data[0], out.y!.data[0]]).to.deep.equal([1, 1]);
    out.dispose();
    expect(given.data.length).to.equal(40_000);
  });
});

describeNative('the native provider: allocated tensors', () => {
  it('allocate returns zeros, in memory that was used before too', async () => {
    await using session = await open();
    {
      using used = session.allocate('float32', CASE.x.dims);
      used.data.set(CASE.x.data);
    }
    const reused = statistics().reused;
    using again = session.allocate('float32', CASE.x.dims);
    expect(statistics().reused).to.equal(reused + 1);
    expect(again.data.every((value) => value === 0)).to.equal(true);
    expect([again.dtype, again.dims]).to.deep.equal(['float32', CASE.x.dims]);
  });

  it('allocate takes every dtype, scalars and empty tensors', async () => {
    await using session = await open();
    for (const dtype of ['float64', 'float16', 'bfloat16', 'int64', 'bool'] as const) {
      for (const dims of [[], [0], [2, 3]]) {
        using made = session.allocate(dtype, dims);
        expect(tensor(dtype, dims, made.data).data).to.equal(made.data);
      }
    }
  });

  it('allocate refuses an unknown dtype, negative sizes, more memory than there is, and a disposed session', async () => {
    const session = await open();
    expect(() => session.allocate('float' as 'float32', [1])).to.throw(/unknown dtype 'float'/);
    expect(() => session.allocate('float32', [-1])).to.throw(/integers of at least 0/);
    for (const dims of [[2 ** 50], [2 ** 52, 2 ** 52]]) {
      expect(() => session.allocate('float32', dims))
        .to.throw(SessionError)
        .with.property('code', 'OUT_OF_MEMORY');
    }
    await session.dispose();
    expect(() => session.allocate('float32', [1]))
      .to.throw(SessionError)
      .with.property('code', 'DISPOSED');
  });

  it('a run reads a part of an allocated tensor without a copy', async () => {
    await using session = await open();
    using two = session.allocate('float32', [2, BYTES / 4]);
    const x = tensor('float32', CASE.x.dims, two.data.subarray(BYTES / 4));
    x.data.set(CASE.x.data);
    const before = statistics().usedBytes;
    const running = session.run({ x });
    expect(statistics().usedBytes - before).to.be.below(2 * BYTES);
    using out = await running;
    expect(isRight(out.y)).to.equal(true);
  });

  it('a run keeps the memory of an input that is disposed of during the run', async () => {
    await using session = await createSession(heavyModel(), NATIVE);
    const x = session.allocate('float32', heavyInput().dims);
    x.data.set(heavyInput().data as never);
    const running = session.run({ x });
    x.dispose();
    // Would be the same memory.
    using other = session.allocate('float32', heavyInput().dims);
    other.data.fill(7);
    expect((await running).y!.data[0]).to.be.closeTo(1 / 768, 1e-6);
  });

  it('a run keeps the memory of a result of another run that it reads', async () => {
    await using session = await createSession(heavyModel(), NATIVE);
    const first = await session.run({ x: heavyInput() });
    const running = session.run({ x: first.y! });
    first.dispose();
    expect((await running).y!.data[0]).to.be.closeTo(1 / 768, 1e-6);
  });

  it('a run writes an allocated output in place, and disposing of the results leaves that tensor alone', async () => {
    await using session = await open();
    using y = session.allocate('float32', CASE.x.dims);
    const { usedBytes } = statistics();
    {
      using out = await session.run({ x: CASE.x }, { outputs: { y } });
      expect(out.y).to.equal(y);
      expect(statistics().usedBytes).to.be.at.most(usedBytes);
    }
    expect(isRight(y)).to.equal(true);
  });

  it('a run refuses an allocated output of other sizes than the run computes', async () => {
    await using session = await createSession(
      groupNormModel({ ...CASE, shape: ['N', 8, 'H', 'W'] } as typeof CASE, { lowering: 'op', opset: 21 }),
      NATIVE,
    );
    using wrong = session.allocate('float32', [1, 8, 128, 50]);
    const error = await rejection(session.run({ x: CASE.x }, { outputs: { y: wrong } }));
    expect(error).to.have.property('code', 'OUTPUT_INVALID');
  });

  it('allocate returns an ordinary tensor on other providers', async () => {
    await using session = await createSession(MODEL, { providers: ['wasm'] });
    using x = session.allocate('float32', CASE.x.dims);
    x.data.set(CASE.x.data);
    using out = await session.run({ x });
    expect(isRight(out.y)).to.equal(true);
  });
});

describeNative('the native provider: ordinary memory', () => {
  it('a run refuses an ordinary output that is detached during the run', async () => {
    await using session = await createSession(heavyModel(), NATIVE);
    const y = tensor('float32', heavyInput().dims, new Float32Array(768 * 768));
    const running = session.run({ x: heavyInput() }, { outputs: { y } });
    structuredClone(y.data.buffer, { transfer: [y.data.buffer as ArrayBuffer] });
    expect(await rejection(running)).to.include({
      code: 'OUTPUT_INVALID',
      message: "output 'y' was detached during the run",
    });
  });

  it('a run refuses an allocated output that is disposed of during the run', async () => {
    await using session = await open();
    const y = session.allocate('float32', CASE.x.dims);
    const running = session.run({ x: CASE.x }, { outputs: { y } });
    y.dispose();
    const error = await rejection(running);
    expect(error).to.be.instanceOf(SessionError).with.property('code', 'OUTPUT_INVALID');
  });

  it('an aborted run gives its results back at once', async () => {
    await using session = await open();
    (await session.run({ x: CASE.x })).dispose();
    const before = statistics().usedBlocks;
    for (let run = 0; run < 10; run++) {
      const controller = new AbortController();
      const running = rejection(session.run({ x: CASE.x }, { signal: controller.signal }));
      controller.abort();
      expect(await running).to.have.property('code', 'ABORTED');
    }
    // The results of earlier tests may be collected meanwhile, but the ten aborted runs keep none.
    expect(statistics().usedBlocks).to.be.at.most(before);
  });

  it('a run reads and writes shared memory in place', async () => {
    await using session = await open();
    const shared = () => new Float32Array(new SharedArrayBuffer(BYTES));
    const [x, y] = [tensor('float32', CASE.x.dims, shared()), tensor('float32', CASE.x.dims, shared())];
    x.data.set(CASE.x.data);
    const { reused } = statistics();
    await session.run({ x }, { outputs: { y } });
    expect(isRight(y)).to.equal(true);
    expect(statistics().reused).to.equal(reused);
  });

  it('with enableCpuMemArena: false results lie outside the pool, and dispose empties them too', async () => {
    await using session = await createSession(MODEL, { ...NATIVE, enableCpuMemArena: false });
    using x = session.allocate('float32', CASE.x.dims);
    x.data.set(CASE.x.data);
    const { reused, usedBytes } = statistics();
    const out = await session.run({ x });
    expect(isRight(out.y)).to.equal(true);
    expect(statistics().reused).to.equal(reused);
    expect(statistics().usedBytes).to.be.at.most(usedBytes);
    out.dispose();
    expect(out.y!.data.length).to.equal(0);
  });
});

describeNative('the native provider: the pool', () => {
  it('the pool keeps no more free memory than its limit', async () => {
    await using session = await open();
    setBufferPoolLimit(0);
    try {
      (await session.run({ x: CASE.x })).dispose();
      expect(statistics().freeBytes).to.equal(0);
      setBufferPoolLimit(2 * BYTES);
      (await session.run({ x: CASE.x })).dispose();
      expect(statistics().freeBytes).to.be.within(BYTES, 2 * BYTES);
    } finally {
      setBufferPoolLimit(2 ** 30);
    }
  });

  for (const limit of [-1, 0.5, NaN, '1', undefined]) {
    it(`setBufferPoolLimit refuses ${String(limit)}`, () => {
      expect(() => setBufferPoolLimit(limit as number))
        .to.throw(OptionError, 'setBufferPoolLimit takes an integer of at least 0')
        .with.property('code', 'INVALID_OPTION');
    });
  }

  it('a run that needs more memory than there is fails, and the session still works', async () => {
    const g = new GraphBuilder('huge');
    const [x, shape] = [g.input('x', 'float32', [1]), g.input('shape', 'int64', [2])];
    g.output('y', op.expand(g, x, shape, { outputShape: ['A', 'B'] }));
    await using session = await createSession(encodeModel(g.build(), new Map(), { opset: 21 }), NATIVE);
    const sizes = (...dims: bigint[]) => tensor('int64', [2], BigInt64Array.from(dims));
    const one = tensor('float32', [1], Float32Array.of(3));
    const error = await rejection(session.run({ x: one, shape: sizes(2n ** 23n, 2n ** 23n) }));
    expect(error).to.be.instanceOf(SessionError).with.property('code', 'OUT_OF_MEMORY');
    using out = await session.run({ x: one, shape: sizes(2n, 3n) });
    expect([...out.y!.data]).to.deep.equal([3, 3, 3, 3, 3, 3]);
  });
});

describeNative('the native provider: runs on the calling thread', () => {
  it('sync: true runs before run returns', async () => {
    await using session = await open();
    using y = session.allocate('float32', CASE.x.dims);
    const running = session.run({ x: CASE.x }, { outputs: { y }, sync: true });
    expect(isRight(y)).to.equal(true);
    await running;
  });

  it('sync runs report errors as others do', async () => {
    await using session = await open();
    using wrong = session.allocate('float32', [2, 8, 50, 64]);
    const error = await rejection(session.run({ x: CASE.x }, { sync: true, outputs: { y: wrong } }));
    expect(error).to.have.property('code', 'OUTPUT_INVALID');
  });

  it('run refuses sync with a signal, and a sync that is not a boolean', async () => {
    await using session = await open();
    const { signal } = new AbortController();
    const both = await rejection(session.run({ x: CASE.x }, { sync: true, signal }));
    expect(both).to.be.instanceOf(OptionError).with.property('code', 'INVALID_OPTION');
    const word = await rejection(session.run({ x: CASE.x }, { sync: 'yes' as never }));
    expect(word).to.be.instanceOf(OptionError).with.property('message', "run: 'sync' must be true or false");
  });

  it('other providers accept sync', async () => {
    await using session = await createSession(MODEL, { providers: ['wasm'] });
    using out = await session.run({ x: CASE.x }, { sync: true });
    expect(isRight(out.y)).to.equal(true);
  });
});
