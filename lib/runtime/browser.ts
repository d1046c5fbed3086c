export * from './common.js';
export { createSession } from './browser/create-session.js';
export { setRuntimeFolder } from './browser/runtime-folder.js';
