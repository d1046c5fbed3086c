/** The addon in processes and workers that end when they please. Each case is a process of its own. */
import { expect } from 'chai';
import { it } from 'mocha';
import { spawn } from 'node:child_process';
import { describeNative } from '../../support/native.js';

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly output: string;
}

const url = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);
const PRELUDE = `
  import { Worker, isMainThread, parentPort } from 'node:worker_threads';
  import { setTimeout as sleep } from 'node:timers/promises';
  import { register } from 'tsx/esm/api';
  if (!isMainThread) register();
  const { createSession } = await import(${url('../../../lib/index.ts')});
  const { groupNormModel, randomTensor, referenceGroupNorm, maxAbsDifference } =
    await import(${url('../../support/group-norm.ts')});
  const { heavyModel, heavyInput } = await import(${url('../../support/heavy-model.ts')});
  const NATIVE = { providers: ['native'] };
  const small = { x: randomTensor('float32', [2, 8, 6, 5]), numGroups: 4, eps: 1e-5 };
  const model = groupNormModel(small, { lowering: 'op', opset: 21 });
  const isRight = (y) => maxAbsDifference(y, referenceGroupNorm(small)) < 2e-6;
`;

/** Runs a module to its end. */
function runProcess(source: string, flags: string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const args = [...flags, '--import', 'tsx', '--input-type=module', '--eval', PRELUDE + source];
  const child = spawn(process.execPath, args, { env: { ...process.env, ...env } });
  let output = '';
  child.stdout.on('data', (text) => (output += text));
  child.stderr.on('data', (text) => (output += text));
  return new Promise((resolve) =>
    child.on('close', (code, signal) => resolve({ code, signal, output: output.trim() })),
  );
}

/** A worker that runs `source` after the prelude. */
const worker = (source: string) =>
  `new Worker(${JSON.stringify(PRELUDE + source)}, { eval: true, execArgv: ['--input-type=module'] })`;

