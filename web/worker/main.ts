/** The worker: does everything slow, so that the page stays responsive. Runs one task at a time. */
import { OnnxGroupNormError, setRuntimeFolder } from '../../lib/browser.js';
import type { Failure, Message, Request } from '../protocol.js';
import { compareLowerings } from './lowerings.js';
import { buildModel, convert, openModel } from './models.js';
import { checkParity } from './parity.js';
import { measureModel, runModel } from './run.js';

setRuntimeFolder(new URL('ort/', location.href));

const post = (message: Message): void => postMessage(message);

addEventListener('message', ({ data }: MessageEvent<Request>) => {
  void answer(data);
});

async function answer(request: Request): Promise<void> {
  try {
    post({ type: 'result', result: await perform(request) });
  } catch (error) {
    post({ type: 'error', ...describe(error) });
  }
}

/** Returns an error in words. A RangeError is the browser's word for memory that it does not have. */
function describe(error: unknown): Failure {
  if (error instanceof OnnxGroupNormError) {
    const { code, message, option } = error;
    return { code, message, option };
  }
  const message = error instanceof Error ? error.message : String(error);
  return error instanceof RangeError
    ? {
        code: 'OUT_OF_MEMORY',
        message: `this browser has not enough memory for it (${message}): try a smaller model or input`,
      }
    : { code: 'INTERNAL', message };
}

function perform(request: Request) {
  switch (request.task) {
    case 'build':
      return buildModel(request);
    case 'open':
      return openModel(request);
    case 'run':
      return runModel(request);
    case 'measure':
      return measureModel(request);
    case 'lowerings':
      return compareLowerings(request);
    case 'convert':
      return convert(request);
    case 'parity':
      return checkParity(request.provider, (parity) => post({ type: 'case', parity }));
  }
}
