/** The fields of ONNX's messages that are read from existing models. Source: onnx.proto of ONNX 1.23. */
import { bytesTag, fixed32Tag, fixed64Tag, varintTag } from './wire.js';

export const MODEL = {
  irVersion: varintTag(1),
  producerName: bytesTag(2),
  producerVersion: bytesTag(3),
  graph: bytesTag(7),
  opsetImport: bytesTag(8),
  trainingInfo: bytesTag(20),
  functions: bytesTag(25),
} as const;

export const TRAINING = { initialization: bytesTag(1), algorithm: bytesTag(2) } as const;

export const OPSET = { domain: bytesTag(1), version: varintTag(2) } as const;

export const FUNCTION = {
  name: bytesTag(1),
  input: bytesTag(4),
  output: bytesTag(5),
  node: bytesTag(7),
  opsetImport: bytesTag(9),
  domain: bytesTag(10),
  attributeProto: bytesTag(11),
  valueInfo: bytesTag(12),
  overload: bytesTag(13),
} as const;

export const GRAPH = {
  node: bytesTag(1),
  initializer: bytesTag(5),
  input: bytesTag(11),
  output: bytesTag(12),
  valueInfo: bytesTag(13),
  sparseInitializer: bytesTag(15),
} as const;

export const NODE = {
  input: bytesTag(1),
  output: bytesTag(2),
  name: bytesTag(3),
  opType: bytesTag(4),
  attribute: bytesTag(5),
  domain: bytesTag(7),
  overload: bytesTag(8),
  metadataProps: bytesTag(9),
} as const;

export const ATTRIBUTE = {
  name: bytesTag(1),
  f: fixed32Tag(2),
  i: varintTag(3),
  s: bytesTag(4),
  t: bytesTag(5),
  g: bytesTag(6),
  floats: fixed32Tag(7),
  packedFloats: bytesTag(7),
  ints: varintTag(8),
  packedInts: bytesTag(8),
  strings: bytesTag(9),
  tensors: bytesTag(10),
  graphs: bytesTag(11),
  type: varintTag(20),
  reference: bytesTag(21),
  sparseTensor: bytesTag(22),
  sparseTensors: bytesTag(23),
} as const;

export const VALUE_INFO = { name: bytesTag(1), type: bytesTag(2) } as const;

/** The types of a TypeProto besides a tensor's, in the words of messages. */
export const OTHER_TYPES: ReadonlyMap<number, string> = new Map([
  [bytesTag(4), 'a sequence'],
  [bytesTag(5), 'a map'],
  [bytesTag(7), 'an opaque value'],
  [bytesTag(8), 'a sparse tensor'],
  [bytesTag(9), 'an optional value'],
]);

export const TYPE = { tensor: bytesTag(1) } as const;

export const TENSOR_TYPE = { elemType: varintTag(1), shape: bytesTag(2) } as const;

export const SHAPE = { dim: bytesTag(1) } as const;

export const DIM = { value: varintTag(1), param: bytesTag(2) } as const;

export const TENSOR = {
  dims: varintTag(1),
  packedDims: bytesTag(1),
  dataType: varintTag(2),
  name: bytesTag(8),
  rawData: bytesTag(9),
  externalData: bytesTag(13),
  dataLocation: varintTag(14),
} as const;

/** The fields that hold a tensor's elements one by one. `width`: bytes of an element, `undefined` if it varies. */
export const TYPED_DATA = [
  { name: 'float_data', packed: bytesTag(4), single: fixed32Tag(4), width: 4 },
  { name: 'int32_data', packed: bytesTag(5), single: varintTag(5), width: undefined },
  // Strings are not packed.
  { name: 'string_data', packed: undefined, single: bytesTag(6), width: undefined },
  { name: 'int64_data', packed: bytesTag(7), single: varintTag(7), width: undefined },
  { name: 'double_data', packed: bytesTag(10), single: fixed64Tag(10), width: 8 },
  { name: 'uint64_data', packed: bytesTag(11), single: varintTag(11), width: undefined },
] as const;

export type TypedField = (typeof TYPED_DATA)[number];

export const SPARSE_TENSOR = {
  values: bytesTag(1),
  indices: bytesTag(2),
  dims: varintTag(3),
  packedDims: bytesTag(3),
} as const;

export const ENTRY = { key: bytesTag(1), value: bytesTag(2) } as const;
