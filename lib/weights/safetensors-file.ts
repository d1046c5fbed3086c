/** Opens and writes safetensors files on disk. */
import { writeFileAtomic } from '../files/atomic.js';
import { openRanged } from '../files/read.js';
import type { SafetensorsOptions } from './safetensors-header.js';
import { encodeSafetensors, type SafetensorsContent, SafetensorsFile } from './safetensors.js';

/**
 * Opens a safetensors file and checks its header; tensors are read on demand. Close the file when done.
 * @throws FileError `FILE_NOT_FOUND` or `FILE_UNREADABLE`
 * @throws WeightsError `SAFETENSORS_INVALID` or `LIMIT_EXCEEDED`
 */
export const openSafetensors = async (
  path: string,
  options: SafetensorsOptions = {},
): Promise<SafetensorsFile> => SafetensorsFile.of(await openRanged(path), options);

/**
 * Writes a safetensors file, whole or not at all. The same content gives the same bytes.
 * @throws FileError `FILE_UNWRITABLE`
 * @throws WeightsError `SAFETENSORS_INVALID` or TensorError `TENSOR_INVALID`, as {@link encodeSafetensors} does.
 */
export async function writeSafetensors(path: string, content: SafetensorsContent): Promise<void> {
  await writeFileAtomic(path, encodeSafetensors(content));
}
