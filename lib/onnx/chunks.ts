/**
 * A ModelProto in pieces that are views of its weights. protobuf.js would copy every weight into one buffer;
 * so the lengths around the weights are written here. Source: protobuf's encoding, field numbers of onnx.proto.
 */
import { GraphProto, ModelProto, TensorProto, type ModelMessage, type TensorMessage } from './proto.js';

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
