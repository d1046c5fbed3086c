/** The memory that the native kernel's tensors lie in, shared by all sessions and threads of the process. */
import { OptionError } from '../../errors.js';
import { loadAddon } from './addon.js';

/**
 * Sets how much memory is kept for the next tensors when tensors are freed, in all threads of the process; what was
 * freed longest ago goes first. Default: 1 GiB. All of it is freed when the last session is disposed of. Without the
 * native kernel there is no such memory, and this does nothing.
 * @param bytes 0 keeps none, so that every run asks the operating system for its memory.
 * @throws OptionError `INVALID_OPTION` if it is not an integer of at least 0.
 */
export function setBufferPoolLimit(bytes: number): void {
  if (!(Number.isSafeInteger(bytes) && bytes >= 0)) {
    throw new OptionError(
      'INVALID_OPTION',
      `setBufferPoolLimit takes an integer of at least 0, a number of bytes, not ${String(bytes)}`,
    );
  }
  loadAddon().addon?.setPoolLimit(bytes);
}
