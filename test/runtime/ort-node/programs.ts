/** The programs of the tests of this folder: each runs in a process of its own. */
import { register } from 'node:module';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort } from 'node:worker_threads';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { createSession } from '../../../lib/index.js';
import { warnOfTf32 } from '../../../lib/runtime/ort-node/workarounds.js';
import { groupNormModel, randomTensor } from '../../support/group-norm.js';
import { heavyInput, heavyModel } from '../../support/heavy-model.js';
import { startWorker } from '../../support/program-worker.js';

const model = groupNormModel(
  { x: randomTensor('float32', [2, 8, 6, 5]), numGroups: 4, eps: 1e-5 },
  { lowering: 'op', opset: 21 },
);

/** Prints why createSession refuses the model, and the provider and first fallback of a session that may take wasm. */
export async function createWithAndWithoutWasm(): Promise<void> {
  const refusal = (await createSession(model).catch((error: unknown) => error)) as Record<string, unknown>;
  const { provider, fallbacks } = await createSession(model, { providers: ['cpu', 'wasm'] });
  console.log(JSON.stringify([refusal['code'], refusal['message'], provider, fallbacks[0]?.reason]));
  process.exit();
}

/** The same, where Node does not find the library that onnxruntime-node needs. */
export async function createWithoutLibrary(): Promise<void> {
  register('./missing-library.mjs', import.meta.url);
  await createWithAndWithoutWasm();
}

/** Prints each warning's code, and the variable. */
export function warnTwiceOfTf32(): void {
  delete process.env['NVIDIA_TF32_OVERRIDE'];
  process.on('warning', (warning: NodeJS.ErrnoException) =>
    console.log(warning.code, process.env['NVIDIA_TF32_OVERRIDE']),
  );
  warnOfTf32();
  warnOfTf32();
}

/** Starts a program in a worker, and prints its messages up to the end of the worker. */
async function printMessagesOf(program: () => Promise<void>): Promise<void> {
  const worker = startWorker(program);
  worker.on('message', (message) => console.log(JSON.stringify(message)));
  await once(worker, 'exit');
}

/** Starts a program in a worker, terminates the worker in a run, and prints the provider. */
async function terminateInRun(program: () => Promise<void>): Promise<void> {
  const worker = startWorker(program);
  console.log(...((await once(worker, 'message')) as unknown[]));
  await sleep(100);
  await worker.terminate();
}

export const createInWorker = (): Promise<void> => printMessagesOf(reportSessions);

/** Reports the refusal of `cpu`, a session that may also take wasm, and a session that is allowed in workers. */
export async function reportSessions(): Promise<void> {
  const refusal = (await createSession(model).catch((error: unknown) => error)) as Record<string, unknown>;
  await using second = await createSession(model, { providers: ['cpu', 'wasm'] });
  await using allowed = await createSession(model, { providers: [{ name: 'cpu', allowInWorker: true }] });
  await allowed.run({ x: randomTensor('float32', [2, 8, 6, 5]) });
  const { code, message } = refusal;
  parentPort!.postMessage({
    refusal: { code, message },
    second: { provider: second.provider, fallbacks: second.fallbacks },
    allowed: allowed.provider,
  });
}

export const terminateInRunOfCpuOrWasm = (): Promise<void> => terminateInRun(runOnCpuOrWasm);

export async function runOnCpuOrWasm(): Promise<void> {
  const session = await createSession(heavyModel(5), { providers: ['cpu', 'wasm'] });
  await runForever(session.provider, () => session.run({ x: heavyInput() }));
}

export const terminateInRunOfOrt = (): Promise<void> => terminateInRun(runWithOrt);

/** Runs a model by onnxruntime-node's own interface. */
export async function runWithOrt(): Promise<void> {
  const session = await InferenceSession.create(heavyModel(5));
  const { dims, data } = heavyInput();
  await runForever('onnxruntime-node', () =>
    session.run({ x: new Tensor('float32', data as Float32Array, dims) }),
  );
}

/** Reports `name` after the first run. From then on the worker is in a run at almost any time. */
async function runForever(name: string, run: () => Promise<unknown>): Promise<void> {
  await run();
  parentPort!.postMessage(name);
  for (;;) await run();
}
