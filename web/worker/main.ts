/** The worker: does everything slow, so that the page stays responsive. Runs one task at a time. */
import { OnnxGroupNormError, setRuntimeFolder } from '../../lib/browser.js';
import type { Message, Request } from '../protocol.js';
import { buildTask } from './build.js';
import { checkParity } from './parity.js';
import { runTask } from './run.js';
import { measureLowerings } from './timings.js';

setRuntimeFolder(new URL('ort/', location.href));

const post = (message: Message): void => postMessage(message);

addEventListener('message', ({ data }: MessageEvent<Request>) => {
  void answer(data);
});

async function answer(request: Request): Promise<void> {
  try {
    post({ type: 'result', result: await perform(request) });
  } catch (error) {
    post({
      type: 'error',
      code: error instanceof OnnxGroupNormError ? error.code : 'INTERNAL',
      message: error instanceof Error ? error.message : String(error),
    });
  }
}

function perform(request: Request) {
  switch (request.task) {
    case 'build':
      return buildTask(request.spec);
    case 'run':
      return runTask(request);
    case 'timings':
      return measureLowerings(request);
    case 'parity':
      return checkParity(request.provider, (parity) => post({ type: 'case', parity }));
  }
}
