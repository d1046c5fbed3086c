export type { BackendOptions, RunOptions, TensorInfo, TensorRecord } from './backend.js';
export type { GroupNormExecution } from './prepare.js';
export { PROVIDERS, type Provider, type ProviderFallback } from './providers.js';
export { createSession, type Session, type SessionOptions } from './session.js';
