/** Opens safetensors files in browsers. */
import { type BlobLike, rangedBlob } from '../files/ranged.js';
import type { SafetensorsOptions } from './safetensors-header.js';
import { SafetensorsFile } from './safetensors.js';

/**
 * Opens a safetensors file and checks its header; tensors are read on demand.
 * @param blob A Blob or File, such as a file that was dropped on a page.
 * @param name What messages call the file. Default: the File's own name.
 * @throws FileError `FILE_UNREADABLE`
 * @throws WeightsError `SAFETENSORS_INVALID` or `LIMIT_EXCEEDED`
 */
export const openSafetensors = (
  blob: BlobLike & { readonly name?: string },
  name = blob.name ?? 'the file',
  options: SafetensorsOptions = {},
): Promise<SafetensorsFile> => SafetensorsFile.of(rangedBlob(blob, name), options);
