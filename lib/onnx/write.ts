import { basename, dirname, join } from 'node:path';
import { writeFilesAtomic } from '../files/atomic.js';
import type { Graph, Weights } from '../graph/index.js';
import { chunksLength } from './chunks.js';
import { encodeModelChunks, encodeModelExternal, type EncodeOptions } from './encode.js';

/** How a model is written to disk. */
export interface WriteOptions extends EncodeOptions {
  /** Write the weights to `<file name>.data` beside the model. Needed above 2 GiB. */
  readonly externalData?: boolean | undefined;
}

/**
 * Writes a model, and its external data, so that either all of it is there or nothing has changed.
 * @returns The number of bytes written.
 * @throws What `encodeModel` throws, and FileError `FILE_UNWRITABLE`.
 */
export async function writeModel(
  path: string,
  graph: Graph,
  weights: Weights,
  { externalData = false, ...options }: WriteOptions = {},
): Promise<number> {
  if (!externalData) {
    const chunks = encodeModelChunks(graph, weights, options);
    await writeFilesAtomic([{ path, content: chunks }]);
    return chunksLength(chunks);
  }
  const { model, location, data } = encodeModelExternal(graph, weights, `${basename(path)}.data`, options);
  const external = { path: join(dirname(path), location), content: data };
  // Where every tensor is small enough to stay in the model there is nothing to put beside it.
  await writeFilesAtomic([...(data.length > 0 ? [external] : []), { path, content: model }]);
  return model.byteLength + chunksLength(data);
}
