import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ModelError } from '../../../lib/errors.js';
import { bytesTag, fixed32Tag, fixed64Tag, varintTag, WireReader } from '../../../lib/onnx/protobuf/wire.js';
import { all, int, message, text, varint } from '../bytes.js';

/** A reader on the first field. */
function first(...bytes: number[]): WireReader {
  const reader = WireReader.of(Uint8Array.from(bytes));
  expect(reader.next()).to.equal(true);
  return reader;
}

describe('WireReader', () => {
  it('WireReader steps over fields of every wire type', () => {
    const bytes = [0x08, 0x96, 0x01, 0x11, 1, 2, 3, 4, 5, 6, 7, 8, 0x1a, 2, 9, 9, 0x25, 0, 0, 0x80, 0x3f];
    const reader = WireReader.of(Uint8Array.from(bytes));
    const seen: number[][] = [];
    while (reader.next()) seen.push([reader.tag, reader.fieldStart, reader.position]);
    expect(seen).to.deep.equal([
      [varintTag(1), 0, 3],
      [fixed64Tag(2), 3, 12],
      [bytesTag(3), 12, 16],
      [fixed32Tag(4), 16, 21],
    ]);
    expect(reader.float()).to.equal(1);
  });

  it('WireReader reads 64-bit numbers exactly within 2^53, and negative ones', () => {
    // 150 is the example of protobuf's documentation; -1 takes ten bytes.
    expect(first(0x08, 0x96, 0x01).int64()).to.equal(150);
    const numbers = [0, 127, 128, 2 ** 31, 2 ** 32, 2 ** 53 - 1, -1, -(2 ** 40), -(2 ** 53) + 1];
    for (const value of numbers) expect(first(...int(1, value)).int64()).to.equal(value);
    expect(first(...int(1, 2n ** 63n - 1n)).int64()).to.equal(2 ** 63);
    expect(first(...int(1, -(2n ** 63n))).int64()).to.equal(-(2 ** 63));
  });

  it('WireReader reads int32 as the lower half, as protobuf does', () => {
    expect(first(...int(1, -1)).int32()).to.equal(-1);
    expect(first(...int(1, 2 ** 32 + 7)).int32()).to.equal(7);
  });

  it('WireReader accepts numbers that are written with more bytes than they need', () => {
    expect(first(0x08, 0x81, 0x80, 0x00).int64()).to.equal(1);
    expect(first(0x8a, 0x00, 0x81, 0x00, 0x61).text()).to.equal('a');
  });

  it('WireReader reads packed numbers and single ones', () => {
    expect([...first(0x0a, 3, 0x01, 0x80, 0x01).int64s()]).to.deep.equal([1, 128]);
    expect([...first(0x08, 0x05).int64s()]).to.deep.equal([5]);
    expect([...first(0x0a, 0).int64s()]).to.deep.equal([]);
  });

  it('WireReader reads 64 bits exactly, packed and single', () => {
    const numbers = [0n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n];
    const packed = first(...message(1, ...numbers.map((value) => varint(value))));
    expect([...packed.uint64s()]).to.deep.equal(numbers);
    expect([...first(...int(1, -1)).uint64s()]).to.deep.equal([2n ** 64n - 1n]);
  });

  it('WireReader reads floats and doubles, packed and single', () => {
    const bytesOf = (array: Float32Array | Float64Array) => [...new Uint8Array(array.buffer)];
    const [floats, doubles] = [Float32Array.of(0.5, -2), Float64Array.of(0.1, -Infinity)];
    expect([...first(...message(1, bytesOf(floats))).floats()]).to.deep.equal([0.5, -2]);
    expect([...first(0x0d, ...bytesOf(floats.slice(1))).floats()]).to.deep.equal([-2]);
    expect([...first(...message(1, bytesOf(doubles))).doubles()]).to.deep.equal([0.1, -Infinity]);
    expect([...first(0x09, ...bytesOf(doubles.slice(0, 1))).doubles()]).to.deep.equal([0.1]);
  });

  it('WireReader keeps a byte order mark in text, and reads bytes that are not UTF-8 as replacement characters', () => {
    expect(first(...text(1, 'é\ufeff名')).text()).to.equal('é\ufeff名');
    expect(first(...text(1, '\ufeffa')).text()).to.equal('\ufeffa');
    expect(first(0x0a, 2, 0x61, 0xff).text()).to.equal('a\ufffd');
  });

  it('WireReader reads a message within a message, and reads it again after rewound', () => {
    const inner = first(...message(1, int(2, 3), int(2, 4))).enter();
    while (inner.next());
    const again = inner.rewound();
    expect([again.next(), again.tag, again.int64()]).to.deep.equal([true, varintTag(2), 3]);
  });

  it('WireReader returns views and not copies', () => {
    const source = all(message(1, [1, 2, 3]));
    const reader = WireReader.of(source);
    reader.next();
    source[3] = 9;
    expect([...reader.bytes]).to.deep.equal([1, 9, 3]);
  });
});

