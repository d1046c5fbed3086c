import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { encodeSafetensors } from '../../lib/weights/safetensors.js';
import { FileError, TensorError } from '../../lib/errors.js';
import { decodeNpy, encodeNpy } from '../../lib/files/npy.js';
import { allocate, DTYPES, elementCount, tensor, type TensorData } from '../../lib/tensor.js';

/** A file that NumPy wrote: scripts/samples/make_file_samples.py. */
const sample = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../samples/npy/${name}.npy`, import.meta.url)));

const FLOATS = [0, -0, 1.5, -2.25, Infinity, NaN];
const float32 = tensor('float32', [2, 3], Float32Array.from(FLOATS));
const COUNTED = tensor(
  'int16',
  [2, 3, 4],
  Int16Array.from({ length: 24 }, (_, i) => i),
);

/** What NumPy writes exactly as encodeNpy does. */
const SAMPLES: Readonly<Record<string, TensorData>> = {
  f2: tensor('float16', [2, 3], Uint16Array.of(0, 0x8000, 0x3e00, 0xc080, 0x7c00, 0x7e00)),
  f4: float32,
  f8: tensor('float64', [2, 3], Float64Array.from(FLOATS)),
  i1: tensor('int8', [3], Int8Array.of(-128, 1, 127)),
  i2: tensor('int16', [3], Int16Array.of(-32768, 1, 32767)),
  i4: tensor('int32', [3], Int32Array.of(-2147483648, 1, 2147483647)),
  i8: tensor('int64', [3], BigInt64Array.of(-(2n ** 63n), 1n, 2n ** 63n - 1n)),
  u1: tensor('uint8', [3], Uint8Array.of(0, 1, 255)),
  u2: tensor('uint16', [3], Uint16Array.of(0, 1, 65535)),
  u4: tensor('uint32', [3], Uint32Array.of(0, 1, 4294967295)),
  u8: tensor('uint64', [3], BigUint64Array.of(0n, 1n, 2n ** 64n - 1n)),
  b1: tensor('bool', [3], Uint8Array.of(1, 0, 1)),
  scalar: tensor('float64', [], Float64Array.of(2.5)),
  axes: tensor('int8', [1, 0, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 100000], new Int8Array(0)),
  empty: tensor('float32', [0, 3], new Float32Array(0)),
};

/** A file with any header. */
function file(header: string, data: readonly number[] = [], version = [1, 0]): Uint8Array {
  const length = version[0] === 1 ? [header.length, 0] : [header.length, 0, 0, 0];
  return Uint8Array.from([
    0x93,
    ...Buffer.from('NUMPY'),
    ...version,
    ...length,
    ...Buffer.from(header, 'latin1'),
    ...data,
  ]);
}

/** A file of int8 elements, with its header's parts as they are written. */
const int8File = (shape: string, data: readonly number[], descr = "'|i1'", order = 'False'): Uint8Array =>
  file(`{'descr': ${descr}, 'fortran_order': ${order}, 'shape': ${shape}, }`, data);

function expectRefused(bytes: Uint8Array, reason: string): void {
  expect(() => decodeNpy(bytes, 'x.npy'), reason)
    .to.throw(FileError, `x.npy is not a valid .npy file: `)
    .and.include({ code: 'NPY_INVALID' })
    .and.property('message')
    .that.includes(reason);
}

describe('decodeNpy', () => {
  for (const [name, expected] of Object.entries(SAMPLES)) {
    it(`decodeNpy reads what NumPy wrote to ${name}.npy`, () => {
      expect(decodeNpy(sample(name))).to.deep.equal(expected);
    });
  }

  for (const name of ['fortran', 'big_endian', 'big_endian_fortran']) {
    it(`decodeNpy reads ${name}.npy as C order and little-endian`, () => {
      expect(decodeNpy(sample(name))).to.deep.equal(COUNTED);
    });
  }

  it('decodeNpy reads versions 2.0 and 3.0', () => {
    expect(decodeNpy(sample('version_2'))).to.deep.equal(float32);
    expect(decodeNpy(sample('version_3'))).to.deep.equal(float32);
  });

  it('decodeNpy returns a view of aligned bytes and a copy of others', () => {
    const bytes = sample('f4');
    expect(decodeNpy(bytes).data.buffer).to.equal(bytes.buffer);
    const shifted = Buffer.concat([Buffer.alloc(1), bytes]).subarray(1);
    expect(decodeNpy(shifted)).to.deep.equal(float32);
  });

  it('decodeNpy keeps the bits of a NaN when it swaps bytes', () => {
    const { data } = decodeNpy(
      file("{'descr': '>f4', 'fortran_order': False, 'shape': ()}", [0x7f, 0x81, 0, 2]),
    );
    expect(new Uint8Array(data.buffer)).to.deep.equal(Uint8Array.of(2, 0, 0x81, 0x7f));
  });

  it('decodeNpy reads Fortran order with one axis, with no elements, and of a scalar', () => {
    const read = (shape: string, data: number[]): unknown => [
      ...decodeNpy(int8File(shape, data, "'|i1'", 'True')).data,
    ];
    expect(read('(3,)', [1, 2, 3])).to.deep.equal([1, 2, 3]);
    expect(read('(2, 0, 3)', [])).to.deep.equal([]);
    expect(read('()', [7])).to.deep.equal([7]);
    expect(read('(2, 1, 2)', [1, 2, 3, 4])).to.deep.equal([1, 3, 2, 4]);
  });

  it("decodeNpy understands the other ways to write NumPy's header", () => {
    const headers = [
      `{"shape":(2,),"fortran_order":False,"descr":"|i1"}`,
      `{'descr': '<i1', 'fortran_order': False, 'shape': (2L,), }   \n`,
      ` { 'descr' : '>i1' , 'fortran_order' : True , 'shape' : ( 2 , ) , } `,
    ];
    for (const header of headers) {
      expect(decodeNpy(file(header, [1, 2])), header).to.deep.equal(tensor('int8', [2], Int8Array.of(1, 2)));
    }
  });

  it('decodeNpy reads every spelling of a dtype that NumPy reads', () => {
    const spellings = JSON.parse(
      readFileSync(new URL('../samples/npy-spellings.json', import.meta.url), 'utf8'),
    ) as Record<string, string>;
    expect(Object.keys(spellings)).to.include.members(['f4', '=f4', '|f4', 'float32', '?', '<l']);
    // Elements of 8 bytes with all bytes different: another width or byte order gives other numbers.
    const data = [1, 2, 3, 4, 5, 6, 7, 8];
    for (const [spelling, written] of Object.entries(spellings)) {
      const read = (descr: string) => {
        const count = data.length / Number(written.slice(-1));
        return decodeNpy(
          int8File(`(${count},)`, written === '|b1' ? data.map((i) => i % 2) : data, `'${descr}'`),
        );
      };
      expect(read(spelling), spelling).to.deep.equal(read(written));
    }
  });

  it('decodeNpy says how NumPy converts bfloat16 and 8-bit floats, which are saved as void', () => {
    expectRefused(sample('bfloat16'), "(x.view('<u2').astype('<u4') << 16).view('<f4') converts in NumPy");
    expectRefused(
      sample('float8_e4m3fn'),
      "x.view(ml_dtypes.float8_e4m3fn).astype('<f4') converts in NumPy with ml_dtypes",
    );
  });

  it('decodeNpy refuses arrays of strings, records and objects, and says what is allowed', () => {
    expectRefused(sample('strings'), "dtype '<U2' is not supported; allowed: < or > and one of f4, f8,");
    expectRefused(
      sample('records'),
      "arrays of records (structured dtypes) are not supported; save one field: numpy.save('x.npy', x['FIELD'])",
    );
    expectRefused(sample('objects'), "dtype '|O' is not supported");
  });

  it('decodeNpy refuses an unknown dtype', () => {
    const dtypes = ['<f16', '<c8', '<V2', '|S1', '!i1', '<float32', '<M8[ns]', '', '<', 'constructor'];
    for (const dtype of dtypes) {
      expectRefused(int8File('(1,)', [1], `'${dtype}'`), `dtype '${dtype}' is not supported`);
    }
  });

  it('decodeNpy refuses a file without the magic bytes', () => {
    expectRefused(new Uint8Array(0), 'it does not begin with \\x93NUMPY');
    expectRefused(sample('f4').slice(0, 8), 'it does not begin with \\x93NUMPY and a version');
    expectRefused(file('{}', [], [4, 0]), 'its version is 4.0; allowed: 1.0, 2.0, 3.0');
    expectRefused(file('{}', [], [1, 1]), 'its version is 1.1');
    expectRefused(sample('version_2').slice(0, 11), 'it ends within the length of its header');
  });

  it('decodeNpy names the format of another file, and says how to save it as .npy', () => {
    const torch = "it is a torch.save file; in Python: numpy.save('x.npy', torch.load('x.pt').numpy())";
    expectRefused(Uint8Array.of(0x80, 2, 0x8a, 10, 0x6c, 0xfc), torch);
    const npz = Buffer.concat([Buffer.from('PK\x03\x04'), Buffer.alloc(26), Buffer.from('a.npy\0')]);
    expectRefused(npz, "it is a .npz archive, of several arrays; in Python: numpy.save('x.npy', numpy.load");
    const safetensors = Buffer.concat(encodeSafetensors({ tensors: [] }));
    expectRefused(safetensors, 'it is a safetensors file; in Python: numpy.save');
  });

  it('decodeNpy refuses a header that is longer than the file, or longer than NumPy allows', () => {
    expectRefused(
      sample('f4').slice(0, 127),
      'its header claims 118 bytes, but only 117 follow: it is truncated',
    );
    const long = file(' ', new Array(20_000).fill(0x20), [2, 0]);
    long.set([0x11, 0x27], 8);
    expectRefused(long, 'its header claims 10001 bytes; allowed: at most 10000');
  });

  it('decodeNpy refuses data that does not match the shape', () => {
    expectRefused(
      sample('f4').slice(0, -1),
      "its header claims [2, 3] of '<f4', 24 bytes, but 23 follow: it is truncated",
    );
    expectRefused(Uint8Array.from([...sample('f4'), 0]), '24 bytes, but 25 follow: bytes follow its end');
    expectRefused(sample('f4').slice(0, 128), '24 bytes, but 0 follow: it is truncated');
    expectRefused(int8File('(4294967296, 4294967296)', [1]), 'Infinity bytes, but 1 follow');
  });

  it('decodeNpy refuses a shape that is not a tuple of sizes', () => {
    expectRefused(
      int8File('(-1,)', [1]),
      'shape must be a tuple of integers from 0 to 2^53 - 1, such as (3,); it is (-1,)',
    );
    expectRefused(
      int8File('(9007199254740992,)', [1]),
      'shape must be a tuple of integers from 0 to 2^53 - 1, such as (3,); it is (9007199254740992,)',
    );
    expectRefused(
      int8File('(True,)', [1]),
      'shape must be a tuple of integers from 0 to 2^53 - 1, such as (3,); it is (True,)',
    );
    expectRefused(
      int8File('(1)', [1]),
      'shape must be a tuple of integers from 0 to 2^53 - 1, such as (3,); it is (1)',
    );
    expectRefused(
      int8File("'1'", [1]),
      "shape must be a tuple of integers from 0 to 2^53 - 1, such as (3,); it is '1'",
    );
    expectRefused(
      int8File('(,)', [1]),
      'shape must be a tuple of integers from 0 to 2^53 - 1, such as (3,); it is (,)',
    );
    expectRefused(
      int8File('(1,,)', [1]),
      'shape must be a tuple of integers from 0 to 2^53 - 1, such as (3,); it is (1,,)',
    );
    expectRefused(
      int8File('(1 1)', [1]),
      'shape must be a tuple of integers from 0 to 2^53 - 1, such as (3,); it is (1 1)',
    );
    expectRefused(int8File(`(${'1,'.repeat(65)})`, [1]), 'it has 65 dimensions; NumPy allows 64');
  });

  it('decodeNpy refuses a header that is not a dict of the three keys, and never evaluates it', () => {
    expectRefused(file(''), "its header must be one dict, but begins with '' and ends with ''");
    expectRefused(file('{'), "its header must be one dict, but begins with '{' and ends with '{'");
    expectRefused(file('{}'), 'its header has the keys (), not (descr, fortran_order, shape)');
    expectRefused(file("{'descr': '|i1', 'shape': ()}"), 'its header has the keys (descr, shape)');
    expectRefused(file("{'descr': '|i1', 'descr': '|i1'}"), "its header has 'descr' twice");
    expectRefused(file('{True: True}'), "its header has an unexpected 'True: True'");
    expectRefused(file("{'descr' '|i1'}"), "its header has an unexpected ''descr' '|i1''");
    expectRefused(file("{'descr': '|i1'} {}"), "its header has an unexpected ''descr': '|i1'} {'");
    expectRefused(file("{'descr': process.exit()}"), "its header has an unexpected ''descr': process.exi'");
    expectRefused(file("{'descr': 'i\\x31'}"), "its header has an unexpected ''descr': 'i\\x31''");
    expectRefused(file("{'descr':\xa0'|i1'}"), "its header has an unexpected ''descr':\xa0'|i1''");
    expectRefused(int8File('()', [1], '1'), 'descr must be a string, not 1');
    expectRefused(int8File('()', [1], 'True'), 'descr must be a string, not True');
    expectRefused(
      int8File('()', [1], "'|i1'", "'False'"),
      "fortran_order must be True or False, not 'False'",
    );
  });
});

describe('encodeNpy', () => {
  for (const [name, source] of Object.entries(SAMPLES)) {
    it(`encodeNpy writes what NumPy wrote to ${name}.npy, byte for byte`, () => {
      expect(encodeNpy(source)).to.deep.equal(sample(name));
    });
  }

  it('encodeNpy writes bfloat16 as float32, because NumPy has no bfloat16', () => {
    const source = tensor('bfloat16', [2, 3], Uint16Array.of(0, 0x8000, 0x3fc0, 0xc010, 0x7f80, 0x7fc0));
    expect(encodeNpy(source)).to.deep.equal(sample('f4'));
  });

  it('encodeNpy aligns the data to 64 bytes for any shape', () => {
    for (let rank = 0; rank <= 64; rank++) {
      const bytes = encodeNpy(tensor('int8', new Array<number>(rank).fill(1), Int8Array.of(5)));
      expect(bytes.byteLength % 64, `rank ${rank}`).to.equal(1);
      expect(bytes[bytes.byteLength - 2], `rank ${rank}`).to.equal(0x0a);
    }
  });

  it('encodeNpy writes what decodeNpy reads again', () => {
    fc.assert(
      fc.property(fc.constantFrom(...DTYPES), fc.array(fc.nat(3), { maxLength: 5 }), (dtype, dims) => {
        const data = allocate(dtype, elementCount(dims));
        new Uint8Array(data.buffer).forEach((_, i, bytes) => (bytes[i] = i % 2));
        const { data: read, ...rest } = decodeNpy(encodeNpy(tensor(dtype, dims, data)));
        expect(rest).to.deep.equal({ dtype: dtype === 'bfloat16' ? 'float32' : dtype, dims });
        if (dtype !== 'bfloat16') expect(read).to.deep.equal(data);
      }),
    );
  });

  it('encodeNpy refuses more dimensions than NumPy reads, and a tensor that contradicts itself', () => {
    const deep = tensor('int8', new Array<number>(65).fill(1), Int8Array.of(1));
    expect(() => encodeNpy(deep)).to.throw(FileError, 'a tensor of 65 dimensions cannot be a .npy file');
    expect(() => encodeNpy({ dtype: 'int8', dims: [2], data: Int8Array.of(1) })).to.throw(TensorError);
  });
});
