/** The process of a contestant of load.ts: gets a LoadSpec, then a number of calls each turn. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type * as library from '../lib/index.js';

export interface LoadSpec {
  /** The checkout whose library does the work. */
  readonly folder: string;
  readonly task: 'createSession' | 'convertModel';
  readonly model: Uint8Array;
  readonly options: library.SessionOptions;
}

type Library = Pick<typeof library, 'createSession' | 'convertModel'>;

let turn: ((calls: number) => Promise<number>) | undefined;

async function makeTurn({ folder, task, model, options }: LoadSpec): Promise<typeof turn> {
  const { createSession, convertModel } = (await import(
    pathToFileURL(join(folder, 'lib', 'index.ts')).href
  )) as Library;
  const run = async (): Promise<number> => {
    const start = performance.now();
    if (task === 'convertModel') {
      convertModel(model);
      return performance.now() - start;
    }
    const session = await createSession(model, options);
    const time = performance.now() - start;
    await session.dispose();
    return time;
  };
  return async (calls) => {
    let total = 0;
    for (let call = 0; call < calls; call++) total += await run();
    return total / calls;
  };
}

process.on('message', (message: LoadSpec | number) => {
  void (async () => {
    if (typeof message === 'number') process.send!(await turn!(message));
    else {
      turn = await makeTurn(message);
      process.send!('ready');
    }
  })();
});
