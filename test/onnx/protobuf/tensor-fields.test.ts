import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ModelError } from '../../../lib/errors.js';
import { checkTensor, readTensorData, readTensorHeader } from '../../../lib/onnx/protobuf/tensors.js';
import { WireReader } from '../../../lib/onnx/protobuf/wire.js';
import { all, int, message, text, varint } from '../bytes.js';

type Fields = readonly (readonly number[])[];

function tensor(...fields: Fields): WireReader {
  const reader = WireReader.of(all(message(5, ...fields)));
  reader.next();
  return reader;
}

const dims = (...sizes: number[]) => sizes.map((size) => int(1, size)).flat();
const NAME = text(8, 'w');
const [FLOAT, INT64, STRING] = [int(2, 1), int(2, 7), int(2, 8)];
const six = (field: readonly number[]) => new Array<readonly number[]>(6).fill(field).flat();
const external = int(14, 1);
const entry = (key: string, value: string) => message(13, text(1, key), text(2, value));

describe('readTensorHeader', () => {
  it('readTensorHeader reads fields in any order, with packed and unpacked dims', () => {
    const raw = message(9, [1, 2, 3, 4, 5, 6]);
    const expected = { name: 'w', dims: [2, 3], dataType: 2, location: undefined };
    for (const sizes of [dims(2, 3), message(1, [2, 3]), [...message(1, [2]), ...int(1, 3)]]) {
      const { raw: bytes, message: whole, ...header } = readTensorHeader(tensor(raw, NAME, int(2, 2), sizes));
      expect(whole.rewound().next()).to.equal(true);
      expect(header).to.deep.equal(expected);
      expect([...bytes!]).to.deep.equal([1, 2, 3, 4, 5, 6]);
    }
  });

  it('readTensorHeader returns the file of external data, only if data_location says that it is external', () => {
    const entries = [entry('offset', '0'), entry('location', 'w.data')].flat();
    expect(readTensorHeader(tensor(NAME, entries, external)).location).to.equal('w.data');
    expect(readTensorHeader(tensor(NAME, entries)).location).to.equal(undefined);
    expect(readTensorHeader(tensor(NAME, external)).location).to.equal('');
  });

  it('readTensorHeader and readTensorData return the data from raw or typed fields, and undefined for data elsewhere', () => {
    const half = [0, 0, 0, 0x3f];
    const held = (...fields: Fields) => readTensorData(readTensorHeader(tensor(...fields)));
    for (const data of [message(9, half), message(4, half), [0x25, ...half]])
      expect([...held(FLOAT, dims(1), data)!.data]).to.deep.equal([0.5]);
    expect([...held(INT64, dims(2), int(7, -1), message(7, [3]))!.data]).to.deep.equal([-1n, 3n]);
    for (const type of [10, 16]) {
      const bits = message(5, varint(0x3c00));
      expect([...held(int(2, type), dims(1), bits)!.data]).to.deep.equal([0x3c00]);
    }
    expect(held(FLOAT, dims(0))!.dims).to.deep.equal([0]);
    const none: Fields[] = [
      [FLOAT, dims(0), external],
      [FLOAT, dims(2), message(9, half)],
      [FLOAT, dims(2), message(4, half)],
      [FLOAT, dims(2)],
      [int(2, 11), dims(1), message(4, half)],
      [STRING, dims(0)],
    ];
    for (const fields of none) expect(held(...fields)).to.equal(undefined);
  });
});

describe('checkTensor', () => {
  const fitting: Record<string, Fields> = {
    'raw data': [FLOAT, dims(2, 3), message(9, new Array<number>(24).fill(0))],
    'packed floats': [FLOAT, dims(2, 3), message(4, new Array<number>(24).fill(0))],
    'single floats': [FLOAT, dims(2, 3), six([0x25, 0, 0, 0, 0])],
    'packed varints of several lengths': [
      INT64,
      dims(2, 3),
      message(7, [1, 2], varint(-1), [3, 4], varint(300)),
    ],
    'single varints': [INT64, dims(2, 3), six(int(7, -1))],
    'packed and single ones, mixed': [
      INT64,
      dims(2, 3),
      message(7, [1, 2]),
      int(7, 3),
      message(7, [4, 5, 6]),
    ],
    'float16 as int32': [int(2, 10), dims(2, 3), message(5, [1, 2, 3, 4, 5, 6])],
    'packed doubles': [int(2, 11), dims(2), message(10, new Array<number>(16).fill(0))],
    'single doubles': [int(2, 11), dims(1), [0x51, 0, 0, 0, 0, 0, 0, 0, 0]],
    uint64: [int(2, 13), dims(2), message(11, [1, 2])],
    'a scalar': [FLOAT, message(9, [0, 0, 0, 0])],
    'an empty tensor': [FLOAT, dims(0)],
    'an empty tensor with an empty field': [FLOAT, dims(0), message(9), message(4)],
    'strings, which are left to the runtime': [STRING, dims(5), text(6, 'a')],
    'a dtype of a newer ONNX, left as well': [int(2, 22), dims(3), message(9, [0x21, 0x07])],
    'external data, left as well': [FLOAT, dims(2 ** 20), external, entry('location', 'w.data')],
  };
  for (const [what, fields] of Object.entries(fitting)) {
    it(`checkTensor accepts ${what}`, () => checkTensor(tensor(NAME, ...fields)));
  }

  const refused: Record<string, [Fields, string]> = {
    'too few bytes': [
      [FLOAT, dims(2), message(9, [0, 0, 0, 0])],
      '[2] of float32 takes 8 bytes, but the model holds 4 bytes',
    ],
    'no data': [[FLOAT, dims(2 ** 40)], 'holds 0 bytes'],
    'too few packed elements': [[INT64, dims(3), message(7, varint(300), [1])], 'holds 2 elements'],
    'too many single elements': [[INT64, dims(1), int(7, 1), int(7, 2)], 'holds 2 elements'],
    'a negative dimension': [[FLOAT, dims(-1)], '[-1] is not a shape'],
    'a dimension above 2^53': [
      [FLOAT, int(1, 2n ** 62n)],
      'is not a shape: sizes are whole numbers from 0 on, for less than 2^53 elements. Write the file again',
    ],
    'dimensions whose product is above 2^53': [[FLOAT, dims(2 ** 30, 2 ** 30)], 'is not a shape'],
    'a float that is cut short': [[FLOAT, dims(1), message(4, [0, 0, 0])], 'in float_data is cut short'],
    'a number that is cut short': [[INT64, dims(1), message(7, [0x80])], 'in int64_data is cut short'],
  };
  for (const [what, [fields, words]] of Object.entries(refused)) {
    it(`checkTensor refuses ${what}`, () => {
      expect(() => checkTensor(tensor(NAME, ...fields)))
        .to.throw(ModelError, words)
        .with.property('code', 'TENSOR_INVALID');
      expect(() => checkTensor(tensor(NAME, ...fields))).to.throw(ModelError, "initializer 'w'");
    });
  }

  it('checkTensor refuses more dimensions than any tensor has', () => {
    expect(() => checkTensor(tensor(NAME, FLOAT, message(1, new Array<number>(100_000).fill(1)))))
      .to.throw(ModelError, 'more than 64 dimensions')
      .with.property('code', 'LIMIT_EXCEEDED');
  });
});
