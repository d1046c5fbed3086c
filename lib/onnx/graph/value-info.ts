/** ValueInfoProtos: the dtypes and shapes that models declare for inputs, outputs and intermediate values. */
import { dtypeFromOnnx, ONNX_DTYPE } from '../../graph/types.js';
import { type Dim, type DType, type Shape, UNKNOWN_DIM } from '../../tensor.js';
import { spliceWithin, varint } from '../protobuf/chunks.js';
import type { TensorMessage, ValueInfoMessage } from '../protobuf/messages.js';
import { ValueInfoProto } from '../protobuf/proto.js';
import { DIM, OTHER_TYPES, SHAPE, TENSOR_TYPE, TYPE, VALUE_INFO } from '../protobuf/schema.js';
import { exact, requireOnce, tooLarge, type WireReader } from '../protobuf/wire.js';

/** Makes a ValueInfoProto for a tensor. */
export const encodeValueInfo = ({
  name,
  dtype,
  shape,
}: {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
}): ValueInfoMessage => ({
  name,
  type: {
    tensorType: {
      elemType: ONNX_DTYPE[dtype],
      shape: { dim: shape.map(encodeDim) },
    },
  },
});

/** Writes a ValueInfoProto that declares a tensor of a model. */
export const declarationOf = ({ name, dims, dataType }: TensorMessage): Uint8Array =>
  ValueInfoProto.encode({
    name: name,
    type: {
      tensorType: {
        elemType: dataType,
        shape: { dim: dims.map(Number).map((dimValue) => ({ dimValue })) },
      },
    },
  }).finish();

function encodeDim(dim: Dim) {
  if (typeof dim === 'number') return { dimValue: dim };
  return dim === UNKNOWN_DIM ? {} : { dimParam: dim };
}

/** What an existing model declares for a value. */
export interface DeclaredValue {
  readonly name: string;
  /** `undefined` if the value is not a tensor, or the dtype or the shape is not declared. */
  readonly type: TensorType | undefined;
  /** Whether it has a shape. A scalar's has no dimensions; without a shape, the value may be of any rank. */
  readonly hasShape: boolean;
  /** What the value is instead of a tensor: `a sequence`. */
  readonly otherType: string | undefined;
}

export interface TensorType {
  readonly dtype: DType;
  /** `?` (UNKNOWN_DIM) stands for an unknown dimension. */
  readonly shape: Shape;
}

/**
 * Reads the ValueInfoProto in a field.
 * @throws ModelError `MODEL_INVALID` if a part occurs twice; `LIMIT_EXCEEDED`.
 */
export function readValueInfo(field: WireReader): DeclaredValue {
  const info = field.enter();
  let name = '';
  let type: TypeParts | undefined;
  while (info.next()) {
    if (info.tag === VALUE_INFO.name) name = info.text();
    if (info.tag !== VALUE_INFO.type) continue;
    if (type) throw requireOnce('a value', 'type');
    type = readType(info.enter());
  }
  const { dtype, shape, otherType } = type ?? {};
  return { name, type: dtype && shape && { dtype, shape }, hasShape: shape !== undefined, otherType };
}

/** The parts of a type that are declared. */
interface TypeParts extends Partial<TensorType> {
  readonly otherType?: string | undefined;
}

function readType(type: WireReader): TypeParts {
  let tensor: TypeParts | undefined;
  let otherType: string | undefined;
  while (type.next()) {
    otherType = OTHER_TYPES.get(type.tag) ?? otherType;
    if (type.tag !== TYPE.tensor) continue;
    if (tensor) throw requireOnce('a value', 'tensor_type');
    tensor = readTensorType(type.enter());
  }
  return otherType === undefined ? (tensor ?? {}) : { otherType };
}

function readTensorType(tensor: WireReader): TypeParts {
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

function readShape(shape: WireReader): Shape {
  const dims: Dim[] = [];
  const { modelRank } = shape.budget.limits;
  while (shape.next()) {
    if (shape.tag !== SHAPE.dim) continue;
    if (dims.length >= modelRank) throw tooLarge(`a type of more than ${modelRank} dimensions`, 'modelRank');
    dims.push(readDim(shape.enter()));
  }
  return exact(dims);
}

/** A dimension is a size or a name: the later of the two. An empty name or a negative size counts as unknown. */
function readDim(dim: WireReader): Dim {
  let result: Dim = UNKNOWN_DIM;
  while (dim.next()) {
    if (dim.tag === DIM.value) result = dim.int64();
    else if (dim.tag === DIM.param) result = dim.text() || UNKNOWN_DIM;
  }
  return typeof result === 'number' && result < 0 ? UNKNOWN_DIM : result;
}

/** Changes the dtype in a tensor's ValueInfoProto and keeps the rest. */
export const withDtype = (field: WireReader, dtype: DType): Uint8Array[] | undefined =>
  spliceWithin(field, (info) => {
    if (info.tag !== VALUE_INFO.type) return undefined;
    return spliceWithin(info, (type) => (type.tag === TYPE.tensor ? withElemType(type, dtype) : undefined));
  });

const withElemType = (field: WireReader, dtype: DType): Uint8Array[] | undefined =>
  spliceWithin(field, ({ tag }) =>
    tag === TENSOR_TYPE.elemType ? [Uint8Array.from([tag, ...varint(ONNX_DTYPE[dtype])])] : undefined,
  );
