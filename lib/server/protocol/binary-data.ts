/** The elements of a tensor in the binary tensor extension: little-endian, without padding, at any offset of a body. */
import { isUtf8 } from 'node:buffer';
import { RequestError } from '../../errors.js';
import {
  type AnyTensor,
  bytesPerElement,
  type DType,
  elementCount,
  formatShape,
  tensorBytes,
  tensorFromBytes,
} from '../../tensor.js';
import { datatypeOf } from './datatypes.js';

/** The bytes that hold the length of an element of BYTES. */
const LENGTH_BYTES = 4;

/**
 * Makes a tensor of its bytes.
 * @param what Its name for messages: `input 'x'`.
 * @throws RequestError `INPUT_DATA` if the bytes do not fit the dtype and the sizes, or if texts are not UTF-8.
 */
export function tensorOfBinary(
  what: string,
  dtype: DType | 'string',
  dims: readonly number[],
  bytes: Buffer,
): AnyTensor {
  if (dtype === 'string') return { dtype, dims, data: textsOf(what, elementCount(dims), bytes) };
  const needed = elementCount(dims) * bytesPerElement(dtype);
  if (bytes.length === needed) return tensorFromBytes(dtype, dims, bytes);
  const type = `a ${datatypeOf(dtype)} tensor of shape ${formatShape(dims)}`;
  throw new RequestError(
    'INPUT_DATA',
    `${what}: ${type} takes ${needed} bytes, but the binary data has ${bytes.length}`,
  );
}

function textsOf(what: string, count: number, bytes: Buffer): string[] {
  const texts: string[] = [];
  let at = 0;
  const wrong = (problem: string) =>
    new RequestError(
      'INPUT_DATA',
      `${what}: ${problem} (element ${texts.length} of ${count}, at byte ${at} of its binary data)`,
    );
  while (texts.length < count) {
    if (at + LENGTH_BYTES > bytes.length) throw wrong('the binary data ends within the length of an element');
    const end = at + LENGTH_BYTES + bytes.readUInt32LE(at);
    if (end > bytes.length) throw wrong('an element is longer than the rest of the binary data');
    const text = bytes.subarray(at + LENGTH_BYTES, end);
    if (!isUtf8(text)) throw wrong('an element is not UTF-8, and ONNX has no other texts');
    texts.push(text.toString('utf8'));
    at = end;
  }
  if (at < bytes.length) throw wrong('bytes are left over behind the last element');
  return texts;
}

/** Returns the bytes of a tensor's elements: of numbers without a copy. */
export function binaryOf(value: AnyTensor): Uint8Array {
  if (value.dtype !== 'string') return tensorBytes(value);
  const parts: Buffer[] = [];
  for (const text of value.data) {
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeUInt32LE(Buffer.byteLength(text));
    parts.push(length, Buffer.from(text));
  }
  return Buffer.concat(parts);
}
