/** Starts session-thread.ts in a thread. In Node 20 a thread does not inherit the TypeScript loader of the process. */
import { register } from 'tsx/esm/api';

register();
await import('./session-thread.ts');
