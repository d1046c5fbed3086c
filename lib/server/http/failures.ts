/** What a client is told when its request fails: a status, and `{"error": "..."}` without stack traces and paths. */
import { sep } from 'node:path';
import { OnnxGroupNormError } from '../../errors.js';

/** The answer to a request that failed. */
export interface Failure {
  readonly status: number;
  readonly message: string;
  /** Seconds after which the client may try again. */
  readonly retryAfter?: number;
}

const STATUS: Readonly<Record<string, number>> = {
  // RequestError
  ENCODING_UNSUPPORTED: 415,
  INPUT_DATA: 400,
  INPUT_DTYPE: 400,
  INPUT_MISSING: 400,
  INPUT_SHAPE: 400,
  INPUT_UNKNOWN: 400,
  JSON_INVALID: 400,
  OUTPUT_NOT_JSON: 400,
  OUTPUT_UNKNOWN: 400,
  REQUEST_INVALID: 400,
  TOO_LARGE: 413,
  // ServerError
  BATCH_SIZE: 400,
  BUSY: 503,
  MODEL_NOT_FOUND: 404,
  MODEL_NOT_READY: 503,
  QUEUE_FULL: 503,
  QUEUE_TIMEOUT: 503,
  UNAUTHORIZED: 401,
  // SessionError
  ABORTED: 503,
  DISPOSED: 503,
  OUT_OF_MEMORY: 503,
};

const RETRY_AFTER = 1;
/** Where ONNX Runtime's source was compiled: `/onnxruntime_src/onnxruntime/core/framework/op_kernel.cc:83 `. */
const SOURCE_PLACE = /\S*[\\/]\S+\.(?:cc|h|hpp|cpp|inc):\d+\s*/g;

/** Returns a function that makes paths in a folder relative to it: clients need not know where models lie. */
export function pathHider(folder: string): (message: string) => string {
  const prefix = folder.endsWith(sep) ? folder : folder + sep;
  // In the root folder no path is hidden, and every slash would match.
  return (message) => (prefix === sep ? message : message.replaceAll(prefix, ''));
}

/** Returns the answer for an error of any kind. */
export function failureOf(error: unknown): Failure {
  if (!(error instanceof OnnxGroupNormError)) {
    return { status: 500, message: 'the server failed; its log says why' };
  }
  const status = STATUS[error.code] ?? 500;
  const message = error.message.replace(SOURCE_PLACE, '');
  return { status, message, ...(status === 503 && { retryAfter: RETRY_AFTER }) };
}
