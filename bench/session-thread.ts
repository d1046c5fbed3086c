/** The thread of a contestant: see session-threads.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import { createSession, tensor } from '../lib/index.js';
import type { ThreadSpec } from './session-threads.js';
import { normalTensor, turnOf } from './statistics.js';

const { model, options, shape, intoBuffer } = workerData as ThreadSpec;
const session = await createSession(model, options);
const x = normalTensor(shape);
const outputs = intoBuffer ? { y: tensor('float32', shape, new Float32Array(x.data.length)) } : {};
/** As a request is served: what a call gives is not held beyond it. */
async function call(): Promise<void> {
  await session.run({ x }, { outputs });
}
const turn = turnOf(call);

parentPort!.on('message', (calls: number) => void turn(calls).then((time) => parentPort!.postMessage(time)));
parentPort!.postMessage('ready');
