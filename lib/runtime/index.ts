export type { TensorInfo, TensorRecord } from './backend.js';
export { PROVIDERS, type Provider } from './providers.js';
export { createSession, type Session, type SessionOptions } from './session.js';
