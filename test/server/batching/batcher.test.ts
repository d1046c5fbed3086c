import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  type Batch,
  type BatcherOptions,
  type BatcherRunOptions,
  createBatcher,
  QueueingBatcher,
} from '../../../lib/server/batching/batcher.js';
import type { TensorData } from '../../../lib/tensor.js';
import { tensor } from '../../../lib/tensor.js';
import { caught, rejection } from '../../support/temporary.js';
import { FakeClock, FakeSession, feedsOf, settle } from './fake-session.js';

function setUp(options: BatcherOptions) {
  const session = new FakeSession();
  const clock = new FakeClock();
  const batcher = new QueueingBatcher(session.asSession(), options, clock);
  /** Asks for rows of these values; the answer is the first column of `double`. */
  const ask = async (
    values: readonly number[],
    { width = 2, ...more }: BatcherRunOptions & { width?: number } = {},
  ) => {
    const { outputs } = await batcher.run(feedsOf(values, width), more);
    const { data } = outputs.double as TensorData<'float32'>;
    return Array.from(data).filter((_, i) => i % width === 0);
  };
  /** Makes a batcher whose joined batches have been compared with single runs, and whose only instance is busy. */
  async function busy(): Promise<void> {
    session.isQuick = true;
    const first = ask([0]);
    await Promise.all([first, ask([0]), ask([0])]);
    clock.pass(10_000);
    await settle();
    session.isQuick = false;
    void ask([0]).catch(() => undefined);
    clock.pass(10_000);
    await settle();
    session.runs.splice(0, session.runs.length - 1);
  }
  return { session, clock, batcher, ask, busy };
}

