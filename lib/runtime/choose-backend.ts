/** Which runtimes a provider stands for in Node, and whether they can be used here. */
import { acceleratorBackend } from './accelerators.js';
import type { Backend } from './backend.js';
import { firstUsable, type Choice } from './choice.js';
import { whyNotToStart } from './command-line.js';
import { nativeBackend } from './native/backend.js';
import { cpuBackend, WITHOUT_LIBRARY } from './onnxruntime-node.js';
import { wasmBackend } from './onnxruntime-web.js';
import type { Provider } from './providers.js';

/** What each provider may be run by, best first. */
const BACKENDS: Record<Provider, readonly [Backend, ...Backend[]]> = {
  native: [nativeBackend],
  cpu: [nativeBackend, cpuBackend],
  cuda: [acceleratorBackend('cuda')],
  tensorrt: [acceleratorBackend('tensorrt')],
  webgpu: [acceleratorBackend('webgpu')],
  wasm: [wasmBackend],
  coreml: [acceleratorBackend('coreml')],
  dml: [acceleratorBackend('dml')],
};

/**
 * The best runtime of a provider that can be used.
 * @param asked Whether the caller asked for a way to run GroupNormalization. Then `cpu` is ONNX Runtime without
 *   the kernel, because only there does each of them mean what it says.
 */
export async function chooseBackend(provider: Provider, asked: boolean): Promise<Choice> {
  const danger = provider === 'wasm' ? undefined : whyNotToStart();
  if (danger !== undefined) return { problems: [{ reason: danger, remedy: WITHOUT_LIBRARY }] };
  return firstUsable(provider === 'cpu' && asked ? [cpuBackend] : BACKENDS[provider]);
}
