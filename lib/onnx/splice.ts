/**
 * A ModelProto in pieces that are views of its weights. protobuf.js would copy every weight into one buffer;
 * so the lengths around the weights are written here. Source: protobuf's encoding, field numbers of onnx.proto.
 */
import { GraphProto, type ModelMessage, ModelProto, type TensorMessage, TensorProto } from './proto.js';
import { WireReader } from './wire.js';

/** Tags of length-delimited fields: field number · 8 + 2. */
const MODEL_GRAPH = (7 << 3) | 2;
const GRAPH_INITIALIZER = (5 << 3) | 2;
const TENSOR_RAW_DATA = (9 << 3) | 2;

/** The bytes of a model, in order. Weights that are held as `raw_data` are not copied. */
export function modelChunks(model: ModelMessage): Uint8Array[] {
  const { graph, ...rest } = model;
  const { initializer, ...nodes } = graph!;
  const content = [
    GraphProto.encode(nodes).finish(),
    ...(initializer ?? []).flatMap((tensor) => delimited(GRAPH_INITIALIZER, tensorChunks(tensor))),
  ];
  return [ModelProto.encode(rest).finish(), ...delimited(MODEL_GRAPH, content)];
}

/** The number of bytes of all chunks. */
export const chunksLength = (chunks: readonly Uint8Array[]): number =>
  chunks.reduce((total, chunk) => total + chunk.byteLength, 0);

/** All chunks as one array. */
export function joinChunks(chunks: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(chunksLength(chunks));
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}

function tensorChunks(tensor: TensorMessage): Uint8Array[] {
  const { rawData, ...rest } = tensor;
  const head = TensorProto.encode(rest).finish();
  // A decoded message inherits an empty `rawData` where it has none of its own; written, it would contradict the shape.
  const isHeld = rawData && Object.hasOwn(tensor, 'rawData');
  return isHeld ? [head, ...delimited(TENSOR_RAW_DATA, [rawData])] : [head];
}

/** Fewer bytes are copied: a chunk takes more memory than they do. */
const MIN_CHUNK_BYTES = 1024;

/** A field of bytes: its tag and length, and its content as it is. */
export function delimited(tag: number, content: readonly Uint8Array[]): Uint8Array[] {
  const length = chunksLength(content);
  const head: Uint8Array = Uint8Array.from([...varint(tag), ...varint(length)]);
  const chunks = [head].concat(content);
  return length < MIN_CHUNK_BYTES ? [joinChunks(chunks)] : chunks;
}

/** Seven bits a byte, the lowest first; the top bit says that more follow. Exact up to 2⁵³. */
export function varint(value: number): number[] {
  const bytes: number[] = [];
  for (; value >= 0x80; value = Math.floor(value / 0x80)) bytes.push((value % 0x80) | 0x80);
  return [...bytes, value];
}

// SECTION: Messages of which some fields are changed and all others stay as they were read, byte for byte.

/** The whole fields that take a field's place, as chunks; nothing to leave it as it is. */
export type Replace = (field: WireReader) => Uint8Array[] | undefined;

/**
 * Puts other fields in the place of some of a message's.
 * @returns The message in runs of whole fields: views of what stays, and the chunks of each replacement. Nothing if
 *   all of it stays as it is.
 */
export function spliceRuns(message: WireReader, replace: Replace): Uint8Array[][] | undefined {
  const runs: Uint8Array[][] = [];
  let kept = message.position;
  const keepUntil = (end: number) => end > kept && runs.push([message.between(kept, end)]);
  let changed = false;
  while (message.next()) {
    const replacement = replace(message);
    if (!replacement) continue;
    keepUntil(message.recordStart);
    runs.push(replacement);
    kept = message.position;
    changed = true;
  }
  keepUntil(message.position);
  return changed ? runs : undefined;
}

/** The same for the message in a field: the field with its new content, as chunks. */
export function spliceWithin(field: WireReader, replace: Replace): Uint8Array[] | undefined {
  const { tag } = field;
  const runs = spliceRuns(field.enter(), replace);
  return runs && delimited(tag, runs.flat());
}

/** A field of UTF-8. */
export const textField = (tag: number, text: string): Uint8Array[] =>
  delimited(tag, [new TextEncoder().encode(text)]);

/** The fields of a graph: as they were read, as views, but for those that were put in or changed. */
export class GraphFields {
  /** Each is of whole fields, in chunks that are joined only if they are read again. */
  #runs: Uint8Array[][];

  constructor(graph: Uint8Array) {
    this.#runs = [[graph]];
  }

  /** The graph's bytes, in order. */
  get chunks(): Uint8Array[] {
    return this.#runs.flat();
  }

  /** Visits the fields one after the other, with one and the same reader. */
  each(visit: (field: WireReader) => void): void {
    for (const reader of this.readers()) while (reader.next()) visit(reader);
  }

  /** What is read from each of the fields with a tag. */
  collect<T>(tag: number, read: (field: WireReader) => T): T[] {
    const results: T[] = [];
    this.each((field) => field.tag === tag && results.push(read(field)));
    return results;
  }

  /** Readers of all fields, each before its first one. */
  readers(): WireReader[] {
    this.#runs = this.#runs.map((run) => (run.length === 1 ? run : [joinChunks(run)]));
    return this.#runs.flat().map((run) => WireReader.of(run));
  }

  /** Puts other fields in the place of some. */
  splice(replace: Replace): void {
    const readers = this.readers();
    this.#runs = this.#runs.flatMap((run, index) => spliceRuns(readers[index]!, replace) ?? [run]);
  }

  /** Puts messages before all fields, in this order. */
  prepend(tag: number, messages: readonly Uint8Array[]): void {
    this.#runs = messages.map((message) => delimited(tag, [message])).concat(this.#runs);
  }

  append(tag: number, messages: readonly Uint8Array[]): void {
    this.#runs = this.#runs.concat(messages.map((message) => delimited(tag, [message])));
  }
}