describe('the queue of a batcher', () => {
  it('an idle instance takes the first request at once, and what came meanwhile as the next batch', async () => {
    const { session, ask, busy } = setUp({ maxBatchSize: 8 });
    await busy();
    const answers = Promise.all([ask([1]), ask([2, 3]), ask([4])]);
    expect(session.batches).to.deep.equal([[0]]);
    session.runs[0]!.finish();
    await settle();
    expect(session.batches[1]).to.deep.equal([1, 2, 3, 4]);
    session.runs[1]!.finish();
    expect(await answers).to.deep.equal([[2], [4, 6], [8]]);
  });

  it('maxBatchSize counts samples, a request is not split, and none overtakes a request that does not fit', async () => {
    const { session, ask, busy } = setUp({ maxBatchSize: 4 });
    await busy();
    void Promise.all([ask([1, 1, 1]), ask([2, 2]), ask([3]), ask([4]), ask([5])]);
    session.isQuick = true;
    session.runs[0]!.finish();
    await settle();
    expect(session.batches.slice(1)).to.deep.equal([[1, 1, 1], [2, 2, 3, 4], [5]]);
  });

  it('a batch ends at the first request of another shape', async () => {
    const { session, ask, busy } = setUp({ maxBatchSize: 8 });
    await busy();
    const answers = Promise.all([ask([1]), ask([2]), ask([3], { width: 5 }), ask([4])]);
    session.isQuick = true;
    session.runs[0]!.finish();
    expect(await answers).to.deep.equal([[2], [4], [6], [8]]);
    expect(session.batches.slice(1)).to.deep.equal([[1, 2], [3], [4]]);
  });

  it('requests that want different outputs share a batch, and each gets its own alone', async () => {
    const { session, batcher, busy } = setUp({ maxBatchSize: 8 });
    await busy();
    const answers = Promise.all(
      [['half'], ['half', 'double'], ['half']].map((fetches, i) =>
        batcher.run(feedsOf([i + 1]), { fetches }),
      ),
    );
    session.isQuick = true;
    session.runs[0]!.finish();
    const names = (await answers).map(({ outputs }) => Object.keys(outputs));
    expect(names).to.deep.equal([['half'], ['half', 'double'], ['half']]);
    expect(session.batches[1]).to.deep.equal([1, 2, 3]);
  });

  it('with preferred sizes, the largest limits the batch', async () => {
    const { session, ask, busy } = setUp({ maxBatchSize: 8, preferredBatchSizes: [2, 4] });
    await busy();
    const answers = Promise.all([1, 2, 3, 4, 5].map((value) => ask([value])));
    session.isQuick = true;
    session.runs[0]!.finish();
    await answers;
    expect(session.batches.slice(1)).to.deep.equal([[1, 2, 3, 4], [5]]);
    await ask([6, 6, 6, 6, 6, 6]);
    expect(session.batches.at(-1)).to.have.length(6);
  });

  it('maxQueueDelay counts from the oldest request, and a batch of a preferred size does not wait', async () => {
    const { session, clock, ask } = setUp({
      maxBatchSize: 8,
      preferredBatchSizes: [3, 8],
      maxQueueDelay: 10,
    });
    session.isQuick = true;
    const first = Promise.all([ask([1]), ask([2])]);
    clock.pass(9);
    const third = ask([3, 3]);
    await settle();
    expect(session.runs).to.have.length(0);
    clock.pass(1);
    await Promise.all([first, third]);
    expect(session.batches[0]).to.deep.equal([1, 2, 3, 3]);
    session.runs.length = 0;
    await Promise.all([ask([4]), ask([5, 5])]);
    expect(session.batches).to.deep.equal([[4, 5, 5]]);
    await Promise.all([ask([6, 6, 6, 6, 6, 6, 6]), ask([7])]);
    expect(session.batches[1]).to.have.length(8);
    expect(clock.pending).to.equal(0);
  });

  it('a batch that the next request does not fit does not wait for the delay', async () => {
    const { session, clock, ask } = setUp({ maxBatchSize: 4, maxQueueDelay: 1000 });
    session.isQuick = true;
    void ask([1, 1]);
    const wide = ask([2], { width: 3 });
    await settle();
    expect(session.batches).to.deep.equal([[1, 1]]);
    clock.pass(1000);
    expect(await wide).to.deep.equal([4]);
  });

  it('several instances run batches at once', async () => {
    const { session, ask } = setUp({ maxBatchSize: 2, instances: 2 });
    void Promise.all([ask([1]), ask([2]), ask([3])]);
    expect(session.batches).to.deep.equal([[1], [2]]);
    session.runs[1]!.finish();
    await settle();
    expect(session.batches[2]).to.deep.equal([3]);
  });

  it('without maxBatchSize, requests of any size run one by one', async () => {
    const { session, batcher, ask } = setUp({});
    session.isQuick = true;
    await Promise.all([ask([1, 2, 3]), ask([4]), ask([])]);
    expect(session.batches).to.deep.equal([[1, 2, 3], [4], []]);
    expect(batcher.maxBatchSize).to.equal(undefined);
  });

  it('a full queue refuses with QUEUE_FULL, and takes requests again afterwards', async () => {
    const { session, batcher, ask, busy } = setUp({ maxBatchSize: 8, maxQueueSize: 2 });
    await busy();
    const waiting = [ask([1]), ask([2])];
    expect(batcher.pending).to.equal(2);
    const error = await rejection(ask([3]));
    expect(error).to.have.property('code', 'QUEUE_FULL');
    expect(error).to.have.property('message').that.contains('2 requests wait already');
    session.isQuick = true;
    session.runs[0]!.finish();
    await Promise.all(waiting);
    expect(await ask([4])).to.deep.equal([8]);
  });

  it('a request fails when its time in the queue is over, though the instance is still busy', async () => {
    const { session, clock, ask, busy } = setUp({ maxBatchSize: 8, queueTimeout: 20 });
    await busy();
    const [late, short, second] = [
      rejection(ask([1])),
      rejection(ask([2], { queueTimeout: 5 })),
      // A request may only shorten the time.
      rejection(ask([3], { queueTimeout: 50 })),
    ];
    clock.pass(5);
    expect(await short).to.have.property('code', 'QUEUE_TIMEOUT');
    clock.pass(14);
    const kept = ask([4]);
    clock.pass(1);
    expect(await late).to.have.property('code', 'QUEUE_TIMEOUT');
    expect(await second).to.have.property('code', 'QUEUE_TIMEOUT');
    session.runs[0]!.finish();
    await settle();
    expect(session.batches[1]).to.deep.equal([4]);
    // The time of a run does not count.
    clock.pass(1000);
    session.runs[1]!.finish();
    expect(await kept).to.deep.equal([8]);
    expect(clock.pending).to.equal(0);
  });

  it('a request that is aborted in the queue never runs', async () => {
    const { session, batcher, ask, busy } = setUp({ maxBatchSize: 8 });
    await busy();
    const controller = new AbortController();
    const aborted = ask([1], { signal: controller.signal });
    const other = ask([2]);
    controller.abort(new Error('the client has gone'));
    const error = await rejection(aborted);
    expect(error).to.have.property('code', 'ABORTED');
    expect(error).to.have.nested.property('cause.message', 'the client has gone');
    expect(batcher.pending).to.equal(1);
    expect(await rejection(ask([3], { signal: controller.signal }))).to.have.property('code', 'ABORTED');
    session.runs[0]!.finish();
    await settle();
    expect(session.batches[1]).to.deep.equal([2]);
    session.runs[1]!.finish();
    expect(await other).to.deep.equal([4]);
  });

  it('an aborted request leaves its batch, and the run ends when all of its requests are aborted', async () => {
    const { session, ask, busy } = setUp({ maxBatchSize: 8 });
    await busy();
    const controllers = [new AbortController(), new AbortController()] as const;
    const [first, second] = controllers.map(({ signal }, i) => ask([i + 1], { signal })) as [
      Promise<number[]>,
      Promise<number[]>,
    ];
    session.runs[0]!.finish();
    await settle();
    const { signal } = session.runs[1]!.options;
    controllers[0].abort();
    expect(await rejection(first)).to.have.property('code', 'ABORTED');
    expect(signal!.aborted).to.equal(false);
    controllers[1].abort();
    expect(await rejection(second)).to.have.property('code', 'ABORTED');
    expect(signal!.aborted).to.equal(true);
    await settle();
    session.isQuick = true;
    expect(await ask([3])).to.deep.equal([6]);
  });

  it('drain lets accepted requests end without the delay, and refuses others', async () => {
    const { session, batcher, clock, ask } = setUp({ maxBatchSize: 8, maxQueueDelay: 1000 });
    const answer = ask([1]);
    await settle();
    const draining = batcher.drain();
    expect(await rejection(ask([2]))).to.have.property('code', 'DISPOSED');
    session.runs[0]!.finish();
    await draining;
    expect(await answer).to.deep.equal([2]);
    expect(clock.pending).to.equal(0);
  });

  it('dispose fails the requests that wait, and waits for those that run', async () => {
    const { session, batcher, ask, busy } = setUp({ maxBatchSize: 8 });
    await busy();
    const waiting = ask([1]);
    let isOver = false;
    const disposing = batcher.dispose().then(() => (isOver = true));
    expect(await rejection(waiting)).to.have.property('code', 'DISPOSED');
    expect(isOver).to.equal(false);
    session.runs[0]!.finish();
    await disposing;
    expect(await rejection(ask([2])))
      .to.have.property('message')
      .that.contains('disposed of');
  });
});

