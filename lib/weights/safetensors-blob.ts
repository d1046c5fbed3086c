/** Safetensors files that a page is given. */
import { type BlobLike, rangedBlob } from '../files/ranged.js';
import { SafetensorsFile } from './safetensors.js';

/**
 * Opens a safetensors file and checks its header; of the rest only those tensors are read that are asked for.
 * @param blob A File, such as one that was dropped on a page, or a Blob.
 * @param name What messages call it. Default: the File's own name.
 * @throws FileError `FILE_UNREADABLE`
 * @throws WeightsError `SAFETENSORS_INVALID` or `UNSUPPORTED_DTYPE`
 */
export const openSafetensors = (
  blob: BlobLike & { readonly name?: string },
  name = blob.name ?? 'the file',
): Promise<SafetensorsFile> => SafetensorsFile.of(rangedBlob(blob, name));
