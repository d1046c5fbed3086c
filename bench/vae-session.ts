/** The program of a session's process, which vae.ts starts: native|plain MODEL THREADS SHAPE-OF-INPUT. */
// Plain onnxruntime-node is what this compares with.
// eslint-disable-next-line no-restricted-imports
import * as ort from 'onnxruntime-node';
import { createInterface } from 'node:readline';
import { createSession } from '../lib/index.js';
import { normalTensor } from './statistics.js';

const [kind = '', model = '', threads = '', shape = ''] = process.argv.slice(2);
const z = normalTensor(shape.split('x').map(Number));
const intraOpNumThreads = Number(threads);

async function native(): Promise<() => Promise<void>> {
  const session = await createSession(model, { providers: ['native'], intraOpNumThreads });
  return async () => {
    using outputs = await session.run({ z });
    void outputs;
  };
}

async function plain(): Promise<() => Promise<void>> {
  const session = await ort.InferenceSession.create(model, { intraOpNumThreads });
  const feeds = { [session.inputNames[0]!]: new ort.Tensor('float32', z.data as Float32Array, z.dims) };
  return async () => void (await session.run(feeds));
}

const run = await (kind === 'native' ? native() : plain());
await run();
for await (const calls of createInterface({ input: process.stdin })) {
  const start = performance.now();
  for (let i = 0; i < Number(calls); i++) await run();
  console.log((performance.now() - start) / Number(calls));
}
process.exit();