describe('the answers of a batcher', () => {
  it('each request gets its rows in memory of its own, its times and the size of the batch', async () => {
    const batches: Batch[] = [];
    const { session, batcher, clock, busy } = setUp({
      maxBatchSize: 8,
      onBatch: (batch) => batches.push(batch),
    });
    await busy();
    batches.length = 0;
    const answers = Promise.all([batcher.run(feedsOf([1])), batcher.run(feedsOf([2, 3]))]);
    clock.pass(7);
    session.runs[0]!.finish();
    await settle();
    clock.pass(30);
    session.runs[1]!.finish();
    const [first, second] = await answers;
    expect(first.outputs.double!.data.buffer).to.not.equal(second.outputs.double!.data.buffer);
    expect(first.outputs.double!.data.buffer.byteLength).to.equal(8);
    expect([first.samples, second.samples, first.batchSize, second.batchSize]).to.deep.equal([1, 2, 3, 3]);
    const times = { computeInput: 0, computeInfer: 30, computeOutput: 0 };
    expect(second.timings).to.deep.equal({ queue: 7, ...times });
    expect(batches.at(-1)).to.deep.equal({ samples: 3, requests: 2, ...times });
  });

  it('if a batch fails, its requests run alone, and only the request at fault fails', async () => {
    const { session, batcher, ask, busy } = setUp({ maxBatchSize: 8 });
    await busy();
    const answers = [ask([1]), rejection(ask([2])), ask([3])] as const;
    session.runs[0]!.finish();
    await settle();
    session.runs[1]!.fail(new Error('bad row'));
    for (const run of [2, 3, 4]) {
      await settle();
      if (run === 3) session.runs[run]!.fail(new Error('row 2 is bad'));
      else session.runs[run]!.finish();
    }
    expect(await answers[0]).to.deep.equal([2]);
    expect(await answers[1]).to.have.property('message', 'row 2 is bad');
    expect(await answers[2]).to.deep.equal([6]);
    expect(session.batches.slice(1)).to.deep.equal([[1, 2, 3], [1], [2], [3]]);
    expect(batcher.notJoined).to.equal(undefined);
  });

  it('if a batch fails though each of its requests succeeds alone, requests are not joined any more', async () => {
    const { session, batcher, ask, busy } = setUp({ maxBatchSize: 8 });
    await busy();
    const answers = Promise.all([ask([1]), ask([2])]);
    session.runs[0]!.finish();
    await settle();
    session.isQuick = true;
    session.runs[1]!.fail(new Error('Reshape of a fixed size'));
    expect(await answers).to.deep.equal([[2], [4]]);
    expect(batcher.notJoined).to.equal('the model fails with a batch of 2 samples: Reshape of a fixed size');
    session.runs.length = 0;
    await Promise.all([ask([3]), ask([4]), ask([5])]);
    expect(session.batches).to.deep.equal([[3], [4], [5]]);
  });

  it('a request whose input was transferred while it waited fails alone', async () => {
    const { session, batcher, ask, busy } = setUp({ maxBatchSize: 8 });
    await busy();
    const feeds = feedsOf([1]);
    const moved = batcher.run(feeds);
    const other = ask([2]);
    const buffer = feeds.x.data.buffer as ArrayBuffer;
    structuredClone(buffer, { transfer: [buffer] });
    session.isQuick = true;
    session.runs[0]!.finish();
    const error = await rejection(moved);
    expect(error).to.have.property('code', 'INPUT_SHAPE');
    expect(error).to.have.property('message').that.contains('transferred or resized');
    expect(await other).to.deep.equal([4]);
    expect(session.batches[1]).to.deep.equal([2]);
  });

  it('wrong requests are refused before they are queued', async () => {
    const { session, batcher, ask } = setUp({ maxBatchSize: 2 });
    const refusal = async (promise: Promise<unknown>) => (await rejection(promise)) as { code: string };
    expect(await refusal(ask([1, 2, 3]))).to.have.property('code', 'BATCH_SIZE');
    expect(await refusal(ask([]))).to.have.property('code', 'BATCH_SIZE');
    expect(await refusal(batcher.run({}))).to.have.property('code', 'INPUT_MISSING');
    expect(await refusal(ask([1], { fetches: ['third'] }))).to.have.property('code', 'OUTPUT_INVALID');
    const wrong = { x: tensor('int32', [1, 2], Int32Array.of(1, 2)) };
    expect(await refusal(batcher.run(wrong))).to.have.property('code', 'INPUT_DTYPE');
    expect(await refusal(batcher.run(feedsOf([1]), { timeout: 1 } as object))).to.have.property(
      'code',
      'UNKNOWN_OPTION',
    );
    expect(await refusal(ask([1], { queueTimeout: 0 }))).to.have.property('code', 'INVALID_OPTION');
    expect(session.runs).to.have.length(0);
  });

  it('createBatcher refuses wrong options and models without an open first dimension', () => {
    const refusal = (options: object, change?: Partial<FakeSession>) =>
      caught(() => createBatcher(Object.assign(new FakeSession(), change).asSession(), options));
    expect(refusal({ maxBatchSize: 0 })).to.have.property('code', 'INVALID_OPTION');
    expect(refusal({ maxBatchSize: 2, preferredBatchSizes: [4] })).to.have.property('code', 'INVALID_OPTION');
    expect(refusal({ maxQueueDelay: -1 })).to.have.property('code', 'INVALID_OPTION');
    expect(refusal({ instances: 1.5 })).to.have.property('code', 'INVALID_OPTION');
    expect(refusal({ max_batch_size: 8 })).to.have.property('code', 'UNKNOWN_OPTION');
    const scalar = { name: 'loss', dtype: 'float32', shape: [] } as const;
    const error = refusal({ maxBatchSize: 2 }, { outputs: [scalar] });
    expect(error).to.have.property('code', 'NOT_BATCHABLE');
    expect(error).to.have.property('message').that.contains("output 'loss' is a scalar");
    expect(refusal({}, { outputs: [scalar] })).to.equal(undefined);
  });
});