describeNative('the native addon in processes that end', function () {
  this.timeout(60_000);

  it('runs 64 at once on a thread pool of one thread', async () => {
    const ended = await runProcess(
      `const session = await createSession(model, NATIVE);
       const results = await Promise.all(Array.from({ length: 64 }, () => session.run({ x: small.x })));
       console.log(results.filter(({ y }) => isRight(y)).length);`,
      [],
      { UV_THREADPOOL_SIZE: '1' },
    );
    expect(ended).to.deep.equal({ code: 0, signal: null, output: '64' });
  });

  it('lets a process exit in a run', async () => {
    const ended = await runProcess(
      `const session = await createSession(heavyModel(5000), NATIVE);
       session.run({ x: heavyInput() });
       await sleep(50);
       process.exit(3);`,
    );
    expect(ended).to.deep.equal({ code: 3, signal: null, output: '' });
  });

  it('lets a process end without disposing of its session, and while a model loads', async () => {
    const ended = await runProcess(
      `const session = await createSession(model, NATIVE);
       await session.run({ x: small.x });
       createSession(model, NATIVE);`,
    );
    expect(ended).to.deep.equal({ code: 0, signal: null, output: '' });
  });

  it('survives the end of a worker in a run, and runs on in the main thread', async () => {
    const ended = await runProcess(
      `const session = await createSession(model, NATIVE);
       const other = ${worker(`
         const session = await createSession(heavyModel(100), NATIVE);
         const running = session.run({ x: heavyInput() });
         parentPort.postMessage('running');
         await running;`)};
       await new Promise((resolve) => other.once('message', resolve));
       await other.terminate();
       console.log(isRight((await session.run({ x: small.x })).y));`,
    );
    expect(ended).to.deep.equal({ code: 0, signal: null, output: 'true' });
  });

  it('runs in several workers at once, and when only workers have loaded it', async () => {
    const ended = await runProcess(
      `const workers = Array.from({ length: 4 }, () => ${worker(`
         const session = await createSession(model, NATIVE);
         for (let i = 0; i < 20; i++) {
           if (!isRight((await session.run({ x: small.x })).y)) throw new Error('wrong');
         }`)});
       console.log(await Promise.all(workers.map((one) => new Promise((resolve, reject) => {
         one.on('error', reject);
         one.on('exit', resolve);
       }))));`,
    );
    expect(ended).to.deep.equal({ code: 0, signal: null, output: '[ 0, 0, 0, 0 ]' });
  });

  it('runs in a worker, and then in the main thread, after the only worker that had loaded it has ended', async () => {
    const ended = await runProcess(
      `for (let round = 0; round < 3; round++) {
         const other = ${worker(`
           const session = await createSession(model, NATIVE);
           if (!isRight((await session.run({ x: small.x })).y)) throw new Error('wrong');`)};
         await new Promise((resolve, reject) => other.on('error', reject).on('exit', resolve));
       }
       const session = await createSession(model, NATIVE);
       console.log(isRight((await session.run({ x: small.x })).y));`,
    );
    expect(ended).to.deep.equal({ code: 0, signal: null, output: 'true' });
  });

  it('creates, runs and disposes of 1,000 sessions in memory that stays flat', async () => {
    const ended = await runProcess(
      `const cycles = async (count) => {
         for (let i = 0; i < count; i++) {
           const session = await createSession(model, NATIVE);
           await session.run({ x: small.x });
           await session.dispose();
         }
         gc();
         return process.memoryUsage().rss / 2 ** 20;
       };
       const warm = await cycles(300);
       console.log(Math.round((await cycles(700)) - warm));`,
      // V8's young generation would grow by 9 MiB at once at a time that it chooses.
      ['--expose-gc', '--max-semi-space-size=1'],
    );
    expect({ ...ended, output: '' }).to.deep.equal({ code: 0, signal: null, output: '' });
    // MiB. A session that leaked would be at least 20 KiB, 14 MiB in all.
    expect(Number(ended.output)).to.be.below(10);
  });

  const kinds = {
    'plain calls': 'await session.run({ x })',
    using: '(await session.run({ x })).dispose()',
    'allocated inputs and outputs': 'await session.run({ x: pooled }, { outputs: { y: given } })',
    'ordinary given outputs': 'await session.run({ x }, { outputs: { y: ordinary } })',
    sync: '(await session.run({ x }, { sync: true })).dispose()',
  };
  for (const [kind, call] of Object.entries(kinds)) {
    it(`resident memory is flat over 2,000 runs: ${kind}`, async () => {
      const ended = await runProcess(
        `const x = randomTensor('float32', [1, 8, 64, 64]);
         const session = await createSession(
           groupNormModel({ x, numGroups: 4, eps: 1e-5 }, { lowering: 'op', opset: 21 }), NATIVE);
         const [pooled, given] = [session.allocate('float32', x.dims), session.allocate('float32', x.dims)];
         const ordinary = { ...x, data: new Float32Array(x.data.length) };
         pooled.data.set(x.data);
         const runs = async (count) => {
           for (let i = 0; i < count; i++) ${call};
           await sleep(1);
           gc();
           await sleep(1);
           return process.memoryUsage().rss / 2 ** 20;
         };
         const warm = await runs(500);
         console.log(Math.round((await runs(2000)) - warm));`,
        ['--expose-gc', '--max-semi-space-size=1'],
      );
      expect({ ...ended, output: '' }).to.deep.equal({ code: 0, signal: null, output: '' });
      // MiB. Results that leaked would be 250 MiB.
      expect(Number(ended.output)).to.be.below(10);
    });
  }

  it('a worker can be terminated while it has results, allocated tensors and a run in progress', async () => {
    const ended = await runProcess(
      `const { loadAddon } = await import(${url('../../../lib/runtime/native/addon.ts')});
       const session = await createSession(model, NATIVE);
       const before = loadAddon().addon.poolStatistics().usedBlocks;
       for (let round = 0; round < 3; round++) {
         const other = ${worker(`
           const session = await createSession(heavyModel(100), NATIVE);
           const x = session.allocate('float32', heavyInput().dims);
           const kept = await session.run({ x }, { sync: true });
           kept.y.data[0] = 1;
           const running = session.run({ x: kept.y }, { outputs: { y: session.allocate('float32', x.dims) } });
           kept.dispose();
           parentPort.postMessage('running');
           await running;`)};
         await new Promise((resolve) => other.once('message', resolve));
         await other.terminate();
       }
       const after = loadAddon().addon.poolStatistics().usedBlocks;
       console.log(isRight((await session.run({ x: small.x })).y), after - before);`,
    );
    expect(ended).to.deep.equal({ code: 0, signal: null, output: 'true 0' });
  });
});
