/** Models on disk. */
import { basename, dirname, join } from 'node:path';
import { type FileToWrite, requireOneFolder, writeFilesAtomic } from '../files/atomic.js';
import type { DeferredWeights, Graph } from '../graph/types.js';
import { openRanged } from '../files/read.js';
import { requireKnownOptions } from '../options.js';
import type { StoredFile } from '../tensor.js';
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
  /** Hears how many bytes are written, of how many: before the first, and from time to time. */
  readonly onProgress?: ((written: number, total: number) => void) | undefined;
}

const WRITE_OPTIONS: readonly (keyof WriteOptions)[] = ['externalData', 'onProgress', 'opset', 'lowering'];

/**
 * Writes a model and its external data: either all files, or none of them changes.
 * @param weights Tensors, or how to read them; those are read one after the other while the model is written. If a file
 *   consists of weights ({@link DeferredTensor.stored}), the external data begins with a copy of it.
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
  const { externalData = false, onProgress, ...encoding } = options;
  const files: FileParts[] = [];
  if (externalData) {
    await requireOneFolder(path);
    const location = `${basename(path)}.data`;
    const { model, data, copyOf } = externalModelFiles(graph, weights, location, encoding);
    const external = { path: join(dirname(path), location), chunks: data, copyOf };
    // If every tensor is small enough to stay in the model, there is no second file.
    if (sizeOf(external) > 0) files.push(external);
    files.push({ path, chunks: model });
  } else files.push({ path, chunks: modelFile(graph, weights, encoding) });
  const total = files.reduce((sum, file) => sum + sizeOf(file), 0);
  let written = 0;
  const report = (bytes: number) => onProgress?.((written += bytes), total);
  report(0);
  await writeFilesAtomic(files.map((file) => fileToWrite(file, report)));
  return total;
}

/** A file in parts: the file that it begins with a copy of, and what follows. */
interface FileParts {
  readonly path: string;
  readonly copyOf?: StoredFile | undefined;
  readonly chunks: readonly Chunk[];
}

const sizeOf = ({ copyOf, chunks }: FileParts): number => (copyOf?.size ?? 0) + chunksLength(chunks);

/** @param report Hears the number of bytes of each part, when the part is copied, or is about to be written. */
function fileToWrite(file: FileParts, report: (bytes: number) => void): FileToWrite {
  const { path, copyOf, chunks } = file;
  return {
    path,
    byteLength: sizeOf(file),
    copyOf: copyOf && {
      size: copyOf.size,
      async copyTo(target) {
        await copyOf.copyTo(target);
        report(copyOf.size);
      },
    },
    content: reported(readChunks(chunks), report),
  };
}

async function* reported<Part extends { readonly byteLength: number }>(
  parts: AsyncIterable<Part>,
  report: (bytes: number) => void,
): AsyncGenerator<Part> {
  for await (const part of parts) {
    report(part.byteLength);
    yield part;
  }
}
