import type { Message } from '../protocol.js';

/** Tells the page what is being done, and how much of how much is. */
export const progress = (text: string, done?: number, total?: number): void =>
  postMessage({
    type: 'progress',
    text,
    ...(done !== undefined && { done }),
    ...(total !== undefined && { total }),
  } satisfies Message);
