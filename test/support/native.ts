/** Tests of the native addon: run where it was built, and said to be skipped, with the reason, where it was not. */
import { describe, type Suite } from 'mocha';
import { loadAddon } from '../../lib/runtime/native/addon.js';

export const NATIVE_REASON = loadAddon().problem?.reason;

export function describeNative(title: string, tests: (this: Suite) => void): void {
  if (NATIVE_REASON === undefined) describe(title, tests);
  else describe.skip(`${title} (not run: ${NATIVE_REASON})`, tests);
}
