/** Messages by hand, field by field: numbers are those of onnx.proto, and nothing here is the library's. */

type Bytes = readonly number[];

/** Seven bits a byte, the lowest first. Negative numbers are those of 64 bits. */
export function varint(value: number | bigint): Bytes {
  if (value >= 0 && value < 128) return [Number(value)];
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return [...bytes, Number(rest)];
}

/** A field of wire type 0. */
export const int = (field: number, value: number | bigint): Bytes => [...varint(field * 8), ...varint(value)];

/** A field of wire type 2. */
export const message = (field: number, ...content: readonly Bytes[]): Bytes => {
  const length = content.reduce((sum, part) => sum + part.length, 0);
  return joined([varint(field * 8 + 2), varint(length), ...content]);
};

/** Returns `parts.flat()` in a third of its time: tests make messages of megabytes. */
function joined(parts: readonly Bytes[]): number[] {
  const bytes: number[] = [];
  for (const part of parts) for (const byte of part) bytes.push(byte);
  return bytes;
}

export const text = (field: number, value: string): Bytes => message(field, [...Buffer.from(value)]);

export const all = (...fields: readonly Bytes[]): Uint8Array => Uint8Array.from(joined(fields));

/** A ModelProto of opset 21 with these fields in its graph. */
export const model = (...graph: readonly Bytes[]): Uint8Array =>
  all(int(1, 10), message(7, ...graph), message(8, int(2, 21)));

/** A ValueInfoProto of a tensor, in a field. */
export const valueInfo = (field: number, name: string, dtype: number, ...dims: number[]): Bytes =>
  message(field, text(1, name), message(2, message(1, int(1, dtype), shape(dims))));

const shape = (dims: readonly number[]): Bytes => message(2, ...dims.map((dim) => message(1, int(1, dim))));
