/** The program of a session's process, which price.ts starts: MODEL OPTIONS-AS-JSON SHAPE-OF-INPUT. */
import { createInterface } from 'node:readline';
import { createSession, type SessionOptions } from '../lib/index.js';
import { normalTensor, turnOf } from './statistics.js';

/** Runs of this many milliseconds do not need a run that does not count before them. */
const LONG_MS = 200;

const [model = '', options = '{}', shape = ''] = process.argv.slice(2);
const session = await createSession(model, JSON.parse(options) as SessionOptions);
const x = normalTensor(shape.split('x').map(Number));
const call = async () => {
  using outputs = await session.run({ [session.inputs[0]!.name]: x });
  void outputs;
};
let last = 0;
for await (const calls of createInterface({ input: process.stdin })) {
  last = await turnOf(call, last < LONG_MS)(Number(calls));
  console.log(last);
}
await session.dispose();
