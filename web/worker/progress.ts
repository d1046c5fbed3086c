/** Reports progress to the page. */
import type { Message } from '../protocol.js';

/** Tells the page what the worker does, and how many of the `total` steps are done. */
export const progress = (text: string, done?: number, total?: number): void =>
  postMessage({
    type: 'progress',
    text,
    ...(done !== undefined && { done }),
    ...(total !== undefined && { total }),
  } satisfies Message);
