import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import { encodeModel } from '../../../lib/onnx/encode.js';
import { loopHasTime, takesSteadyTime } from '../../../lib/runtime/native/short-runs.js';
import { createSession } from '../../../lib/runtime/node.js';
import { groupNormModel, randomTensor } from '../../support/group-norm.js';
import { describeNative } from '../../support/native.js';

const CASE = { x: randomTensor('float32', [1, 32, 8, 8]), numGroups: 4, eps: 1e-5 };
const MODEL = () => groupNormModel(CASE, { lowering: 'op', opset: 21 });
const X = { name: 'x', dtype: 'float32', shape: [1, 32, 8, 8] } as const;

describe('runs on the spot', () => {
  it('are for models whose time is settled by the sizes of their inputs', () => {
    expect(takesSteadyTime(MODEL(), [X])).to.equal(true);
  });

  it('are not for models that take integers, which may be sizes or counts', () => {
    expect(takesSteadyTime(MODEL(), [X, { name: 'n', dtype: 'int64', shape: [] }])).to.equal(false);
  });

  it('are not for models with functions or bodies, which may go round and round', () => {
    const model = readFileSync(new URL('../../samples/local-function.onnx', import.meta.url));
    expect(takesSteadyTime(model, [X])).to.equal(false);
  });

  it('are not for models of more than a mebibyte', () => {
    const g = new GraphBuilder('large');
    const weight = g.parameter('weight', { dtype: 'float32', shape: [512, 513], init: 'zeros' });
    g.output('y', op.gemm(g, g.input('x', 'float32', [1, 512]), weight, undefined));
    const large = encodeModel(g.build(), new Map([['weight', randomTensor('float32', [512, 513])]]));
    expect(takesSteadyTime(large, [X])).to.equal(false);
  });

  it('end when the event loop has not turned for a while, and go on when it has', async () => {
    await sleep(1);
    expect(loopHasTime()).to.equal(true);
    const start = performance.now();
    while (performance.now() - start < 3);
    expect(loopHasTime()).to.equal(false);
    await sleep(1);
    expect(loopHasTime()).to.equal(true);
  });
});

describeNative('a loop of short runs, each awaited', () => {
  it('lets timers fire', async () => {
    const session = await createSession(MODEL(), { providers: ['native'] });
    let fired = false;
    setTimeout(() => (fired = true), 5);
    // A microtask a run, so that without a limit the loop would never turn.
    for (let run = 0; run < 200_000 && !fired; run++) await session.run({ x: CASE.x });
    await session.dispose();
    expect(fired).to.equal(true);
  });
});
