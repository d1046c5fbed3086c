/** The programs of the tests of this folder: each runs in a process or a worker of its own. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort, type Worker } from 'node:worker_threads';
import { createSession, type Session, type SessionOptions, type TensorData } from '../../../lib/index.js';
import { loadAddon } from '../../../lib/runtime/native/addon.js';
import {
  groupNormModel,
  maxAbsDifference,
  randomTensor,
  referenceGroupNorm,
} from '../../support/group-norm.js';
import { heavyInput, heavyModel } from '../../support/heavy-model.js';
import { startWorker } from '../../support/program-worker.js';

const NATIVE = { providers: ['native'] } as const;
const small = { x: randomTensor('float32', [2, 8, 6, 5]), numGroups: 4, eps: 1e-5 };
const model = groupNormModel(small, { lowering: 'op', opset: 21 });

async function isRight(session: Session): Promise<boolean> {
  const { y } = await session.run({ x: small.x });
  return maxAbsDifference(y!, referenceGroupNorm(small)) < 2e-6;
}

async function requireRight(session: Session): Promise<void> {
  if (!(await isRight(session))) throw new Error('wrong');
}

/** Starts a program in a worker, and terminates the worker in a run. */
async function terminateInRun(program: () => Promise<void>): Promise<void> {
  const worker = startWorker(program);
  await once(worker, 'message');
  await worker.terminate();
}

/** Returns the exit code of a worker that ends by itself. */
async function exitCodeOf(worker: Worker): Promise<unknown> {
  const [code] = (await once(worker, 'exit')) as unknown[];
  return code;
}

export async function runManyAtOnce(): Promise<void> {
  const session = await createSession(model, NATIVE);
  const results = await Promise.all(Array.from({ length: 64 }, () => isRight(session)));
  console.log(results.filter((right) => right).length);
}

export async function exitInRun(): Promise<void> {
  const session = await createSession(heavyModel(5000), NATIVE);
  void session.run({ x: heavyInput() });
  await sleep(50);
  process.exit(3);
}

export async function endWhileModelLoads(): Promise<void> {
  const session = await createSession(model, NATIVE);
  await session.run({ x: small.x });
  void createSession(model, NATIVE);
}

export async function terminateWorkerInRun(): Promise<void> {
  const session = await createSession(model, NATIVE);
  await terminateInRun(runInWorker);
  console.log(await isRight(session));
}

export async function runInWorker(): Promise<void> {
  const session = await createSession(heavyModel(100), NATIVE);
  const running = session.run({ x: heavyInput() });
  parentPort!.postMessage('running');
  await running;
}

export async function runInWorkersOnly(): Promise<void> {
  const workers = Array.from({ length: 4 }, () => startWorker(runTwentyTimesInWorker));
  console.log(await Promise.all(workers.map(exitCodeOf)));
}

export async function runTwentyTimesInWorker(): Promise<void> {
  const session = await createSession(model, NATIVE);
  for (let i = 0; i < 20; i++) await requireRight(session);
}

export async function runAfterWorkersHaveEnded(): Promise<void> {
  for (let round = 0; round < 3; round++) await exitCodeOf(startWorker(runOnceInWorker));
  console.log(await isRight(await createSession(model, NATIVE)));
}

export async function runOnceInWorker(): Promise<void> {
  await requireRight(await createSession(model, NATIVE));
}

/** Prints by how many MiB sessions let the resident memory grow, after the first 300. */
export async function createManySessions(sessions = '700'): Promise<void> {
  const cycles = async (count: number): Promise<number> => {
    for (let i = 0; i < count; i++) {
      const session = await createSession(model, NATIVE);
      await session.run({ x: small.x });
      await session.dispose();
    }
    gc!();
    return residentMiB();
  };
  const warm = await cycles(300);
  console.log(Math.round((await cycles(Number(sessions))) - warm));
}

const residentMiB = (): number => process.memoryUsage().rss / 2 ** 20;

/** A session, its input, and tensors that it can read and write in place. */
interface Run {
  readonly session: Session;
  readonly x: TensorData;
  readonly pooled: TensorData;
  readonly given: TensorData;
  readonly ordinary: TensorData;
}

export const plainCalls = (count?: string): Promise<void> =>
  callOften(({ session, x }) => session.run({ x }), count);
export const usingCalls = (count?: string): Promise<void> =>
  callOften(async ({ session, x }) => (await session.run({ x })).dispose(), count);
export const callsWithAllocatedTensors = (count?: string): Promise<void> =>
  callOften(({ session, pooled, given }) => session.run({ x: pooled }, { outputs: { y: given } }), count);
export const callsWithGivenOutputs = (count?: string): Promise<void> =>
  callOften(({ session, x, ordinary }) => session.run({ x }, { outputs: { y: ordinary } }), count);
export const syncCalls = (count?: string): Promise<void> =>
  callOften(async ({ session, x }) => (await session.run({ x }, { sync: true })).dispose(), count);

/** Prints by how many MiB calls let the resident memory grow, after the first 500. */
async function callOften(call: (run: Run) => Promise<unknown>, calls = '2000'): Promise<void> {
  const x = randomTensor('float32', [1, 8, 64, 64]);
  const session = await createSession(
    groupNormModel({ x, numGroups: 4, eps: 1e-5 }, { lowering: 'op', opset: 21 }),
    NATIVE,
  );
  const [pooled, given] = [session.allocate('float32', x.dims), session.allocate('float32', x.dims)];
  const ordinary = { ...x, data: new Float32Array(x.data.length) };
  pooled.data.set(x.data);
  const runs = async (count: number): Promise<number> => {
    for (let i = 0; i < count; i++) await call({ session, x, pooled, given, ordinary });
    await sleep(1);
    gc!();
    await sleep(1);
    return residentMiB();
  };
  const warm = await runs(500);
  console.log(Math.round((await runs(Number(calls))) - warm));
}

export async function terminateWorkerWithResults(): Promise<void> {
  const session = await createSession(model, NATIVE);
  const usedBlocks = () => loadAddon().addon!.poolStatistics().usedBlocks;
  const before = usedBlocks();
  await terminateInRun(runWithResultsInWorker);
  const after = usedBlocks();
  console.log(await isRight(session), after - before);
}

export async function runWithResultsInWorker(): Promise<void> {
  const session = await createSession(heavyModel(100), NATIVE);
  const x = session.allocate('float32', heavyInput().dims);
  const kept = await session.run({ x }, { sync: true });
  kept.y!.data[0] = 1;
  const running = session.run({ x: kept.y! }, { outputs: { y: session.allocate('float32', x.dims) } });
  kept.dispose();
  parentPort!.postMessage('running');
  await running;
}

/** Prints the provider and the fallbacks of sessions, and the warnings of the process. */
export async function createWithoutKernel(): Promise<void> {
  const warnings: (readonly unknown[])[] = [];
  process.on('warning', ({ message, ...warning }: NodeJS.ErrnoException) =>
    warnings.push([warning.code, message]),
  );
  const open = async (options: SessionOptions) => {
    await using session = await createSession(model, options);
    await new Promise(setImmediate);
    return { provider: session.provider, fallbacks: session.fallbacks, warnings: [...warnings] };
  };
  const opened = {
    wasm: await open({ providers: ['wasm', 'cpu'] }),
    named: await open({ groupNorm: 'reduce-mean' }),
    cpu: await open({}),
    again: await open({ providers: ['native', 'cpu'] }),
  };
  console.log(JSON.stringify(opened));
}
