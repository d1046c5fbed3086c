/** The program of a contestant's thread, which session-threads.ts starts. */
import { parentPort, workerData } from 'node:worker_threads';
import { createSession, tensor, type TensorData } from '../lib/index.js';
import { SETTLE_MS, type ThreadSpec } from './session-threads.js';
import { normalTensor, turnOf } from './statistics.js';

const { model, options, shape, call: style = 'plain', sync = false } = workerData as ThreadSpec;
const session = await createSession(model, options);
const ordinary = normalTensor(shape);

function allocatedInput(): TensorData {
  const x = session.allocate('float32', shape);
  x.data.set(ordinary.data as Float32Array);
  return x;
}

/** Makes the call as a user writes it, and drops the result as a server does after a request. */
function callOf(): () => Promise<void> {
  const x = style === 'plain' || style === 'outputs' ? ordinary : allocatedInput();
  if (style === 'using') {
    return async () => {
      using out = await session.run({ x }, { sync });
      void out;
    };
  }
  const y =
    style === 'outputs'
      ? tensor('float32', shape, new Float32Array(ordinary.data.length))
      : session.allocate('float32', shape);
  const outputs = style === 'plain' ? {} : { y };
  return async () => void (await session.run({ x }, { outputs, sync }));
}

const call = callOf();
const turn = turnOf(call);

async function settledTurn(calls: number): Promise<number> {
  for (const start = performance.now(); performance.now() - start < SETTLE_MS;) await call();
  return turn(calls);
}

parentPort!.on(
  'message',
  (calls: number) => void settledTurn(calls).then((time) => parentPort!.postMessage(time)),
);
parentPort!.postMessage('ready');
