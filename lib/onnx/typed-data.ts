/** The elements of a tensor that lie one by one in a field of their type, rather than as bytes. */
import { allocate, type DType, type ElementArray } from '../tensor.js';
import { TYPED_DATA, type TypedField } from './schema.js';
import type { WireReader } from './wire.js';

const [FLOAT, INT32, , INT64, DOUBLE, UINT64] = TYPED_DATA;

/** The field of a dtype. Source: onnx.proto; float16 and bfloat16 are the bits of an int32. */
const fieldOf = (dtype: DType): TypedField => FIELDS[dtype] ?? INT32;

const FIELDS: Partial<Record<DType, TypedField>> = {
  float32: FLOAT,
  float64: DOUBLE,
  int64: INT64,
  uint32: UINT64,
  uint64: UINT64,
};

/**
 * @param message A TensorProto, at its beginning.
 * @returns The elements; nothing if there are not as many as `length`.
 */
export function typedElements(message: WireReader, dtype: DType, length: number): ElementArray | undefined {
  const { single, packed } = fieldOf(dtype);
  const elements = allocate(dtype, length) as WritableElements;
  const read = readerOf(dtype);
  let count = 0;
  while (message.next()) {
    if (message.tag !== single && message.tag !== packed) continue;
    for (const element of read(message)) {
      if (count === length) return undefined;
      elements[count++] = element;
    }
  }
  return count === length ? (elements as ElementArray) : undefined;
}

/** What is stored is cut to the width of the array's elements, as protobuf's readers do. */
type WritableElements = Record<number, number | bigint>;

function readerOf(dtype: DType): (field: WireReader) => Iterable<number | bigint> {
  if (dtype === 'float32') return (field) => field.floats();
  if (dtype === 'float64') return (field) => field.doubles();
  if (dtype === 'int64' || dtype === 'uint64') return (field) => field.uint64s();
  return dtype === 'bool' ? bits : (field) => field.int64s();
}

/** ONNX stores a bool as any integer. */
function* bits(field: WireReader): Generator<number, void> {
  for (const value of field.int64s()) yield Number(value !== 0);
}