describe('WireReader, given damage,', () => {
  const cases: Record<string, [number[], string]> = {
    'a tag that is cut short': [[0x88], 'a number is cut short, byte 1'],
    'a number that is cut short': [[0x08, 0x80], 'cut short'],
    'a number of 11 bytes': [[0x08, ...new Array<number>(10).fill(0x80), 0x01], 'more than 10 bytes'],
    'a length beyond the end': [[0x0a, 2, 0x61], '2 bytes reach beyond'],
    'a length of 2^63': [[0x0a, ...new Array<number>(9).fill(0x80), 0x01], 'reach beyond'],
    'four bytes of which three are there': [[0x0d, 0, 0, 0], '4 bytes reach beyond'],
    'eight bytes of which none is there': [[0x09], '8 bytes reach beyond'],
    'a group': [[0x0b, 0x0c], 'wire type 3'],
    'the end of a group': [[0x0c], 'wire type 4'],
    'wire type 6': [[0x0e], 'wire type 6'],
    'field 0': [[0x02, 0x00], 'a field has number 0'],
    'a field above 2^29': [[0x80, 0x80, 0x80, 0x80, 0x10, 0], 'a number of 2^29 or more'],
  };
  for (const [what, [bytes, words]] of Object.entries(cases)) {
    it(`WireReader refuses ${what}`, () => {
      const reader = WireReader.of(Uint8Array.from(bytes));
      expect(() => reader.next())
        .to.throw(ModelError, words)
        .with.property('code', 'MODEL_INVALID');
    });
  }

  it('WireReader refuses a length beyond the end of the enclosing message, although the file goes on', () => {
    const inner = first(0x0a, 2, 0x0a, 5, 1, 2, 3, 4, 5).enter();
    expect(() => inner.next()).to.throw(ModelError, '5 bytes reach beyond');
  });

  it('WireReader refuses a packed number that is cut short', () => {
    expect(() => [...first(0x0a, 1, 0x80, 0x01).int64s()]).to.throw(ModelError, 'cut short');
  });

  it('WireReader reads messages 100 deep, as protobuf does, and refuses deeper ones', () => {
    let bytes: readonly number[] = [];
    for (let depth = 0; depth < 101; depth++) bytes = message(1, bytes);
    let reader = WireReader.of(all(bytes));
    for (let depth = 0; depth < 100; depth++) {
      reader.next();
      reader = reader.enter();
    }
    reader.next();
    expect(() => reader.enter())
      .to.throw(ModelError, '100 deep')
      .with.property('code', 'MODEL_INVALID');
  });

  it('WireReader refuses a text of more than 2^16 bytes', () => {
    const reader = WireReader.of(all([0x0a, 0x81, 0x80, 0x04], new Array<number>(2 ** 16 + 1).fill(0x61)));
    reader.next();
    expect(() => reader.text())
      .to.throw(ModelError, '65537 bytes')
      .with.property('code', 'LIMIT_EXCEEDED');
  });

  it('isText compares a field with a text', () => {
    const reader = WireReader.of(all([0x0a, 4], [...Buffer.from('perm')]));
    reader.next();
    expect(['perm', 'per', 'perms', 'pern', ''].map((text) => reader.isText(text))).to.deep.equal([
      true,
      false,
      false,
      false,
      false,
    ]);
  });
});
