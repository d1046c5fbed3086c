import type { DType } from '../tensor.js';

/** The numbers of ONNX's `TensorProto.DataType`. Source: onnx.proto. */
export const ONNX_DTYPE: Readonly<Record<DType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
};

/** The dtype of an ONNX number, or `undefined` for one that this library does not hold (string, complex, …). */
export const dtypeFromOnnx = (number: number): DType | undefined =>
  (Object.keys(ONNX_DTYPE) as DType[]).find((dtype) => ONNX_DTYPE[dtype] === number);
