import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ModelError } from '../../lib/errors.js';
import { joinChunks } from '../../lib/onnx/protobuf/chunks.js';
import { readValueInfo, withDtype } from '../../lib/onnx/graph/value-info.js';
import { WireReader } from '../../lib/onnx/protobuf/wire.js';
import { all, int, message, text } from './bytes.js';

type Fields = readonly (readonly number[])[];

function info(...fields: Fields): WireReader {
  const reader = WireReader.of(all(message(11, ...fields)));
  reader.next();
  return reader;
}

const readType = (field: WireReader) => readValueInfo(field).type;
const otherType = (field: WireReader) => readValueInfo(field).otherType;

const FLOAT = int(1, 1);
const tensorOf = (...fields: Fields) => message(2, message(1, ...fields));
const shape = (...dims: Fields) => message(2, ...dims.map((dim) => message(1, dim)));

describe('readValueInfo', () => {
  it('readValueInfo returns sizes and names, and ? for unknown dimensions', () => {
    const dims = shape(int(1, 4), text(2, 'N'), [], int(1, 0), text(2, ''), text(3, 'DATA_BATCH'));
    expect(readType(info(text(1, 'x'), tensorOf(FLOAT, dims)))).to.deep.equal({
      dtype: 'float32',
      shape: [4, 'N', '?', 0, '?', '?'],
    });
  });

  it('readValueInfo returns the type of a scalar for a shape without dimensions', () => {
    expect(readType(info(tensorOf(FLOAT, shape())))).to.deep.equal({ dtype: 'float32', shape: [] });
  });

  it('readValueInfo takes the later of a size and a name, as protobuf does', () => {
    const dims = shape([...int(1, 4), ...text(2, 'N')], [...text(2, 'N'), ...int(1, 4)]);
    expect(readType(info(tensorOf(FLOAT, dims)))!.shape).to.deep.equal(['N', 4]);
  });

  it('readValueInfo returns no type without a shape, without a dtype that this library holds, or for a value that is not a tensor', () => {
    const sequence = message(4, message(1, message(1, FLOAT)));
    const cases: Fields[] = [
      [],
      [message(2)],
      [tensorOf(FLOAT)],
      [tensorOf(shape())],
      [tensorOf(int(1, 8), shape())],
      [message(2, sequence)],
      [message(2, message(1, FLOAT, shape()), sequence)],
    ];
    for (const fields of cases) expect(readType(info(...fields))).to.equal(undefined);
  });

  it('readValueInfo names the type of a value that is not a tensor', () => {
    const typeOf = (field: number) => otherType(info(text(1, 'x'), message(2, message(field))));
    expect([4, 5, 7, 8, 9].map(typeOf)).to.deep.equal([
      'a sequence',
      'a map',
      'an opaque value',
      'a sparse tensor',
      'an optional value',
    ]);
    expect(otherType(info(text(1, 'x'), tensorOf(FLOAT, shape())))).to.equal(undefined);
    expect(otherType(info(text(1, 'x')))).to.equal(undefined);
  });

  it('readValueInfo refuses a part that occurs twice, which protobuf would merge', () => {
    const twice: [Fields, string][] = [
      [[tensorOf(FLOAT), tensorOf(shape())], "'type'"],
      [[message(2, message(1, FLOAT), message(1, shape()))], "'tensor_type'"],
      [[tensorOf(FLOAT, shape(int(1, 1)), shape(int(1, 2)))], "'shape'"],
    ];
    for (const [fields, words] of twice) {
      expect(() => readType(info(...fields)))
        .to.throw(ModelError, words)
        .with.property('code', 'MODEL_INVALID');
    }
  });

  it('readValueInfo refuses more dimensions than any tensor has', () => {
    expect(() => readType(info(tensorOf(FLOAT, message(2, new Array<number[]>(65).fill([0x0a, 0]).flat())))))
      .to.throw(ModelError, 'more than 64 dimensions')
      .with.property('code', 'LIMIT_EXCEEDED');
  });

  it('withDtype changes the dtype in a ValueInfoProto and keeps the rest', () => {
    const field = (dtype: number) => [
      text(1, 'x'),
      message(2, message(1, int(1, dtype), shape(text(2, 'N'))), text(6, 'TENSOR')),
      text(3, 'documentation'),
      message(4, text(1, 'key'), text(2, 'metadata')),
    ];
    const changed = joinChunks(withDtype(info(...field(16)), 'float32')!);
    expect([...changed]).to.deep.equal([...all(message(11, ...field(1)))]);
  });
});
