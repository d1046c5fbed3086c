/** The meaning of ONNX Runtime's own errors, which are text, and what to do about them. */
import { isError } from '../../arrays.js';
import { OnnxGroupNormError, SessionError } from '../../errors.js';
import { formatShape } from '../../tensor.js';

/** Errors of an allocator, of C++, of CUDA's libraries, and of sizes that WebAssembly's 32 bits cannot count. */
const OUT_OF_MEMORY =
  /failed to allocate|bad_alloc|out of memory|ALLOC_FAILED|resource allocation failed|array buffer allocation failed|SafeIntOnOverflow|would require more than \d+ bytes|Tensor shape is too large/i;
/** Neither the provider nor the CPU has a kernel for an operator. The second is the wording of onnxruntime-web. */
const NO_KERNEL = /Could not find an implementation for|Provider type for .* is not set/;
/** ONNX Runtime's optimizer for CUDA writes this operator of its own domain. */
const CONTRIB_GROUP_NORM = /implementation for GroupNorm\(/;
/** The CUDA provider looks for cuDNN when a kernel needs it, and repeats the message of the dynamic loader. */
const NO_CUDNN =
  /cuDNN (?:library was not found|is not available)|(?:dlopen|LoadLibrary) failed for \S*cudnn/i;
/** WebGPU reports a GPU without float16 when it compiles the first float16 shader. */
const NO_FLOAT16 = /requires f16 but the device does not support it/;
/** A browser took the GPU away: the device was lost, or the browser's process for the GPU ended. */
const LOST_GPU = /device was lost|external Instance reference no longer exists/i;
/** onnxruntime-web does not find its WebAssembly files. */
const NO_WASM = /no available backend found/;
/** A module loader that is not Node's own, such as Jest's, refuses the `import()` of onnxruntime-web. */
const NO_IMPORT = /ERR_VM_DYNAMIC_IMPORT_CALLBACK_MISSING/;
/**
 * onnxruntime-node makes the results of a run in Node's realm, and its Tensor class, in Jest's realm, refuses them:
 * https://github.com/microsoft/onnxruntime/issues/16622.
 */
const OTHER_REALM = /tensor's data must be type of/;
/** A device or one of its libraries failed. */
const DEVICE = /\b(CUDA|CUBLAS|CUDNN|TensorRT|WebGPU|DirectML|CoreML)\b.*\b(failure|failed|error)\b/i;

/** ONNX Runtime would run a node on the CPU, and `disable_cpu_ep_fallback` forbids it. */
const LEFT_TO_CPU = /fallback to CPU EP has been explicitly disabled/;
/** A tensor given for an output whose sizes only the run knows. */
const GIVEN_OUTPUT =
  /provided for output '([^']*)'.* has shape \{([^}]*)\} but the computed output shape for this run is \{([^}]*)\}/;

/** The node of a run at which it failed. */
const AT_NODE = /while running (\w+) node\. Name:'([^']*)'/;
/** Concat, and operators that broadcast, of tensors whose sizes do not fit together. */
const UNEQUAL_SIZES =
  /(?:mismatched dimensions of (\d+) and|broadcast an axis by a dimension other than 1\. (\d+) by) (\d+)/;

/** Thrown for a model that no provider gets: it would end the process, or read files that are not its own. */
export class UnsafeModelError extends SessionError {
  constructor(message: string) {
    super('MODEL_REJECTED', message);
    this.name = SessionError.name;
  }
}

/** Runs `action`, and turns the runtime's own errors into typed ones. Errors of this library pass through. */
export async function withTypedErrors<T>(
  code: 'MODEL_REJECTED' | 'RUN_FAILED',
  what: string,
  action: () => Promise<T>,
): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    throw cause instanceof OnnxGroupNormError ? cause : toSessionError(code, what, cause);
  }
}

function toSessionError(code: 'MODEL_REJECTED' | 'RUN_FAILED', what: string, cause: unknown): SessionError {
  const message = `${what}: ${messageOf(cause)
    .replace(/\.?\s*$/, '')
    .replace(/\s*\n\s*/g, ' ')}`;
  const [, joined, broadcast, other] = UNEQUAL_SIZES.exec(message) ?? [];
  if (other !== undefined) {
    // onnxruntime-web does not name every node.
    const [, operator, name] = AT_NODE.exec(message) ?? [];
    const node = operator === undefined ? 'a node' : `${operator} '${name}'`;
    const fact = `${node} gets tensors of unequal sizes, ${joined ?? broadcast} and ${other}`;
    return new SessionError(code, `${what}: ${fact}. ${OTHER_SIZES}`, { cause });
  }
  const given = GIVEN_OUTPUT.exec(message);
  if (given) {
    const [, name, has, needs] = given as unknown as [string, string, string, string];
    return wrongOutput(name, sizes(needs), sizes(has), cause);
  }
  if (NO_WASM.test(message)) {
    const remedy = NO_IMPORT.test(message) ? ALLOW_IMPORT : SERVE_WASM;
    return new SessionError('PROVIDER_UNAVAILABLE', `${message}. ${remedy}`, { cause });
  }
  if (OTHER_REALM.test(message)) {
    return new SessionError('PROVIDER_UNAVAILABLE', `${message}. ${SHARE_ARRAYS}`, { cause });
  }
  if (NO_FLOAT16.test(message)) {
    return new SessionError('PROVIDER_UNAVAILABLE', `${message}. ${OTHER_DTYPE}`, { cause });
  }
  if (LOST_GPU.test(message)) {
    return new SessionError('PROVIDER_UNAVAILABLE', `${message}. ${NEW_SESSION}`, { cause });
  }
  if (OUT_OF_MEMORY.test(message)) {
    return new SessionError('OUT_OF_MEMORY', `${message}. ${MORE_MEMORY}`, { cause });
  }
  return new SessionError(code, `${message}${remedyFor(message, cause)}`, { cause });
}

