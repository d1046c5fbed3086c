/** What ONNX Runtime's own errors mean: they come as text. */
import { OnnxGroupNormError, SessionError } from '../../errors.js';
import { formatShape } from '../../tensor.js';

/** Errors of an allocator, of C++, of CUDA's libraries, and of sizes that WebAssembly's 32 bits cannot count. */
const OUT_OF_MEMORY =
  /failed to allocate|bad_alloc|out of memory|ALLOC_FAILED|resource allocation failed|array buffer allocation failed|SafeIntOnOverflow|would require more than \d+ bytes|Tensor shape is too large/i;
/** The provider, and the CPU behind it, have no kernel for an operator; the second is how the web build says so. */
const NO_KERNEL = /Could not find an implementation for|Provider type for .* is not set/;
/** ONNX Runtime's optimizer for CUDA writes this operator, of its own domain. */
const CONTRIB_GROUP_NORM = /implementation for GroupNorm\(/;
/** CUDA's provider looks for cuDNN when a kernel needs it, and says what the dynamic loader said. */
const NO_CUDNN =
  /cuDNN (?:library was not found|is not available)|(?:dlopen|LoadLibrary) failed for \S*cudnn/i;
/** A GPU without float16 is found out by WebGPU's first shader that has it. */
const NO_FLOAT16 = /requires f16 but the device does not support it/;
/** How onnxruntime-web says that its WebAssembly files are not where it looks for them. */
const NO_WASM = /no available backend found/;
/** A device or one of its libraries failed. */
const DEVICE = /\b(CUDA|CUBLAS|CUDNN|TensorRT|WebGPU|DirectML|CoreML)\b.*\b(failure|failed|error)\b/i;

/** A tensor given for an output whose sizes only the run knows. */
const GIVEN_OUTPUT =
  /provided for output '([^']*)'.* has shape \{([^}]*)\} but the computed output shape for this run is \{([^}]*)\}/;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The native addon hands on ONNX Runtime's error codes; onnxruntime-node and onnxruntime-web have text alone. */
function lacksKernel(error: unknown): boolean {
  const { ortCode } = Object(error) as { ortCode?: unknown };
  return ortCode === undefined ? NO_KERNEL.test(messageOf(error)) : ortCode === 'NOT_IMPLEMENTED';
}

/**
 * Whether an error of loading is about the provider, so that another may load the same model. Every other error is
 * about the model, and all providers, which are the same ONNX Runtime, would say the same.
 */
export function isProvidersFault(error: unknown): boolean {
  if (error instanceof SessionError && error.code === 'PROVIDER_UNAVAILABLE') return true;
  const cause = error instanceof SessionError ? error.cause : undefined;
  return (
    cause !== undefined &&
    (lacksKernel(cause) ||
      [OUT_OF_MEMORY, NO_CUDNN, DEVICE].some((pattern) => pattern.test(messageOf(cause))))
  );
}

/**
 * Whether a run has shown that the provider lacks what the model needs, which no later run will change: another may
 * take over. Memory is not of that kind, nor is a device that fails.
 */
export function lacksWhatItTakes(error: unknown): error is SessionError {
  if (!(error instanceof SessionError)) return false;
  if (error.code === 'PROVIDER_UNAVAILABLE') return true;
  return lacksKernel(error.cause) || NO_CUDNN.test(messageOf(error.cause));
}

/** Gives the runtime's own errors their type; errors that already have one pass through. */
export async function typed<T>(
  code: 'MODEL_REJECTED' | 'RUN_FAILED',
  what: string,
  action: () => Promise<T>,
): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    if (cause instanceof OnnxGroupNormError) throw cause;
    const message = `${what}: ${messageOf(cause).replace(/\.?\s*$/, '')}`;
    const given = GIVEN_OUTPUT.exec(message);
    if (given) {
      const [, name, has, needs] = given as unknown as [string, string, string, string];
      throw wrongOutput(name, sizes(needs), sizes(has), cause);
    }
    if (NO_WASM.test(message)) {
      throw new SessionError('PROVIDER_UNAVAILABLE', `${message}. ${SERVE_WASM}`, { cause });
    }
    if (NO_FLOAT16.test(message)) {
      throw new SessionError('PROVIDER_UNAVAILABLE', `${message}. ${OTHER_DTYPE}`, { cause });
    }
    if (!OUT_OF_MEMORY.test(message))
      throw new SessionError(code, `${message}${wayOut(message, cause)}`, { cause });
    throw new SessionError('OUT_OF_MEMORY', `${message}. ${MORE_MEMORY}`, { cause });
  }
}

const sizes = (list: string): number[] => list.split(',').filter(Boolean).map(Number);

/** A tensor given for an output that has other sizes than what the run made. */
export function wrongOutput(
  name: string,
  needs: readonly number[],
  has: readonly number[],
  cause?: unknown,
): SessionError {
  return new SessionError(
    'OUTPUT_INVALID',
    `output '${name}' is ${formatShape(needs)} in this run, but the tensor given for it is ${formatShape(has)}`,
    { cause },
  );
}

/** What to do, where ONNX Runtime does not say it. */
function wayOut(message: string, cause: unknown): string {
  if (CONTRIB_GROUP_NORM.test(message)) return `. ${ORIGINAL_MODEL}`;
  if (lacksKernel(cause)) return `. ${OTHER_KERNEL}`;
  return NO_CUDNN.test(message) ? `. To do: ${cudnnRemedy('9')}` : '';
}

const OTHER_KERNEL =
  'This provider, and the CPU behind it, have no kernel for that operator in that dtype: name another provider ' +
  '(providers: a list), or keep that part of the model in float32';

const ORIGINAL_MODEL =
  "This is com.microsoft.GroupNorm, which ONNX Runtime's optimizer writes and has a kernel for on 'cuda' alone: use " +
  'the model from before, with GroupNormalization, which runs on every provider';

const SERVE_WASM =
  "Serve onnxruntime-web's files ort-wasm-simd-threaded.* from the page's own origin, and name their folder with " +
  'setRuntimeFolder';

const OTHER_DTYPE = 'This GPU has no float16: name another provider (providers: a list), or build in float32';

const MORE_MEMORY =
  "It takes more memory than there is: run smaller batches or tiles, or on provider 'cpu', which has all of the machine's";

/** From version 1.29 on ONNX Runtime looks for cuDNN only when a kernel needs it. */
export const cudnnRemedy = (version: string): string =>
  `install cuDNN ${version} for the same CUDA (NVIDIA's repository: sudo apt install cudnn${version}), or put the ` +
  'folder of its libraries into LD_LIBRARY_PATH';
