export * from './common.js';
export { createSession } from './create-session.js';
