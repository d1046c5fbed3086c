/** Which runtimes a provider stands for, and whether they can be used here. */
import { acceleratorBackend } from './accelerators.js';
import type { Backend, Problem } from './backend.js';
import { nativeBackend } from './native/backend.js';
import { cpuBackend } from './onnxruntime-node.js';
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

/** A runtime that can be used, or what keeps every one of the provider's from it. */
export type Choice =
  | { readonly backend: Backend; readonly problems?: undefined }
  | { readonly backend?: undefined; readonly problems: readonly Problem[] };

/**
 * The best runtime of a provider that can be used.
 * @param asked Whether the caller asked for a way to run GroupNormalization. Then `cpu` is ONNX Runtime without
 *   the kernel, because only there does each of them mean what it says.
 */
export async function chooseBackend(provider: Provider, asked: boolean): Promise<Choice> {
  const problems: Problem[] = [];
  for (const backend of provider === 'cpu' && asked ? [cpuBackend] : BACKENDS[provider]) {
    const found = await problemsOf(backend);
    if (found.length === 0) return { backend };
    problems.push(...found);
  }
  return { problems };
}

async function problemsOf(backend: Backend): Promise<readonly Problem[]> {
  const found = await backend.whyUnavailable();
  return typeof found === 'string' ? [{ reason: found }] : (found ?? []);
}

/** Several problems in one text. */
export const describeProblems = (problems: readonly Problem[]): string =>
  problems.map(({ reason, remedy }) => (remedy === undefined ? reason : `${reason} (${remedy})`)).join('; ');
