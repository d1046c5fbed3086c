/** What a failure of a session means for the check. */
import { OnnxGroupNormError } from '../../lib/index.js';

export interface Failure {
  readonly code: string;
  readonly message: string;
}

/** What a session says of a way that a provider or a kernel does not have: no result, and no wrong one. */
const REFUSALS = ['MODEL_REJECTED', 'PROVIDER_UNAVAILABLE'];
/** A device that has failed. CUDA then says the same of everything else that the process asks of it. */
const DEVICE_FAILURE = /\b(?:CUDA|CUBLAS|CUDNN|TensorRT|WebGPU|device)\b.*\b(?:failure|failed|error|lost)\b/i;

export function failureOf(error: unknown): Failure {
  const code = error instanceof OnnxGroupNormError ? error.code : 'INTERNAL';
  return { code, message: error instanceof Error ? error.message : String(error) };
}

export const isRefusal = ({ code, message }: Failure): boolean =>
  REFUSALS.includes(code) && !DEVICE_FAILURE.test(message);