const messageOf = (error: unknown): string => (isError(error) ? error.message : String(error));

/** The native addon passes on ONNX Runtime's error codes. Errors of onnxruntime-node and onnxruntime-web are text. */
function lacksKernel(error: unknown): boolean {
  const { ortCode } = Object(error) as { ortCode?: unknown };
  return ortCode === undefined ? NO_KERNEL.test(messageOf(error)) : ortCode === 'NOT_IMPLEMENTED';
}

/**
 * Whether the next provider may load a model after this error of loading: the provider is at fault. For any other
 * error the model is at fault, and every provider, which is the same ONNX Runtime, would refuse it.
 */
export function canFallBackAfterLoad(error: unknown): boolean {
  if (error instanceof SessionError && error.code === 'PROVIDER_UNAVAILABLE') return true;
  const cause = error instanceof SessionError ? error.cause : undefined;
  return (
    cause !== undefined &&
    (lacksKernel(cause) ||
      [OUT_OF_MEMORY, NO_CUDNN, DEVICE].some((pattern) => pattern.test(messageOf(cause))))
  );
}

/**
 * Whether the next provider should take over after this error of a run: the provider lacks something that the model
 * needs, and no later run changes that. Neither a lack of memory nor a device that fails is of this kind.
 */
export function canFallBackAfterRun(error: unknown): error is SessionError {
  if (!(error instanceof SessionError)) return false;
  if (error.code === 'PROVIDER_UNAVAILABLE') return true;
  return lacksKernel(error.cause) || NO_CUDNN.test(messageOf(error.cause));
}

/** Whether ONNX Runtime refuses a model because it would run a node on the CPU, which the options forbid. */
export const isLeftToCpu = (error: unknown): boolean => LEFT_TO_CPU.test(messageOf(error));

const sizes = (list: string): number[] => list.split(',').filter(Boolean).map(Number);

/** Returns the error for a given output tensor whose shape is not the shape of the run's output. */
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

/** Returns what to do, where ONNX Runtime does not say it. */
function remedyFor(message: string, cause: unknown): string {
  if (CONTRIB_GROUP_NORM.test(message)) return `. ${ORIGINAL_MODEL}`;
  if (lacksKernel(cause)) return `. ${OTHER_KERNEL}`;
  return NO_CUDNN.test(message) ? `. To do: ${cudnnRemedy('9')}` : '';
}

const OTHER_SIZES =
  'Check the sizes of the inputs: a network that halves an image and doubles it again, such as a U-Net, takes sizes that it can ' +
  'halve without a remainder, for example multiples of 8, 16 or 32';

const OTHER_KERNEL =
  'Neither this provider nor the CPU has a kernel for that operator in that dtype: add another provider to the list ' +
  'of providers, or keep that part of the model in float32';

const ORIGINAL_MODEL =
  "The operator is com.microsoft.GroupNorm. ONNX Runtime's optimizer writes it, and only 'cuda' has a kernel for it. Use " +
  'the model as it was before the optimization: its GroupNormalization runs on every provider';

const SERVE_WASM =
  "Serve onnxruntime-web's files ort-wasm-simd-threaded.* from the page's own origin, and name their folder with " +
  'setRuntimeFolder';

const ALLOW_IMPORT =
  "onnxruntime-web loads its WebAssembly files by import(). In Jest set NODE_OPTIONS=--experimental-vm-modules, or use provider 'native'";

const SHARE_ARRAYS =
  "In Jest use provider 'native', or 'wasm' with NODE_OPTIONS=--experimental-vm-modules, or a testEnvironment that " +
  "shares Node's arrays: Object.assign(this.global, { Float32Array }) in its constructor";

const OTHER_DTYPE =
  'This GPU does not support float16: add another provider to the list of providers, or build the model in float32';

const NEW_SESSION =
  'The browser has lost the GPU, and this session with it: create the session again, or add another provider to the list ' +
  'of providers';

const MORE_MEMORY =
  "There is not enough memory: run smaller batches or tiles, or in Node use provider 'cpu', which has all of the machine's memory";

/** Returns how to install cuDNN, which ONNX Runtime from 1.29 on looks for only when a kernel needs it. */
export const cudnnRemedy = (version: string): string =>
  `install cuDNN ${version} for the same CUDA (NVIDIA's repository: sudo apt install cudnn${version}), or put the ` +
  'folder of its libraries into LD_LIBRARY_PATH';
