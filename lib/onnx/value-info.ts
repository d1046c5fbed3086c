import { dtypeFromOnnx, ONNX_DTYPE } from '../graph/types.js';
import { type Dim, type DType, type Shape, UNKNOWN_DIM } from '../tensor.js';
import type { ValueInfoProto } from './proto.js';
import { DIM, OTHER_TYPES, SHAPE, TENSOR_TYPE, TYPE, VALUE_INFO } from './schema.js';
import { spliceWithin, varint } from './splice.js';
import { requireOnce, type WireReader } from './wire.js';

/** How ONNX declares a value's dtype and shape. */
export const encodeValueInfo = ({
  name,
  dtype,
  shape,
}: {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
}): ValueInfoProto => ({
  name,
  type: {
    tensorType: {
      elemType: ONNX_DTYPE[dtype],
      shape: { dim: shape.map(encodeDim) },
    },
  },
});

function encodeDim(dim: Dim) {
  if (typeof dim === 'number') return { dimValue: dim };
  return dim === UNKNOWN_DIM ? {} : { dimParam: dim };
}

// SECTION: The types that existing models declare.

export interface TensorType {
  readonly dtype: DType;
  /** `?` (UNKNOWN_DIM) stands for a dimension of which nothing is known. */
  readonly shape: Shape;
}

/** The type in the field of a ValueInfoProto; nothing if it is not a tensor's, or without a dtype or a shape. */
export function readType(field: WireReader): TensorType | undefined {
  const { dtype, shape } = readParts(field);
  return dtype && shape && { dtype, shape };
}

/** Whether the field of a ValueInfoProto has a shape. One of no dimensions is a scalar's; where there is none, any may come. */
export const hasShape = (field: WireReader): boolean => readParts(field).shape !== undefined;

/** What the value in the field of a ValueInfoProto is if it is declared to be no tensor: `a sequence`. */
export function otherType(field: WireReader): string | undefined {
  const type = only(field.enter(), VALUE_INFO.type, 'type');
  let other: string | undefined;
  while (type?.next()) other = OTHER_TYPES.get(type.tag) ?? other;
  return other;
}

/** What is there of a tensor's type. */
function readParts(field: WireReader): Partial<TensorType> {
  const type = only(field.enter(), VALUE_INFO.type, 'type');
  const tensor = type && only(type, TYPE.tensor, 'tensor_type', TYPE.others);
  if (!tensor) return {};
  let dataType = 0;
  let shape: Shape | undefined;
  while (tensor.next()) {
    if (tensor.tag === TENSOR_TYPE.elemType) dataType = tensor.int32();
    if (tensor.tag !== TENSOR_TYPE.shape) continue;
    if (shape) throw requireOnce('a type', 'shape');
    shape = readShape(tensor.enter());
  }
  const dtype = dtypeFromOnnx(dataType);
  return { ...(dtype && { dtype }), ...(shape && { shape }) };
}

/** The field of a ValueInfoProto of a tensor, with another dtype and all else as it is. */
export const withDtype = (field: WireReader, dtype: DType): Uint8Array[] | undefined =>
  spliceWithin(field, (info) => {
    if (info.tag !== VALUE_INFO.type) return undefined;
    return spliceWithin(info, (type) => (type.tag === TYPE.tensor ? withElemType(type, dtype) : undefined));
  });

const withElemType = (field: WireReader, dtype: DType): Uint8Array[] | undefined =>
  spliceWithin(field, ({ tag }) =>
    tag === TENSOR_TYPE.elemType ? [Uint8Array.from([tag, ...varint(ONNX_DTYPE[dtype])])] : undefined,
  );

/** The message in the only field with this tag; nothing if there is none, or one of its alternatives. */
function only(
  message: WireReader,
  tag: number,
  name: string,
  alternatives: readonly number[] = [],
): WireReader | undefined {
  let found: WireReader | undefined;
  let isOther = false;
  while (message.next()) {
    isOther ||= alternatives.includes(message.tag);
    if (message.tag !== tag) continue;
    if (found) throw requireOnce('a value', name);
    found = message.enter();
  }
  return isOther ? undefined : found;
}

function readShape(shape: WireReader): Shape {
  const dims: Dim[] = [];
  while (shape.next()) {
    if (shape.tag === SHAPE.dim) dims.push(readDim(shape.enter()));
  }
  return dims;
}

/** A dimension is a size or a name, whichever comes last; an empty name is none. */
function readDim(dim: WireReader): Dim {
  let result: Dim = UNKNOWN_DIM;
  while (dim.next()) {
    if (dim.tag === DIM.value) result = dim.int64();
    else if (dim.tag === DIM.param) result = dim.text() || UNKNOWN_DIM;
  }
  return result;
}
