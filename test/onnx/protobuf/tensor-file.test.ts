import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ModelError } from '../../../lib/errors.js';
import { fromBfloat16Bits, fromFloat16Bits } from '../../../lib/half.js';
import { decodeTensorFile } from '../../../lib/onnx/protobuf/tensors.js';
import { type DType, DTYPES, type TensorData } from '../../../lib/tensor.js';
import { all, int, message, text } from '../bytes.js';

/** scripts/samples/make_test_data.py writes them, with ONNX's own package. */
const sample = (name: string): Uint8Array =>
  readFileSync(new URL(`../../samples/tensors/${name}.pb`, import.meta.url));

const FLOATS = [0, -1.5, 0.375, Infinity, -0, 384];
/** The values of that script. */
const VALUES: Record<DType, readonly (number | bigint)[]> = {
  float32: FLOATS,
  float64: FLOATS,
  float16: FLOATS,
  bfloat16: FLOATS,
  int8: [0, 1, 2, 100, -128, 127],
  uint8: [0, 1, 2, 100, 0, 255],
  int16: [0, 1, 2, 100, -32768, 32767],
  uint16: [0, 1, 2, 100, 0, 65535],
  int32: [0, 1, 2, 100, -(2 ** 31), 2 ** 31 - 1],
  uint32: [0, 1, 2, 100, 0, 2 ** 32 - 1],
  int64: [0n, 1n, 2n, 100n, -(2n ** 63n), 2n ** 63n - 1n],
  uint64: [0n, 1n, 2n, 100n, 0n, 2n ** 64n - 1n],
  bool: [1, 0, 0, 1, 1, 0],
};

function valuesOf({ dtype, data }: TensorData): (number | bigint)[] {
  const convert = { float16: fromFloat16Bits, bfloat16: fromBfloat16Bits }[dtype as string];
  return convert ? Array.from(data as Uint16Array, convert) : [...data];
}

describe('decodeTensorFile', () => {
  for (const dtype of DTYPES) {
    it(`decodeTensorFile reads ${dtype} as ONNX's package writes it, in typed fields and as bytes`, () => {
      for (const form of ['typed', 'raw']) {
        const { name, tensor } = decodeTensorFile(sample(`${dtype}-${form}`), 'a.pb');
        expect([name, tensor.dtype, tensor.dims]).to.deep.equal([dtype, dtype, [2, 3]]);
        const values = valuesOf(tensor);
        expect(values.every((value, i) => Object.is(value, VALUES[dtype][i])), `${form}: ${values}`).to.equal(true); // prettier-ignore
      }
    });
  }

  it('decodeTensorFile reads scalars, empty tensors and tensors without a name', () => {
    const scalar = decodeTensorFile(all(int(2, 1), message(9, [0, 0, 0x80, 0x3f])), 'a.pb');
    expect([scalar.name, scalar.tensor.dims, [...scalar.tensor.data]]).to.deep.equal(['', [], [1]]);
    const empty = decodeTensorFile(all(int(1, 0), int(1, 3), int(2, 7)), 'a.pb');
    expect([empty.tensor.dims, empty.tensor.data.length]).to.deep.equal([[0, 3], 0]);
  });

  it('decodeTensorFile reads any number of elements from a typed field', () => {
    const many = new Uint8Array(100_000).fill(7);
    const bytes = Buffer.concat([all(int(1, many.length), int(2, 3)), Uint8Array.of(0x2a, 0xa0, 0x8d, 0x06), many]); // prettier-ignore
    const { tensor } = decodeTensorFile(bytes, 'a.pb');
    expect([tensor.data.length, tensor.data.at(-1)]).to.deep.equal([100_000, 7]);
  });

  const raw = message(9, [0, 0, 0, 0]);
  const refused: Record<string, [Uint8Array, string]> = {
    'an empty file': [
      new Uint8Array(0),
      'a.pb: it has no dtype: the file is empty, cut short, or not a TensorProto',
    ],
    'a file that is cut short within a field': [
      sample('float32-raw').slice(0, -1),
      'a.pb: this is not a TensorProto, or the file is damaged (24 bytes reach beyond',
    ],
    'a file that is cut short before its data': [
      all(int(1, 2), int(2, 1)),
      'a.pb: shape [2] of float32 takes 8 bytes, but the file holds 0 bytes',
    ],
    'one of too few elements': [
      all(int(1, 3), int(2, 7), message(7, [1, 2])),
      'shape [3] of int64 takes 24 bytes, but the file holds 2 elements',
    ],
    'a huge claim': [
      all(int(1, 2 ** 40), int(2, 1), raw),
      'takes 4398046511104 bytes, but the file holds 4 bytes',
    ],
    'a negative size': [all(int(1, -4), int(2, 1), raw), '[-4] is not a shape'],
    'a number that is cut short': [
      all(int(1, 1), int(2, 7), message(7, [0x80])),
      'in int64_data is cut short',
    ],
    'a number that does not end': [
      all(int(1, 1), int(2, 7), message(7, new Array<number>(10).fill(0x80), [1])),
      'this is not a TensorProto, or the file is damaged (a number takes more than 10 bytes',
    ],
    strings: [sample('strings'), "its dtype is ONNX's STRING; allowed: float32, float64"],
    'a dtype of a newer ONNX': [all(int(2, 23), raw), "its dtype is ONNX's number 23; allowed: float32"],
    'elements in the field of another dtype': [
      all(int(1, 1), int(2, 6), message(7, [1])),
      'its dtype is int32, but its elements are in a TensorProto field that ONNX does not use for int32',
    ],
    'data in another file': [
      all(int(1, 1), int(2, 1), int(14, 1), message(13, text(1, 'location'), text(2, 'w.bin'))),
      "its data is in a separate file, 'w.bin'; it must be in the tensor's own file",
    ],
    'a .npy file': [new TextEncoder().encode('\x93NUMPY'), 'this is not a TensorProto'],
  };
  for (const [what, [bytes, words]] of Object.entries(refused)) {
    it(`decodeTensorFile refuses ${what}`, () => {
      expect(() => decodeTensorFile(bytes, 'a.pb'))
        .to.throw(ModelError, words)
        .with.property('code', 'TENSOR_INVALID');
    });
  }

  it('decodeTensorFile names the format of another file', () => {
    const npy = readFileSync(new URL('../../samples/npy/f4.npy', import.meta.url));
    expect(() => decodeTensorFile(npy, 'a.pb')).to.throw(
      ModelError,
      'this is not a TensorProto, it is a .npy file',
    );
  });
});
