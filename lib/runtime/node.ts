/** Sessions in Node. */
import { stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { dataFileProblem, followDataLinks } from '../files/data-file.js';
import { readModelFile } from '../onnx/write.js';
import type {
  ModelSource,
  Platform,
  Provider,
  ProviderProblem,
  Session,
  SessionOptions,
} from './core/contract.js';
import { openSession } from './session/open.js';
import { type BackendChoice, chooseBackend as chooseBackendOn } from './core/providers.js';
import { nativeBackend } from './native/backend.js';
import { acceleratorBackend } from './ort-node/accelerators.js';
import { cpuBackend } from './ort-node/model.js';
import { nodeWasmBackend } from './ort-web/node.js';

export const NODE: Platform = {
  defaultProvider: 'cpu',
  backends: {
    native: [nativeBackend],
    cpu: [nativeBackend, cpuBackend],
    cuda: [acceleratorBackend('cuda')],
    tensorrt: [acceleratorBackend('tensorrt')],
    webgpu: [acceleratorBackend('webgpu')],
    wasm: [nodeWasmBackend],
    coreml: [acceleratorBackend('coreml')],
    dml: [acceleratorBackend('dml')],
  },
  readModel,
  dataFileProblem,
  followDataLinks,
  warnOfLost: warnOfLostKernel,
};

async function readModel(path: string): Promise<ModelSource> {
  const absolute = resolve(path);
  const before = await versionOf(absolute);
  return {
    bytes: await readModelFile(path),
    where: path,
    folder: dirname(absolute),
    async readAgain() {
      const bytes = await readModelFile(absolute);
      return (await versionOf(absolute)) === before ? bytes : undefined;
    },
  };
}

/** Returns a text that is another one after the file has changed; an empty text if the file cannot be read. */
async function versionOf(path: string): Promise<string> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  return found ? [found.dev, found.ino, found.size, found.mtimeNs].join() : '';
}

let hasWarned = false;

/** Emits the warning ONNX_GROUPNORM_NO_KERNEL once in a process, if the user can do something about it. */
function warnOfLostKernel([problem]: readonly ProviderProblem[]): void {
  if (hasWarned || problem?.remedy === undefined) return;
  hasWarned = true;
  process.emitWarning(
    "the native kernel is missing, so that sessions on 'cpu' run GroupNormalization slower, and on the calling " +
      `thread: ${problem.reason}. To get the kernel, ${problem.remedy}`,
    { code: 'ONNX_GROUPNORM_NO_KERNEL' },
  );
}

/**
 * Loads a model into ONNX Runtime.
 * @param model The path of an `.onnx` file, or its bytes; or of an `.ort` file (ONNX Runtime's own format) in which the session
 *   has no operator to rewrite.
 * @throws FileError if the file cannot be read, ModelError if it is not a model, OptionError, GraphError
 *   `UNKNOWN_LOWERING`, SessionError `UNKNOWN_PROVIDER`, `PROVIDER_UNAVAILABLE`, `OUT_OF_MEMORY` or `MODEL_REJECTED`,
 *   with the runtime's own error as `cause`.
 */
export const createSession = (model: string | Uint8Array, options: SessionOptions = {}): Promise<Session> =>
  openSession(NODE, model, options);

/**
 * Chooses the backend that runs a provider in this Node, or says what is missing.
 * @param groupNormAsked Whether the caller names a way to run GroupNormalization.
 */
export const chooseBackend = (provider: Provider, groupNormAsked: boolean): Promise<BackendChoice> =>
  chooseBackendOn(NODE, provider, groupNormAsked);

/**
 * Loads a model that is not on the disk, and finds its weights beside another model, as the converted model does in the end.
 * @param path The path of the other model.
 */
export const createSessionBeside = (
  bytes: Uint8Array,
  path: string,
  options: SessionOptions = {},
): Promise<Session> => {
  const source = { bytes, where: path, folder: dirname(resolve(path)) };
  return openSession({ ...NODE, readModel: () => Promise.resolve(source) }, path, options);
};
