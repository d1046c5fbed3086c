import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { TensorError, WeightsError } from '../../lib/errors.js';
import { encodeNpy } from '../../lib/files/npy.js';
import { allocate, DTYPES, elementCount, tensor, type TensorData } from '../../lib/tensor.js';
import { safetensorsHeaderSize } from '../../lib/weights/safetensors-header.js';
import {
  decodeSafetensors,
  encodeSafetensors,
  type SafetensorsContent,
} from '../../lib/weights/safetensors.js';

/** A file that safetensors wrote: scripts/samples/make_file_samples.py. */
const sample = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../samples/${name}.safetensors`, import.meta.url)));

const FLOATS = [0, -0, 1.5, -2.25, Infinity, NaN];

/** In the order in which the library sorts them: by width, then by name. */
const DTYPES_SAMPLE: readonly (readonly [string, TensorData])[] = [
  ['uint64', tensor('uint64', [3], BigUint64Array.of(0n, 1n, 2n ** 64n - 1n))],
  ['int64', tensor('int64', [3], BigInt64Array.of(-(2n ** 63n), 1n, 2n ** 63n - 1n))],
  ['float64', tensor('float64', [2, 3], Float64Array.from(FLOATS))],
  ['empty', tensor('float32', [0, 3], new Float32Array(0))],
  ['float32', tensor('float32', [2, 3], Float32Array.from(FLOATS))],
  ['scalar', tensor('float32', [], Float32Array.of(2.5))],
  ['uint32', tensor('uint32', [3], Uint32Array.of(0, 1, 4294967295))],
  ['int32', tensor('int32', [3], Int32Array.of(-2147483648, 1, 2147483647))],
  ['bfloat16', tensor('bfloat16', [2, 3], Uint16Array.of(0, 0x8000, 0x3fc0, 0xc010, 0x7f80, 0x7fc0))],
  ['float16', tensor('float16', [2, 3], Uint16Array.of(0, 0x8000, 0x3e00, 0xc080, 0x7c00, 0x7e00))],
  ['uint16', tensor('uint16', [3], Uint16Array.of(0, 1, 65535))],
  ['int16', tensor('int16', [3], Int16Array.of(-32768, 1, 32767))],
  ['int8', tensor('int8', [3], Int8Array.of(-128, 1, 127))],
  ['uint8', tensor('uint8', [3], Uint8Array.of(0, 1, 255))],
  ['bool', tensor('bool', [3], Uint8Array.of(1, 0, 1))],
];

const int8 = (...values: number[]): TensorData<'int8'> =>
  tensor('int8', [values.length], Int8Array.from(values));

const encode = (content: SafetensorsContent): Uint8Array =>
  new Uint8Array(Buffer.concat(encodeSafetensors(content)));

/** A file with any header. */
function file(header: string | Uint8Array, data: readonly number[] = []): Uint8Array {
  const text = typeof header === 'string' ? new TextEncoder().encode(header) : header;
  const bytes = Uint8Array.from([...new Uint8Array(8), ...text, ...data]);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  return bytes;
}

/** One member of the header. */
const entry = (
  name: string,
  start: number,
  end: number,
  shape = `[${end - start}]`,
  dtype = '"U8"',
): string => `"${name}":{"dtype":${dtype},"shape":${shape},"data_offsets":[${start},${end}]}`;

function expectRefused(bytes: Uint8Array, reason: string): void {
  expect(() => decodeSafetensors(bytes, 'x.safetensors'), reason)
    .to.throw(WeightsError, 'x.safetensors is not a valid safetensors file: ')
    .and.include({ code: 'SAFETENSORS_INVALID' })
    .and.property('message')
    .that.includes(reason);
}

describe('decodeSafetensors', () => {
  it('decodeSafetensors reads every dtype that the library wrote, in the order of their bytes', () => {
    const { metadata, tensors } = decodeSafetensors(sample('dtypes'));
    expect([...tensors]).to.deep.equal(DTYPES_SAMPLE);
    expect({ ...metadata }).to.deep.equal({ text: 'é "quoted"\n' });
  });

  it('decodeSafetensors reads a file without tensors or metadata', () => {
    const { metadata, tensors } = decodeSafetensors(sample('empty'));
    expect(tensors.size).to.equal(0);
    expect(Object.keys(metadata)).to.deep.equal([]);
  });

  it('decodeSafetensors returns views of aligned bytes and copies of others', () => {
    const header = `{${entry('a', 0, 1)},${entry('b', 1, 5, '[1]', '"F32"')}}`;
    const bytes = file(header.padEnd(Math.ceil(header.length / 8) * 8), [7, 0, 0, 0x80, 0x3f]);
    const { tensors } = decodeSafetensors(bytes);
    expect(tensors.get('a')!.data.buffer).to.equal(bytes.buffer);
    expect(tensors.get('b')!.data).to.deep.equal(Float32Array.of(1));
  });

  it('decodeSafetensors takes tensors in any order, unknown fields, and space after the header', () => {
    const b = '"b":{"extra":[{}],"data_offsets":[1,3],"shape":[2],"dtype":"U8"}';
    const { tensors } = decodeSafetensors(file(`{${b}, ${entry('a', 0, 1)}}\n  `, [1, 2, 3]));
    expect([...tensors].map(([name, { data }]) => [name, ...data])).to.deep.equal([
      ['a', 1],
      ['b', 2, 3],
    ]);
  });

  it('decodeSafetensors takes empty tensors anywhere between others', () => {
    const members = [
      entry('b', 2, 3),
      entry('z', 2, 2),
      entry('a', 0, 2),
      entry('y', 0, 0),
      entry('x', 3, 3),
    ];
    const { tensors } = decodeSafetensors(file(`{${members.join(',')}}`, [1, 2, 3]));
    expect([...tensors.keys()]).to.deep.equal(['y', 'a', 'z', 'b', 'x']);
  });

  it('decodeSafetensors keeps names that mean something to JavaScript', () => {
    const names = ['__proto__', 'constructor', '1', '0', ''];
    const members = names.map((name, i) => entry(name, i, i + 1));
    const bytes = file(`{${members.join(',')},"__metadata__":{"__proto__":"x"}}`, [0, 1, 2, 3, 4]);
    const { metadata, tensors } = decodeSafetensors(bytes);
    expect([...tensors.keys()]).to.deep.equal(names);
    expect(Object.entries(metadata)).to.deep.equal([['__proto__', 'x']]);
    expect(metadata['constructor']).to.equal(undefined);
  });

  it("decodeSafetensors reads every byte of each 8-bit float as PyTorch's float32", () => {
    const { tensors } = decodeSafetensors(sample('float8'));
    for (const form of ['e4m3fn', 'e5m2', 'e4m3fnuz', 'e5m2fnuz', 'e8m0fnu']) {
      const read = tensors.get(form)!;
      expect(read.data.some(Number.isNaN), form).to.be.true;
      expect(read, form).to.deep.equal(tensors.get(`${form}.float32`));
    }
  });

  it('decodeSafetensors refuses a tensor of complex numbers, and says how to read the others', () => {
    expect(() => decodeSafetensors(sample('checkpoint'), 'x.safetensors'))
      .to.throw(
        WeightsError,
        /^x\.safetensors: tensor 'complex' has the unsupported dtype C64; allowed: F64, F32, .*, F8_E8M0\. The other tensors can be read by their names, or by the prefix of a part of the network$/,
      )
      .and.include({ code: 'UNSUPPORTED_DTYPE' });
  });

  it('decodeSafetensors refuses offsets of an unknown dtype that run backwards or leave bytes unused', () => {
    expectRefused(file(`{${entry('a', 2, 0, '[2]', '"F4"')}}`, [1, 2]), 'data_offsets [2, 0] hold -2');
    expectRefused(file(`{${entry('a', 1, 2, '[2]', '"F4"')}}`, [1, 2]), 'leaves bytes unused before it');
  });

  it('decodeSafetensors refuses a header length that the file, or the format, does not allow', () => {
    expectRefused(
      new Uint8Array(7),
      'it has 7 bytes, too few for the length of a header: download or save it again',
    );
    expectRefused(sample('dtypes').slice(0, 8), 'its header claims 968 bytes, but only 0 follow');
    expectRefused(
      sample('dtypes').slice(0, 500),
      'its header claims 968 bytes, but only 492 follow: it is truncated, or another kind of file; download or save it again',
    );
    const huge = file('{}');
    new DataView(huge.buffer).setBigUint64(0, 2n ** 63n, true);
    expectRefused(huge, 'its header claims 9223372036854775808 bytes');
    new DataView(huge.buffer).setBigUint64(0, 100_000_001n, true);
    expect(() => safetensorsHeaderSize(huge, 2 ** 40)).to.throw(WeightsError, 'at most 100000000');
  });

  it('decodeSafetensors names the format of another file, and says how to make a safetensors file of it', () => {
    const zip = (name: string) =>
      Buffer.concat([Buffer.from('PK\x03\x04'), Buffer.alloc(26), Buffer.from(`${name}\0`)]);
    const pickle = Uint8Array.of(0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20);
    const save =
      'it is a torch.save file; to make one, in Python: safetensors.torch.save_file(model.state_dict(),';
    for (const bytes of [zip('archive/data.pkl'), pickle]) expectRefused(bytes, save);
    expectRefused(
      zip('w.npy'),
      'it is a .npz archive; in Python: safetensors.numpy.save_file(dict(numpy.load(',
    );
    expectRefused(
      encodeNpy(tensor('float32', [1], Float32Array.of(1))),
      'it is a .npy file, which has no names',
    );
    expectRefused(
      Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
      'it is a PNG image; weights come from a state_dict',
    );
    expectRefused(Buffer.from('{"metadata": {}, "weight_map": {}}'), 'it is JSON text; if it is an index,');
    expectRefused(
      Buffer.from('version https://git-lfs.github.com/spec/v1\n'),
      "'git lfs pull' fetches the file",
    );
    expectRefused(
      Uint8Array.of(8, 10, 0x12, 4, 1, 2, 3, 4, 5),
      'it is an ONNX model; weights come from a state_dict',
    );
  });

  it('decodeSafetensors reads a header of 128 bytes, whose length begins like a pickle', () => {
    expect(decodeSafetensors(file('{}'.padEnd(128))).tensors.size).to.equal(0);
  });

  it('decodeSafetensors refuses a header that is not a JSON object in UTF-8', () => {
    const rest = '"b":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}';
    for (const header of ['{', '{}x', '{}\0', `{${rest},}`, `{${rest}`, "{'a':1}", `{${rest}}{}`]) {
      expectRefused(file(header), 'its header cannot be read as JSON in UTF-8: ');
    }
    expectRefused(
      file(Uint8Array.from([...Buffer.from('{"\xff":1}', 'latin1')])),
      'its header cannot be read as JSON in UTF-8: ',
    );
    for (const header of ['', '\ufeff{}', '[]', '1', 'null', ' {}'])
      expectRefused(file(header), "its header does not begin with '{'");
  });

  it('decodeSafetensors refuses a repeated key, in any spelling', () => {
    const twice = [
      `{${entry('a', 0, 1)},${entry('a', 0, 1)}}`,
      `{${entry('a', 0, 1)},${entry('\\u0061', 0, 1)}}`,
    ];
    for (const header of twice) expectRefused(file(header, [1]), "its header has the key 'a' twice");
    expectRefused(file('{"__metadata__":{"k":"1","k":"2"}}'), "its header has the key 'k' twice");
    for (const field of ['"dtype":"U8"', '"shape":[1]', '"data_offsets":[0,1]']) {
      const key = /\w+/.exec(field)![0];
      expectRefused(file(`{"a":{${field},${field}}}`), `its header has the key '${key}' twice`);
    }
    expectRefused(
      file('{"__metadata__":{},"__metadata__":{}}'),
      "its header has the key '__metadata__' twice",
    );
  });

  it('decodeSafetensors refuses bytes that belong to two tensors, and bytes that belong to no tensor', () => {
    const a = entry('a', 0, 2);
    expectRefused(file(`{${a},${entry('b', 1, 3)}}`, [1, 2, 3]), "tensor 'b' overlaps the tensor before it");
    expectRefused(file(`{${a},${entry('b', 0, 2)}}`, [1, 2]), "tensor 'b' overlaps the tensor before it");
    expectRefused(file(`{${a},${entry('b', 1, 1)}}`, [1, 2]), "tensor 'b' overlaps the tensor before it");
    expectRefused(file(`{${a},${entry('b', 3, 4)}}`, [1, 2, 3, 4]), 'it starts at byte 3 of the data, not 2');
    expectRefused(file(`{${entry('a', 1, 2)}}`, [1, 2]), "tensor 'a' leaves bytes unused before it");
    expectRefused(file(`{${a}}`, [1]), 'bytes: it is truncated');
    expectRefused(file(`{${a}}`, [1, 2, 3]), 'bytes: bytes follow its end');
    expectRefused(file('{}', [1]), 'its tensors end at byte 10, but it has 11 bytes');
  });

  it('decodeSafetensors refuses a shape that does not match its bytes', () => {
    expectRefused(
      file(`{${entry('a', 0, 2, '[3]')}}`, [1, 2]),
      'shape [3] of U8 takes 3 bytes, but data_offsets [0, 2]',
    );
    expectRefused(file(`{${entry('a', 0, 2, '[2]', '"F32"')}}`, [1, 2]), 'takes 8 bytes');
    expectRefused(
      file(`{${entry('a', 0, 2, '[1]')}}`, [1, 2]),
      'takes 1 bytes, but data_offsets [0, 2] hold 2',
    );
    expectRefused(file(`{${entry('a', 2, 0, '[2]')}}`, [1, 2]), 'hold -2');
    expectRefused(file(`{${entry('a', 0, 0, '[4294967296,4294967296]')}}`), 'takes Infinity bytes');
  });

  it('decodeSafetensors refuses an invalid entry', () => {
    expectRefused(file('{"a":1}'), "tensor 'a' must be an object of dtype, shape and data_offsets");
    expectRefused(file('{"a":{}}'), "tensor 'a': dtype must be a string");
    const shapes = ['1', '[-1]', '[0.5]', '[1.0]', '[1e0]', '["1"]', '[9007199254740992]', '[null]', '{}'];
    for (const shape of shapes) {
      expectRefused(
        file(`{${entry('a', 0, 1, shape)}}`, [1]),
        "tensor 'a': shape must be a list of integers",
      );
    }
    for (const offsets of ['1', '[0]', '[0,1,1]', '[0,"1"]', '[-1,0]', '[0,1e300]']) {
      const header = `{"a":{"dtype":"U8","shape":[1],"data_offsets":${offsets}}}`;
      expectRefused(file(header, [1]), "tensor 'a': data_offsets must be two integers");
    }
    expectRefused(file(`{${entry('\\ud800', 0, 1)}}`, [1]), 'its name is not Unicode text');
  });

  it('decodeSafetensors refuses metadata that does not map text to text', () => {
    expectRefused(file('{"__metadata__":[]}'), '__metadata__ must be an object');
    expectRefused(file('{"__metadata__":{"a":1}}'), "__metadata__ 'a' must be a string");
    expectRefused(file('{"__metadata__":{"a":"\\udfff"}}'), "__metadata__ 'a' is not Unicode text");
  });
});

describe('encodeSafetensors', () => {
  it('encodeSafetensors writes what the library wrote, byte for byte', () => {
    const metadata = { text: 'é "quoted"\n' };
    expect(encode({ metadata, tensors: DTYPES_SAMPLE })).to.deep.equal(sample('dtypes'));
    expect(encode({ tensors: [] })).to.deep.equal(sample('empty'));
    expect(encode({ metadata: {}, tensors: new Map() })).to.deep.equal(sample('empty'));
  });

  it("encodeSafetensors does not copy the tensors' bytes", () => {
    const a = int8(1, 2);
    const [header, bytes, ...rest] = encodeSafetensors({ tensors: [['a', a]] });
    expect(header!.byteLength % 8).to.equal(0);
    expect(bytes!.buffer).to.equal(a.data.buffer);
    expect(rest).to.deep.equal([]);
  });

  it('encodeSafetensors keeps the order of the tensors, and sorts the metadata', () => {
    const tensors = new Map([
      ['b', int8(1)],
      ['10', int8(2)],
      ['9', int8(3)],
    ]);
    const bytes = encode({ metadata: { z: '1', '10': '2', a: '3' }, tensors });
    expect([...decodeSafetensors(bytes).tensors.keys()]).to.deep.equal(['b', '10', '9']);
    const header = new TextDecoder().decode(bytes.subarray(8));
    expect(header).to.match(/^\{"__metadata__":\{"10":"2","a":"3","z":"1"\},"b":.*,"10":.*,"9":/);
    expect(encode({ metadata: { a: '3', z: '1', '10': '2' }, tensors })).to.deep.equal(bytes);
  });

  it('encodeSafetensors writes what decodeSafetensors reads again', () => {
    const member = fc.tuple(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(...DTYPES),
      fc.array(fc.nat(3), { maxLength: 4 }),
    );
    const members = fc.uniqueArray(member, { selector: ([name]) => name });
    const metadata = fc.dictionary(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }));
    fc.assert(
      fc.property(members, metadata, (list, texts) => {
        const tensors = list.map(([name, dtype, dims]): [string, TensorData] => {
          const data = allocate(dtype, elementCount(dims));
          new Uint8Array(data.buffer).forEach((_, i, bytes) => (bytes[i] = i % 2));
          return [name, tensor(dtype, dims, data)];
        });
        const read = decodeSafetensors(encode({ metadata: texts, tensors }));
        expect(Object.entries(read.metadata).sort()).to.deep.equal(Object.entries(texts).sort());
        expect(read.tensors.size).to.equal(tensors.length);
        for (const [name, expected] of tensors) expect(read.tensors.get(name)).to.deep.equal(expected);
      }),
      { numRuns: 40 },
    );
  });

  it('encodeSafetensors refuses names and metadata that the format cannot hold', () => {
    const refuse = (content: SafetensorsContent, reason: string): void => {
      expect(() => encodeSafetensors(content))
        .to.throw(WeightsError, `cannot make a safetensors file: ${reason}`)
        .and.include({ code: 'SAFETENSORS_INVALID' });
    };
    const twice = [
      ['a', int8(1)],
      ['a', int8(2)],
    ] as const;
    refuse({ tensors: twice }, "tensor 'a' is given twice");
    refuse({ tensors: [['__metadata__', int8(1)]] }, "a tensor cannot be named '__metadata__'; rename it");
    refuse({ tensors: [['\ud800', int8(1)]] }, "the name '\\ud800' is not Unicode text");
    refuse({ metadata: { a: 1 as unknown as string }, tensors: [] }, "metadata 'a' must be a string");
    refuse({ metadata: { '\ud83d': '\ude00' }, tensors: [] }, "metadata '\\ud83d' is not Unicode text");
  });

  it('encodeSafetensors refuses a tensor that contradicts itself', () => {
    const broken: TensorData = { dtype: 'int8', dims: [2], data: Int8Array.of(1) };
    expect(() => encodeSafetensors({ tensors: [['a', broken]] })).to.throw(TensorError, 'holds 2 elements');
  });
});
