/** What sessions are, wherever they run. */
export type { BackendOptions, RunOptions, TensorInfo, TensorRecord } from './backend.js';
export type { GroupNormExecution } from './prepare.js';
export { PROVIDERS, type Provider, type ProviderFallback } from './providers.js';
export type { Session, SessionOptions } from './session.js';
