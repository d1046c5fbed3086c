import { expect } from 'chai';
import { describe, it } from 'mocha';
import { onnx } from 'onnx-proto';
import { dtypeFromOnnx, ONNX_DTYPE } from '../../lib/graph/types.js';
import { type DType, DTYPES } from '../../lib/tensor.js';

const { DataType } = onnx.TensorProto;

/** The dtypes that onnx.proto calls otherwise. */
const PROTO_NAMES: Partial<Record<DType, keyof typeof DataType>> = { float32: 'FLOAT', float64: 'DOUBLE' };

describe('ONNX_DTYPE', () => {
  for (const dtype of DTYPES) {
    it(`ONNX_DTYPE maps ${dtype} to onnx.proto's number and back`, () => {
      const number = DataType[PROTO_NAMES[dtype] ?? (dtype.toUpperCase() as keyof typeof DataType)];
      expect(ONNX_DTYPE[dtype]).to.equal(number);
      expect(dtypeFromOnnx(number)).to.equal(dtype);
    });
  }

  it('ONNX_DTYPE has no strings, no complex numbers and no undefined', () => {
    for (const number of [DataType.UNDEFINED, DataType.STRING, DataType.COMPLEX64, 999]) {
      expect(dtypeFromOnnx(number)).to.equal(undefined);
    }
  });
});
