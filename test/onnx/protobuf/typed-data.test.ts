import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ONNX_DTYPE } from '../../../lib/graph/types.js';
import { readTensorData, readTensorHeader } from '../../../lib/onnx/protobuf/tensors.js';
import { WireReader } from '../../../lib/onnx/protobuf/wire.js';
import type { DType } from '../../../lib/tensor.js';
import { all, int, message, varint } from '../bytes.js';

/** The data of a tensor of `length` elements that has these fields. */
function elements(dtype: DType, length: number, ...fields: readonly (readonly number[])[]) {
  const tensor = WireReader.of(all(message(5, int(1, length), int(2, ONNX_DTYPE[dtype]), ...fields)));
  tensor.next();
  return readTensorData(readTensorHeader(tensor))?.data;
}

describe('readTensorData, given elements in a field of their type,', () => {
  it('readTensorData reads the field that onnx.proto has for the dtype, and no other', () => {
    const one = [0, 0, 0x80, 0x3f];
    const fields = [message(4, one), message(5, [2]), message(7, [3]), message(10, [0, 0, 0, 0, 0, 0, 0xf0, 0x3f]), message(11, [4])]; // prettier-ignore
    const read = (dtype: DType) => Number(elements(dtype, 1, ...fields)![0]);
    expect(read('float32')).to.equal(1);
    for (const dtype of ['int8', 'uint8', 'int16', 'uint16', 'int32', 'float16', 'bfloat16'] as const)
      expect(read(dtype), dtype).to.equal(2);
    expect(read('int64')).to.equal(3);
    expect(read('float64')).to.equal(1);
    for (const dtype of ['uint32', 'uint64'] as const) expect(read(dtype), dtype).to.equal(4);
  });

  it('readTensorData reads packed and single fields together', () => {
    expect([...elements('int32', 4, message(5, [1, 2]), int(5, -3), message(5, [4]))!]).to.deep.equal([
      1, 2, -3, 4,
    ]);
  });

  it('readTensorData cuts elements to their width, and bools to 0 and 1', () => {
    expect([...elements('int8', 2, message(5, varint(-1), varint(300)))!]).to.deep.equal([-1, 44]);
    expect([...elements('uint64', 1, message(11, varint(-1)))!]).to.deep.equal([2n ** 64n - 1n]);
    expect([...elements('bool', 3, message(5, [0, 2], varint(-1)))!]).to.deep.equal([0, 1, 1]);
  });

  it('readTensorData returns undefined for fewer or more elements than expected', () => {
    expect(elements('int64', 2, message(7, [1]))).to.equal(undefined);
    expect(elements('int64', 2, message(7, [1, 2, 3]))).to.equal(undefined);
    expect([...elements('int64', 0)!]).to.deep.equal([]);
  });
});
