import { expect } from 'chai';
import { it } from 'mocha';
import { constants, PerformanceObserver } from 'node:perf_hooks';
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

describeNative('results that nobody holds', function () {
  this.timeout(20_000);

  it('are let go of without a collection of everything', async () => {
    const session = await createSession(reluModel(), { providers: ['native'] });
    const x = randomTensor('float32', SHAPE);
    const runs = 512;
    const { young, all } = await collections(async () => {
      for (let run = 0; run < runs; run++) await session.run({ x });
    });
    await session.dispose();
    const megabytes = (runs * x.data.byteLength) / 2 ** 20;
    expect(young).to.be.at.least(megabytes / 8);
    // V8 by itself collects everything for 64 MB, or less.
    expect(all).to.be.below(megabytes / 64 / 4);
  });

  it('leave the collector out of reach of others', () => {
    expect(globalThis).not.to.have.property('gc');
  });
});
