/**
 * Messages as lists of chunks. protobuf.js would copy every weight into one buffer, so the lengths around the weights
 * are written here, and what a rewrite does not change stays a view of the bytes that were read.
 * Source: protobuf's encoding, field numbers of onnx.proto.
 */
import { ModelError } from '../../errors.js';
import type { StoredBytes } from '../../tensor.js';
import type { Chunk, DeferredBytes } from './messages.js';
import { GraphProto, type ModelMessage, ModelProto, type TensorMessage, TensorProto } from './proto.js';
import { GRAPH, MODEL, TENSOR } from './schema.js';
import type { WireReader } from './wire.js';

/** A TensorProto whose `raw_data` may be a chunk that is not in memory. */
export type InitializerMessage = Omit<TensorMessage, 'rawData'> & { rawData?: Chunk | null };

/** A model whose initializers may not be in memory. */
export interface ModelToWrite extends Omit<ModelMessage, 'graph'> {
  readonly graph: Omit<NonNullable<ModelMessage['graph']>, 'initializer'> & {
    readonly initializer: readonly InitializerMessage[];
  };
}

/** Returns the bytes of a model, in order. Weights that are held as `raw_data` are not copied. */
export function modelChunks({ graph, ...rest }: ModelToWrite): Chunk[] {
  const { initializer, ...nodes } = graph;
  const content = [
    GraphProto.encode(nodes).finish(),
    ...initializer.flatMap((tensor) => delimited(GRAPH.initializer, tensorChunks(tensor))),
  ];
  return [ModelProto.encode(rest).finish(), ...delimited(MODEL.graph, content)];
}

function tensorChunks(tensor: InitializerMessage): Chunk[] {
  const { rawData, ...rest } = tensor;
  const head = TensorProto.encode(rest).finish();
  // A decoded message inherits an empty `rawData` if it has none of its own; written, it would contradict the shape.
  const isHeld = rawData && Object.hasOwn(tensor, 'rawData');
  return isHeld ? [head, ...delimited(TENSOR.rawData, [rawData])] : [head];
}

const isInMemory = (chunk: Chunk): chunk is Uint8Array => !('read' in chunk);

/**
 * Yields the bytes of all chunks, in order.
 * @throws ModelError `TENSOR_INVALID` if a chunk has another number of bytes than it says.
 */
export async function* readChunks(chunks: readonly Chunk[]): AsyncGenerator<Uint8Array | StoredBytes> {
  for (const chunk of chunks) {
    if (isInMemory(chunk)) yield chunk;
    else yield* readDeferred(chunk);
  }
}

async function* readDeferred({ byteLength, read }: DeferredBytes): AsyncGenerator<Uint8Array | StoredBytes> {
  let length = 0;
  for await (const piece of read()) {
    length += piece.byteLength;
    yield piece;
  }
  if (length === byteLength) return;
  throw new ModelError('TENSOR_INVALID', `a tensor of ${byteLength} bytes was read as ${length} bytes`);
}

/** Returns the number of bytes of all chunks. */
export const chunksLength = (chunks: readonly Chunk[]): number =>
  chunks.reduce((total, chunk) => total + chunk.byteLength, 0);

/** Copies all chunks into one array. */
export function joinChunks(chunks: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(chunksLength(chunks));
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}

/** Shorter content is copied: a chunk of its own takes more memory than the copy. */
const MIN_CHUNK_BYTES = 1024;

/** Writes a length-delimited field: its tag, the length of its content, and the content. */
export function delimited<Part extends Chunk>(tag: number, content: readonly Part[]): (Part | Uint8Array)[] {
  const length = chunksLength(content);
  const head: Uint8Array = Uint8Array.from([...varint(tag), ...varint(length)]);
  const chunks = [head, ...content];
  return length < MIN_CHUNK_BYTES && chunks.every(isInMemory) ? [joinChunks(chunks)] : chunks;
}

/** Writes a field of UTF-8 text. */
export const textField = (tag: number, text: string): Uint8Array[] =>
  delimited(tag, [new TextEncoder().encode(text)]);

/** Writes seven bits a byte, the lowest first; the top bit says that more bytes follow. Exact up to 2⁵³. */
export function varint(value: number): number[] {
  const bytes: number[] = [];
  for (; value >= 0x80; value = Math.floor(value / 0x80)) bytes.push((value % 0x80) | 0x80);
  return [...bytes, value];
}

/** Returns the whole fields that take a field's place, as chunks, or `undefined` to leave the field as it is. */
type Replace<Part extends Chunk> = (field: WireReader) => (Part | Uint8Array)[] | undefined;

/**
 * Replaces some fields of a message.
 * @returns The message in runs of whole fields: views of the fields that stay, and the chunks of each replacement.
 *   `undefined` if all fields stay.
 */
export function spliceRuns<Part extends Chunk = Uint8Array>(
  message: WireReader,
  replace: Replace<Part>,
): (Part | Uint8Array)[][] | undefined {
  const runs: (Part | Uint8Array)[][] = [];
  let kept = message.position;
  const keepUntil = (end: number) => end > kept && runs.push([message.between(kept, end)]);
  let changed = false;
  while (message.next()) {
    const replacement = replace(message);
    if (!replacement) continue;
    keepUntil(message.fieldStart);
    runs.push(replacement);
    kept = message.position;
    changed = true;
  }
  keepUntil(message.position);
  return changed ? runs : undefined;
}

/** Replaces some fields of the message in a field. Returns the field with its new content and length, as chunks. */
export function spliceWithin<Part extends Chunk = Uint8Array>(
  field: WireReader,
  replace: Replace<Part>,
): (Part | Uint8Array)[] | undefined {
  const { tag } = field;
  const runs = spliceRuns(field.enter(), replace);
  return runs && delimited(tag, runs.flat());
}
