/** Sessions in Node. */
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { readFileBytes } from '../files/read.js';
import { chooseBackend } from './choose-backend.js';
import type { Platform } from './platform.js';
import { openSession } from './open-session.js';
import type { Session, SessionOptions } from './session.js';

export const NODE: Platform = {
  defaultProvider: 'cpu',
  readModel: async (path) => ({
    bytes: await readFileBytes(path),
    where: path,
    folder: dirname(resolve(path)),
  }),
  hasFile: (folder, name) => existsSync(join(folder, name)),
  chooseBackend,
};

/**
 * Loads a model into ONNX Runtime.
 * @param model Path of an `.onnx` file, or its bytes.
 * @throws FileError if it cannot be read, ModelError if it is not a model, OptionError, GraphError
 *   `UNKNOWN_LOWERING`, SessionError
 *   `UNKNOWN_PROVIDER`, `PROVIDER_UNAVAILABLE`, `OUT_OF_MEMORY` or `MODEL_REJECTED`, with the runtime's own error as
 *   `cause`.
 */
export const createSession = (model: string | Uint8Array, options: SessionOptions = {}): Promise<Session> =>
  openSession(NODE, model, options);
