import { writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { SessionError, ServerError } from '../../../lib/errors.js';
import type { Batch } from '../../../lib/server/batching/batcher.js';
import { ServedModel, type ServingOptions } from '../../../lib/server/models/served-model.js';
import {
  failureReason,
  type RequestEnd,
  StatisticsCollector,
} from '../../../lib/server/models/statistics.js';
import { tensor } from '../../../lib/tensor.js';
import { node, smallModel } from '../../support/small-model.js';
import { rejection, temporaryFolder } from '../../support/temporary.js';

const rows = (count: number) => ({ x: tensor('float32', [count, 4], new Float32Array(4 * count).fill(1)) });
const NONE = { count: 0, ns: 0 };

describe('a served model', () => {
  const at = temporaryFolder();

  async function withModel(
    options: ServingOptions,
    action: (model: ServedModel, ends: RequestEnd[], batches: Batch[]) => Promise<void>,
  ): Promise<void> {
    await writeFile(at('m.onnx'), smallModel([node('Neg', 'x', 'y')]));
    const [ends, batches]: [RequestEnd[], Batch[]] = [[], []];
    const events = {
      onRequest: (_: ServedModel, end: RequestEnd) => ends.push(end),
      onBatch: (_: ServedModel, batch: Batch) => batches.push(batch),
    };
    const model = await ServedModel.load({ name: 'm', version: '3' }, at('m.onnx'), options, true, events);
    try {
      await action(model, ends, batches);
    } finally {
      await model.end();
    }
  }

  it('statistics are all there, at 0, before the first request', async () => {
    await withModel({ maxBatchSize: 4 }, (model) => {
      expect(model.statistics).to.deep.equal({
        lastInference: 0,
        inferenceCount: 0,
        executionCount: 0,
        success: NONE,
        fail: NONE,
        queue: NONE,
        computeInput: NONE,
        computeInfer: NONE,
        computeOutput: NONE,
        cacheHit: NONE,
        cacheMiss: NONE,
        failures: { rejected: 0, canceled: 0, backend: 0, other: 0 },
        batches: [],
      });
      expect([model.name, model.version, model.pending, model.maxBatchSize]).to.deep.equal(['m', '3', 0, 4]);
      return Promise.resolve();
    });
  });

  it('statistics count requests, samples and runs, by batch size, and failures by reason', async () => {
    await withModel({ maxBatchSize: 4 }, async (model, ends, batches) => {
      const begin = Date.now();
      await model.run(rows(1));
      await Promise.all([model.run(rows(2)), model.run(rows(1)), model.run(rows(3)), model.run(rows(1))]);
      expect(await rejection(model.run(rows(5)))).to.have.property('code', 'BATCH_SIZE');
      expect(await rejection(model.run(rows(1), { signal: AbortSignal.abort() }))).to.have.property('code');
      model.countFailure(new ServerError('QUEUE_FULL', 'full'), 2);
      const { statistics } = model;
      expect(statistics).to.include({ inferenceCount: 8, executionCount: 4 });
      expect(statistics.lastInference).to.be.within(begin, Date.now());
      for (const kind of ['success', 'queue', 'computeInput', 'computeInfer', 'computeOutput'] as const) {
        expect(statistics[kind].count).to.equal(5);
        expect(statistics[kind].ns).to.satisfy(Number.isInteger);
      }
      expect(statistics.success.ns).to.be.above(statistics.computeInfer.ns);
      expect(statistics.fail.count).to.equal(3);
      expect(statistics.fail.ns).to.be.at.least(2e6);
      expect(statistics.failures).to.deep.equal({ rejected: 1, canceled: 1, backend: 0, other: 1 });
      // The second request found the instance idle; the next two fill a batch.
      expect(
        statistics.batches.map(({ batchSize, computeInfer }) => [batchSize, computeInfer.count]),
      ).to.deep.equal([
        [1, 2],
        [2, 1],
        [4, 1],
      ]);
      expect(ends.map(({ reason }) => reason ?? 'success').sort()).to.deep.equal([
        'canceled',
        'other',
        'rejected',
        'success',
        'success',
        'success',
        'success',
        'success',
      ]);
      expect(batches.reduce((sum, { samples }) => sum + samples, 0)).to.equal(8);
    });
  });

  it('failureReason groups errors as Triton does', () => {
    expect(failureReason(new ServerError('QUEUE_TIMEOUT', 'late'))).to.equal('rejected');
    expect(failureReason(new SessionError('ABORTED', 'gone'))).to.equal('canceled');
    expect(failureReason(new SessionError('RUN_FAILED', 'failed'))).to.equal('backend');
    expect(failureReason(new SessionError('INPUT_SHAPE', 'wrong'))).to.equal('other');
    expect(failureReason(new TypeError('a bug'))).to.equal('backend');
  });

  it('statistics keep nanoseconds exact over a long time', () => {
    const collector = new StatisticsCollector();
    const batch = { samples: 1, requests: 1, computeInput: 0, computeInfer: 0.0005, computeOutput: 0 };
    for (let i = 0; i < 1000; i++) collector.batch(batch);
    expect(collector.snapshot().batches[0]!.computeInfer).to.deep.equal({ count: 1000, ns: 500_000 });
  });

  it("a request's own timeout holds only where the configuration allows it", async () => {
    for (const allowRequestTimeout of [true, false]) {
      await withModel({ maxBatchSize: 8, maxQueueDelay: 50, allowRequestTimeout }, async (model) => {
        const run = model.run(rows(1), { queueTimeout: 1 });
        if (allowRequestTimeout) expect(await rejection(run)).to.have.property('code', 'QUEUE_TIMEOUT');
        else expect((await run).samples).to.equal(1);
      });
    }
  });

  it('a model does not end while a request uses it', async () => {
    await withModel({}, async (model) => {
      const order: string[] = [];
      const using = model.use(async () => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        order.push(String((await model.run(rows(1))).samples));
      });
      await Promise.all([using, model.end().then(() => order.push('ended'))]);
      expect(order).to.deep.equal(['1', 'ended']);
    });
  });

  it('the threads of a model must be a number', async () => {
    const error = await rejection(withModel({ threads: 0 }, () => Promise.resolve()));
    expect(error).to.have.property('code', 'INVALID_OPTION');
  });
});
