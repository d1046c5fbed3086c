/** Weights in files of their own: put into their model, and taken out of it. */
import { isMap, isUint8Array, unshared } from '../arrays.js';
import { ModelError } from '../errors.js';
import { listNames } from '../quantities.js';
import { notBytes } from '../options.js';
import { chunksLength, delimited, joinChunks, spliceRuns } from './protobuf/chunks.js';
import { requireModelSize } from './encode.js';
import type { Chunk, DeferredBytes } from './protobuf/messages.js';
import { TensorProto } from './protobuf/proto.js';
import { TENSOR } from './protobuf/schema.js';
import { externalFiles, spliceTensors } from './protobuf/tensor-walk.js';
import { externalPlace, externalRange, readTensorHeader } from './protobuf/tensors.js';
import type { WireReader } from './protobuf/wire.js';

/**
 * Returns a model with the weights in it that lie in files of their own: for places that have no files, such as a page that
 * a visitor drops a model on. All else stays, byte for byte; a model without such files comes back unchanged.
 * @param bytes A ModelProto.
 * @param files The content of each file, by its path relative to the model's folder (`model.onnx.data`). Other files may be in it.
 * @throws ModelError `MODEL_INVALID`, `TENSOR_INVALID` or `LIMIT_EXCEEDED` for a damaged model, and for a
 *   file that is missing or too short; `MODEL_TOO_LARGE` for more than 2 GiB together; OptionError.
 */
export function embedExternalData(bytes: Uint8Array, files: ReadonlyMap<string, Uint8Array>): Uint8Array {
  if (!isUint8Array(bytes)) throw notBytes('embedExternalData takes a Uint8Array', bytes);
  const given = isMap(files) ? files : new Map<string, Uint8Array>();
  const chunks = embedded(unshared(bytes), given, {
    sizeOf: ({ byteLength }) => byteLength,
    part: (file, offset, end) => file.subarray(offset, end),
  });
  return chunks ? joinChunks(chunks) : bytes;
}

/** A part of a Blob, which is not read. */
interface BlobChunk extends DeferredBytes {
  readonly part: Blob;
}

/** Does what {@link embedExternalData} does, and reads no weight: the result refers to parts of the files. */
export function embedInBlob(bytes: Uint8Array<ArrayBuffer>, files: ReadonlyMap<string, Blob>): Blob {
  const chunks = embedded<Blob, BlobChunk>(bytes, files, {
    sizeOf: ({ size }) => size,
    part(file, offset, end) {
      const part = file.slice(offset, end);
      return { part, byteLength: part.size, read: () => part.stream() };
    },
  });
  const parts = chunks?.map((chunk) => ('part' in chunk ? chunk.part : (chunk as Uint8Array<ArrayBuffer>)));
  return new Blob(parts ?? [bytes]);
}

/** How to use the files that weights lie in. */
interface FileAccess<Source, Part extends Chunk> {
  readonly sizeOf: (file: Source) => number;
  readonly part: (file: Source, offset: number, end: number) => Part;
}

/** Returns the chunks of a model with its weights in it; `undefined` if it has them already. */
function embedded<Source, Part extends Chunk>(
  bytes: Uint8Array,
  files: ReadonlyMap<string, Source>,
  { sizeOf, part }: FileAccess<Source, Part>,
): (Part | Uint8Array)[] | undefined {
  const needed = externalFiles(bytes);
  const missing = [...needed.keys()].filter((location) => !files.has(location));
  if (missing.length > 0) {
    const names = listNames(missing.map((location) => `'${location}'`));
    throw new ModelError(
      'TENSOR_INVALID',
      `the model keeps weights in ${names}: give these files with the model`,
    );
  }
  for (const [location, { size }] of needed) {
    const has = sizeOf(files.get(location)!);
    if (has >= size) continue;
    throw new ModelError(
      'TENSOR_INVALID',
      `'${location}' has ${has} bytes, but the model needs ${size}: get the whole file again`,
    );
  }
  const chunks = spliceTensors<Part>(bytes, (tensor) => {
    const { tag } = tensor;
    const header = readTensorHeader(tensor);
    if (header.location === undefined) return undefined;
    const { offset, end } = externalRange(header);
    const head = spliceRuns(tensor.enter(), (field) => (PLACE.includes(field.tag) ? [] : undefined))!;
    const data = part(files.get(header.location)!, offset, end);
    return delimited<Part | Uint8Array>(tag, [...head.flat(), ...delimited(TENSOR.rawData, [data])]);
  });
  if (chunks) requireModelSize(chunksLength(chunks), 'the model with its weights in it');
  return chunks;
}

/** The fields that say where a tensor's data lies, and the data. */
const PLACE: readonly number[] = [TENSOR.externalData, TENSOR.dataLocation, TENSOR.rawData];

/**
 * Returns a tensor, as a whole field, that names its place in a file instead of holding its data; `undefined` if its data is not
 * a view of the bytes of that file.
 */
export function detached(field: WireReader, location: string, file: Uint8Array): Uint8Array[] | undefined {
  const { raw } = readTensorHeader(field);
  if (raw?.buffer !== file.buffer) return undefined;
  const head = spliceRuns(field.enter(), (part) => (part.tag === TENSOR.rawData ? [] : undefined))!;
  const place = { location, offset: raw.byteOffset - file.byteOffset, length: raw.byteLength };
  return delimited(field.tag, [...head.flat(), TensorProto.encode(externalPlace(place)).finish()]);
}
