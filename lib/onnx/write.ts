/** Models on disk. */
import { basename, dirname, join } from 'node:path';
import { type FileToWrite, requireOneFolder, writeFilesAtomic } from '../files/atomic.js';
import type { DeferredWeights, Graph } from '../graph/types.js';
import { openRanged } from '../files/read.js';
import { requireKnownOptions } from '../options.js';
import { type EncodeOptions, externalModelFiles, modelFile, requireModelSize } from './encode.js';
import { chunksLength, readChunks } from './protobuf/chunks.js';
import type { Chunk } from './protobuf/messages.js';

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
 * @param weights Tensors, or how to read them; those are read one after the other while the model is written.
 * @returns The number of bytes written.
 * @throws The errors of `encodeModel`, and FileError `FILE_UNWRITABLE`.
 */
export async function writeModel(
  path: string,
  graph: Graph,
  weights: DeferredWeights,
  options: WriteOptions = {},
): Promise<number> {
  requireKnownOptions('writeModel', options, WRITE_OPTIONS);
  const { externalData = false, ...encoding } = options;
  if (!externalData) {
    const chunks = modelFile(graph, weights, encoding);
    await writeFilesAtomic([fileOf(path, chunks)]);
    return chunksLength(chunks);
  }
  await requireOneFolder(path);
  const location = `${basename(path)}.data`;
  const { model, data } = externalModelFiles(graph, weights, location, encoding);
  const external = fileOf(join(dirname(path), location), data);
  // If every tensor is small enough to stay in the model, there is no second file.
  await writeFilesAtomic([...(data.length > 0 ? [external] : []), fileOf(path, model)]);
  return chunksLength(model) + chunksLength(data);
}

const fileOf = (path: string, chunks: readonly Chunk[]): FileToWrite => ({
  path,
  content: readChunks(chunks),
  byteLength: chunksLength(chunks),
});
