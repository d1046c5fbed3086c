/** Models on disk. */
import { basename, dirname, join } from 'node:path';
import { requireOneFolder, writeFilesAtomic } from '../files/atomic.js';
import type { Graph, Weights } from '../graph/types.js';
import { openRanged } from '../files/read.js';
import { requireKnownOptions } from '../options.js';
import { encodeModelChunks, encodeModelExternal, type EncodeOptions, requireModelSize } from './encode.js';
import { chunksLength } from './chunks.js';

/**
 * Reads the file of a model. Checks its size first.
 * @throws FileError, ModelError `MODEL_TOO_LARGE`.
 */
export async function readModelFile(path: string): Promise<Uint8Array> {
  const file = await openRanged(path);
  try {
    requireModelSize(file.size, path);
    return await file.read(0, file.size);
  } finally {
    await file.close();
  }
}

/** How a model is written to disk. */
export interface WriteOptions extends EncodeOptions {
  /** Write the weights to `<file name>.data` beside the model. Needed above 2 GiB. */
  readonly externalData?: boolean | undefined;
}

const WRITE_OPTIONS: readonly (keyof WriteOptions)[] = ['externalData', 'opset', 'lowering'];

/**
 * Writes a model and its external data: either all files, or none of them changes.
 * @returns The number of bytes written.
 * @throws The errors of `encodeModel`, and FileError `FILE_UNWRITABLE`.
 */
export async function writeModel(
  path: string,
  graph: Graph,
  weights: Weights,
  options: WriteOptions = {},
): Promise<number> {
  requireKnownOptions('writeModel', options, WRITE_OPTIONS);
  const { externalData = false, ...encoding } = options;
  if (!externalData) {
    const chunks = encodeModelChunks(graph, weights, encoding);
    await writeFilesAtomic([{ path, content: chunks }]);
    return chunksLength(chunks);
  }
  await requireOneFolder(path);
  const { model, location, data } = encodeModelExternal(graph, weights, `${basename(path)}.data`, encoding);
  const external = { path: join(dirname(path), location), content: data };
  // If every tensor is small enough to stay in the model, there is no second file.
  await writeFilesAtomic([...(data.length > 0 ? [external] : []), { path, content: model }]);
  return model.byteLength + chunksLength(data);
}
