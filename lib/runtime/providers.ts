import { SessionError } from '../errors.js';
import { suggestion } from '../nearest.js';

/**
 * Execution providers that a session can be asked for. `native` is ONNX Runtime's CPU provider with this project's
 * kernel for GroupNormalization; `cpu` is `native` where the addon is there, and onnxruntime-node where it is not;
 * `wasm` is onnxruntime-web. The others are onnxruntime-node's, where its build for this platform has them.
 */
export const PROVIDERS = ['native', 'cpu', 'cuda', 'tensorrt', 'webgpu', 'wasm', 'coreml', 'dml'] as const;
/** The name of an execution provider. */
export type Provider = (typeof PROVIDERS)[number];

/** An execution provider that was asked for and does not run the model. */
export interface ProviderFallback {
  /** Its name. */
  readonly provider: Provider;
  /** Why it does not, and what would change that. */
  readonly reason: string;
}

/**
 * @throws SessionError `UNKNOWN_PROVIDER` with the list of known ones.
 */
export function requireProvider(name: string): Provider {
  if ((PROVIDERS as readonly string[]).includes(name)) return name as Provider;
  throw new SessionError(
    'UNKNOWN_PROVIDER',
    `unknown execution provider '${name}'${suggestion(String(name), PROVIDERS)}; known: ${PROVIDERS.join(', ')}`,
  );
}

/**
 * An ordered list of names, each once.
 * @throws SessionError `UNKNOWN_PROVIDER` if it is not a list, is empty, or has a name that is not known.
 */
export function requireProviders(names: readonly string[]): readonly [Provider, ...Provider[]] {
  if (!Array.isArray(names)) {
    throw new SessionError(
      'UNKNOWN_PROVIDER',
      `providers must be a list, such as ['cpu'], not ${String(names)}`,
    );
  }
  const [first, ...rest] = new Set(names.map(requireProvider));
  if (first === undefined) {
    throw new SessionError('UNKNOWN_PROVIDER', 'providers is empty: name at least one');
  }
  return [first, ...rest];
}
