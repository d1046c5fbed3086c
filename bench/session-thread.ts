/** The program of a contestant's thread, which session-threads.ts starts. */
import { parentPort, workerData } from 'node:worker_threads';
import { createSession, tensor } from '../lib/index.js';
import type { ThreadSpec } from './session-threads.js';
import { normalTensor, turnOf } from './statistics.js';

const { model, options, shape, intoBuffer } = workerData as ThreadSpec;
const session = await createSession(model, options);
const x = normalTensor(shape);
const outputs = intoBuffer ? { y: tensor('float32', shape, new Float32Array(x.data.length)) } : {};
/** Makes one call, and drops the result as a server does after a request. */
async function call(): Promise<void> {
  await session.run({ x }, { outputs });
}
const turn = turnOf(call);

/** After it wakes, the thread shares a core with a thread of ONNX Runtime until the system moves it. */
const SETTLE_MS = 50;

async function settledTurn(calls: number): Promise<number> {
  for (const start = performance.now(); performance.now() - start < SETTLE_MS;) await call();
  return turn(calls);
}

parentPort!.on(
  'message',
  (calls: number) => void settledTurn(calls).then((time) => parentPort!.postMessage(time)),
);
parentPort!.postMessage('ready');
