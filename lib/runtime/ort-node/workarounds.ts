/** Workarounds for faults of ONNX Runtime 1.30 and onnxruntime-node 1.30, each with the condition for removing it. */
import { readFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import type { Tensor } from 'onnxruntime-common';
import { isShared } from '../../arrays.js';
import { type AnyTensor, copyTensor, isStringTensor, type TensorData } from '../../tensor.js';
import type { ProviderProblem } from '../core/contract.js';
import { type TensorType, toOrtTensor } from '../core/ort-model.js';

/** The length in bytes that is safe: ONNX Runtime crashes at 30,000 with 8 MiB of stack. A worker has half of it. */
const LONGEST_COMMAND_LINE = isMainThread ? 20_000 : 8_000;

/**
 * Says why ONNX Runtime must not start in this process; `undefined` if it may.
 *
 * The telemetry of ONNX Runtime for Linux matches the command line with `std::regex`, which needs more than 200 bytes
 * of stack for each byte: the process ends with a segmentation fault. `ORT_DISABLE_TELEMETRY=1` avoids it.
 * No issue upstream is known; the same crash is described in vespa-engine/vespa pull request 37786. To reproduce:
 * `node -e 'require("onnxruntime-node").InferenceSession.create(Buffer.of(1))' $(head -c 40000 /dev/zero | tr '\0' x)`.
 * Remove this when that command prints an error and does not crash.
 */
export function commandLineProblem(
  length = commandLineLength(),
  longest = LONGEST_COMMAND_LINE,
  telemetry = process.env.ORT_DISABLE_TELEMETRY,
): string | undefined {
  if (length <= longest || telemetry === '1') return undefined;
  return (
    `the command line of this process is ${length} bytes long; ONNX Runtime crashes if a command line is longer than ` +
    `about ${longest} bytes. Set ORT_DISABLE_TELEMETRY=1 in the environment, or give fewer arguments, such as a folder ` +
    'instead of its files'
  );
}

/** Returns the length on Linux, where ONNX Runtime reads the command line, and 0 elsewhere. */
function commandLineLength(): number {
  if (process.platform !== 'linux') return 0;
  try {
    return readFileSync('/proc/self/cmdline').length;
  } catch {
    return 0;
  }
}

/**
 * Says why the CPU must not be used in a worker thread; `undefined` if it may, or on the main thread.
 *
 * onnxruntime-node loads and runs models in one native call. If the worker or the process is ended meanwhile, Node
 * refuses what the call asks of it afterwards, and the C++ exception over that ends the process (SIGABRT): an addon
 * must be built with NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS (node-addon-api, doc/setup.md). JavaScript does not run
 * meanwhile, so nothing that a worker does protects it. No issue upstream is known; pull request 28646 would run models
 * on other threads. Remove this when the test 'onnxruntime-node by itself aborts the process' fails.
 */
export function workerProblem(isAllowed = false, isWorker = !isMainThread): ProviderProblem | undefined {
  if (isAllowed || !isWorker) return undefined;
  return {
    reason: ABORTS,
    remedy:
      "in a worker, use the native kernel or providers: ['wasm'], which are safe; if nothing ends the worker or the " +
      "process meanwhile, providers: [{ name: 'cpu', allowInWorker: true }] accepts the danger",
  };
}

const ABORTS =
  'onnxruntime-node aborts the process if a worker thread, or the process, is ended while the worker loads or runs a model';

/** Emits the warning ONNX_GROUPNORM_WORKER once in a worker that uses an accelerator, which nothing safe could replace. */
export function warnOfWorker(isWorker = !isMainThread): void {
  if (!isWorker) return;
  const remedy =
    "end the worker by a message, upon which it stops by itself, and wait for its 'exit' event before the process ends, or " +
    'run it in a process of its own';
  warnOnce('ONNX_GROUPNORM_WORKER', `${ABORTS}: ${remedy}`);
}

const warned = new Set<string>();

function warnOnce(code: string, message: string): void {
  if (warned.has(code)) return;
  warned.add(code);
  process.emitWarning(message, { code });
}

/**
 * Returns a tensor for onnxruntime-node to read, with float16 data as Uint16Array, and without shared memory.
 *
 * If the JavaScript engine has Float16Array, onnxruntime-common turns the bits into one, which the native library of
 * onnxruntime-node refuses: microsoft/onnxruntime issue 32323. The library refuses SharedArrayBuffer too: issue 23148.
 * Remove each part when its issue is closed.
 */
export function toNodeTensor(TensorClass: TensorType, given: AnyTensor): Tensor {
  const value = !isStringTensor(given) && isShared(given.data) ? copyTensor(given) : given;
  const made = toOrtTensor(TensorClass, value);
  if (value.dtype === 'float16' && (made.data as unknown) !== value.data) {
    Object.defineProperty(made, 'data', { value: value.data });
  }
  return made;
}

/** Whether onnxruntime-node can write an output into a tensor's own memory: issue 23148, as above. */
export const isWritable = ({ data }: TensorData): boolean => !isShared(data);

/**
 * Says that CUDA rounds float32, unless `env` decides about it.
 *
 * The CUDA provider has its option `use_tf32` on by default, and onnxruntime-node passes no option to CUDA but the
 * device's number (js/node/src/session_options_helper.cc). NVIDIA's libraries obey NVIDIA_TF32_OVERRIDE, and read it
 * when they start, so it belongs to whoever starts the process. Remove this when onnxruntime-node passes `use_tf32`.
 */
export function tf32Problem(env: NodeJS.ProcessEnv = process.env): ProviderProblem | undefined {
  if (env['NVIDIA_TF32_OVERRIDE'] !== undefined) return undefined;
  return {
    reason:
      'CUDA rounds the inputs of float32 convolutions and matrix products to 10 bits (TF32) on GPUs that can, which ' +
      'is outside the tolerances of float32',
    remedy:
      'set NVIDIA_TF32_OVERRIDE=0 in the environment before the process starts, or NVIDIA_TF32_OVERRIDE=1 to accept it',
  };
}

/** Emits the warning ONNX_GROUPNORM_TF32 once in a process, if CUDA rounds float32. */
export function warnOfTf32(): void {
  const problem = tf32Problem();
  if (problem) warnOnce('ONNX_GROUPNORM_TF32', `${problem.reason}: ${problem.remedy}`);
}
