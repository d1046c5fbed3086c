import { expect } from 'chai';
import { it } from 'mocha';
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { runInNewContext } from 'node:vm';
import { GraphBuilder, op } from '../../../lib/graph/index.js';
import { encodeModel } from '../../../lib/onnx/index.js';
import { createSession } from '../../../lib/runtime/index.js';
import { randomTensor } from '../../support/group-norm.js';
import { describeNative } from '../../support/native.js';

const SHAPE = [4, 2 ** 17];

function reluModel(): Uint8Array {
  const g = new GraphBuilder('relu');
  g.output('y', op.relu(g, g.input('x', 'float32', SHAPE)));
  return encodeModel(g.build(), new Map());
}

/** How often V8 collected the young generation, and how often everything, in `work`. */
async function collections(work: () => Promise<void>): Promise<{ young: number; all: number }> {
  const kinds: unknown[] = [];
  const observer = new PerformanceObserver((list) =>
    kinds.push(
      ...list.getEntries().map((entry) => (entry as unknown as { detail: { kind: number } }).detail.kind),
    ),
  );
  observer.observe({ entryTypes: ['gc'] });
  await work();
  // Entries come with a later turn of the event loop.
  await new Promise((resolve) => setTimeout(resolve, 20));
  observer.disconnect();
  const count = (kind: number) => kinds.filter((one) => one === kind).length;
  return {
    young: count(constants.NODE_PERFORMANCE_GC_MINOR),
    all: count(constants.NODE_PERFORMANCE_GC_MAJOR),
  };
}

const RUNS = 512;
const MEGABYTES = (RUNS * 4 * SHAPE[0]! * SHAPE[1]!) / 2 ** 20;

/** Collections in `RUNS` runs, each result of which is held until `held` more are there. */
async function collectionsInRuns(held: number): Promise<{ young: number; all: number }> {
  const session = await createSession(reluModel(), { providers: ['native'] });
  const x = randomTensor('float32', SHAPE);
  const ring: unknown[] = [];
  const run = async (i: number): Promise<void> => {
    const { y } = await session.run({ x });
    if (held > 0) ring[i % held] = y;
  };
  const counts = await collections(async () => {
    for (let i = 0; i < RUNS; i++) await run(i);
  });
  await session.dispose();
  return counts;
}

describeNative('results', function () {
  this.timeout(20_000);

  it('that nobody holds are let go of without a collection of everything', async () => {
    const { young, all } = await collectionsInRuns(0);
    expect(young).to.be.at.least(MEGABYTES / 8);
    // V8 by itself collects everything for 64 MB, or less.
    expect(all).to.be.below(MEGABYTES / 64 / 4);
  });

  it('that are held are left to V8, which would take them for old if it were asked', async () => {
    const { young } = await collectionsInRuns(8);
    expect(young).to.be.below(MEGABYTES / 32);
  });

  it('leave V8’s collector out of the reach of others', async function () {
    if ('gc' in globalThis) return this.skip();
    await collectionsInRuns(0);
    expect(runInNewContext('typeof gc')).to.equal('undefined');
  });
});
