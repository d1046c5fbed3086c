/** Files other than models to fuzz: safetensors, npy, npz, PNG and JSON. */
import { readdirSync, readFileSync } from 'node:fs';
import { crc32, deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { chunk, concat, header, makePng, SIGNATURE } from '../images/png-samples.js';
import { type Damage, damaged, damages } from './edits.js';
import { integers, texts } from './values.js';

const sample = (path: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../${path}`, import.meta.url)));
const samplesIn = (folder: string): Uint8Array[] =>
  readdirSync(new URL(`../samples/${folder}/`, import.meta.url))
    .sort()
    .map((name) => sample(`samples/${folder}/${name}`));

/** Files with damage. */
const broken = (sources: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> =>
  fc
    .tuple(fc.constantFrom(...sources), fc.array(damages, { maxLength: 2 }))
    .map(([source, list]) => damaged(source, list));

const maybeDamage: fc.Arbitrary<readonly Damage[]> = fc.oneof(
  { weight: 4, arbitrary: fc.constant([]) },
  fc.array(damages, { minLength: 1, maxLength: 1 }),
);

const sizes = fc.oneof({ weight: 9, arbitrary: fc.nat(4).map(BigInt) }, { weight: 1, arbitrary: integers });

/** A text that nests brackets, or objects, this deep. */
const nested = fc
  .tuple(fc.constantFrom('[', '{"a":'), fc.constantFrom(1, 3, 70, 5000))
  .map(([open, depth]) => open.repeat(depth) + '1' + (open === '[' ? ']' : '}').repeat(depth));

// safetensors: a length, a header in JSON, the data.
const DTYPES = ['U8', 'U8', 'BOOL', 'F16', 'F32', 'F64', 'I64', 'BF16', 'F8_E4M3', 'f32', 'F4'];
const offsets = fc.oneof({ weight: 5, arbitrary: fc.nat(16).map(BigInt) }, integers);
const entry = fc
  .record({
    dtype: fc.constantFrom(...DTYPES).map((dtype) => JSON.stringify(dtype)),
    shape: fc.array(sizes, { maxLength: 3 }).map((dims) => `[${dims.join(',')}]`),
    start: fc.oneof({ weight: 4, arbitrary: fc.constant(0n) }, offsets),
    size: offsets,
    other: fc.option(
      fc.tuple(
        texts.map((name) => JSON.stringify(name)),
        nested,
      ),
      { freq: 8 },
    ),
  })
  .map(
    ({ dtype, shape, start, size, other }) =>
      `{"dtype":${dtype},"shape":${shape},"data_offsets":[${start},${start + size}]${other ? `,${other.join(':')}` : ''}}`,
  );
/** An entry of one byte a element whose offsets fit. */
const rightEntry = fc.nat(8).map((size) => `{"dtype":"U8","shape":[${size}],"data_offsets":[0,${size}]}`);
const metadata = fc.oneof(
  fc.constantFrom('{}', 'null', '{"a":1}', '[]', '{"a":"1","a":"2"}'),
  fc.dictionary(texts, texts).map((value) => JSON.stringify(value)),
);
const member = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.tuple(
      texts.map((name) => JSON.stringify(name)),
      fc.oneof(entry, entry, rightEntry, nested),
    ),
  },
  { weight: 1, arbitrary: fc.tuple(fc.constant('"__metadata__"'), metadata) },
);
const safetensorsHeaders = fc
  .tuple(fc.array(member, { maxLength: 4 }), fc.nat(24), maybeDamage)
  .map(([members, dataSize, list]) => {
    const text = `{${members.map((pair) => pair.join(':')).join(',')}}`;
    return damaged(safetensorsFile(text, dataSize), list);
  });

/** Writes a header, whatever it is, and data of the letter A. */
export function safetensorsFile(text: string, dataSize: number): Uint8Array {
  const header = Buffer.from(text);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(header.length), true);
  return concat([length, header, new Uint8Array(dataSize).fill(0x41)]);
}

export const safetensors = fc.oneof(
  broken(
    ['dtypes', 'empty', 'float8', 'checkpoint']
      .map((name) => sample(`samples/${name}.safetensors`))
      .filter(({ length }) => length < 50_000),
  ),
  safetensorsHeaders,
);

// npy: a magic number, a version, a length, a header in Python, the data.
const DESCRS = [
  "'<f4'",
  "'<f4'",
  "'>f2'",
  "'|b1'",
  "'<i8'",
  "'>i4'",
  "'<f8'",
  "'|O'",
  "'<U3'",
  "'<V2'",
  "'<f3'",
  "''",
  '4',
  "[('x', '<f4')]",
];
const npyHeaders = fc
  .record({
    descr: fc.constantFrom(...DESCRS),
    order: fc.constantFrom('True', 'False', 'True', 'False', 'True', 'False', '0', "'True'"),
    dims: fc.array(
      fc.oneof(
        { weight: 19, arbitrary: sizes.map(String) },
        fc.constantFrom('9'.repeat(30), 'x', '0x3', '1_0'),
      ),
      { maxLength: 4 },
    ),
    brackets: fc.constantFrom('(,)', '(,)', '(,)', '(,)', '()', '[]', '( '),
    more: fc.constantFrom('', '', '', '', '', ', ', ", 'x': 1", ", 'shape': (2,)", `, ${'('.repeat(3000)}`),
    version: fc.constantFrom(1, 1, 1, 1, 2, 3, 9),
    // -1: as many bytes as the shape asks for.
    dataSize: fc.constantFrom(-1, -1, -1, 0, 1, 4, 8, 12, 24, 64),
  })
  .map(({ descr, order, dims, brackets, more, version, dataSize }) => {
    const shape = brackets[0] + dims.join(', ') + brackets.slice(1);
    const asked = dims.reduce((product, dim) => product * Number(dim), Number(/\d/.exec(descr)?.[0]));
    const size = dataSize >= 0 ? dataSize : asked <= 4096 ? asked : 64;
    return npyFile(
      `{'descr': ${descr}, 'fortran_order': ${order}, 'shape': ${shape}${more}}`,
      version,
      Math.max(0, size),
    );
  });

/** Writes a header, whatever it is, and data of the letter A. */
export function npyFile(text: string, version: number, dataSize: number): Uint8Array {
  const lengthSize = version === 1 ? 2 : 4;
  const bytes = Buffer.alloc(8 + lengthSize + text.length + dataSize, 0x41);
  bytes.write('\x93NUMPY', 'latin1');
  bytes.set([version, 0], 6);
  bytes.writeUIntLE(text.length, 8, lengthSize);
  bytes.write(text, 8 + lengthSize, 'latin1');
  return new Uint8Array(bytes);
}

export const npy = fc.oneof(broken(samplesIn('npy')), npyHeaders);

export const NPZ_SAMPLES = samplesIn('npz');
export const npz = broken(NPZ_SAMPLES);

// PNG: chunks with checksums, of which the damage gets right ones in half of the files.
const counted = (count: number, limit: number): number[] =>
  Array.from({ length: count }, (_, i) => (7 * i) % limit);
const size = { width: 11, height: 6 };
export const PNG_SAMPLES: readonly Uint8Array[] = [
  makePng({ ...size, depth: 8, colourType: 0, samples: counted(66, 256) }),
  makePng({ ...size, depth: 16, colourType: 2, samples: counted(198, 65536) }),
  makePng({ ...size, depth: 2, colourType: 3, samples: counted(66, 4), palette: counted(12, 256) }),
  makePng({ ...size, depth: 8, colourType: 6, samples: counted(264, 256), interlaced: true }),
  makePng({ ...size, depth: 1, colourType: 0, samples: counted(66, 2), interlaced: true }),
];

/** The same file with the checksum that each chunk, where chunks can be made out, should have. */
function withChecksums(bytes: Uint8Array): Uint8Array {
  const repaired = bytes.slice();
  const view = new DataView(repaired.buffer);
  for (let at = 8; at + 12 <= repaired.length;) {
    const end = at + 8 + view.getUint32(at);
    if (end + 4 > repaired.length) break;
    view.setUint32(end, crc32(repaired.subarray(at + 4, end)));
    at = end + 4;
  }
  return repaired;
}

const pngSizes = fc.constantFrom(0, 1, 1, 2, 8, 300, 8192, 2 ** 16, 2 ** 26, 2 ** 31 - 1, 2 ** 32 - 1);
const pngHeaders = fc
  .tuple(
    pngSizes,
    pngSizes,
    fc.constantFrom(1, 2, 4, 8, 16, 3),
    fc.constantFrom(0, 2, 3, 4, 6, 1),
    fc.nat(2),
    fc.constantFrom(0, 9, 300, 70_000),
  )
  .map(([width, height, depth, colourType, interlace, dataSize]) =>
    concat([
      SIGNATURE,
      header(width, height, depth, colourType, interlace),
      chunk('PLTE', new Uint8Array(6)),
      chunk('IDAT', deflateSync(new Uint8Array(dataSize))),
      chunk('IEND', new Uint8Array(0)),
    ]),
  );

/** Pictures, and whether they have the checksums that show damage. */
export const pictures = fc.oneof(
  { weight: 2, arbitrary: fc.record({ bytes: broken(PNG_SAMPLES), isChecked: fc.constant(true) }) },
  { weight: 3, arbitrary: fc.record({ bytes: broken(PNG_SAMPLES).map(withChecksums) }) },
  { weight: 2, arbitrary: fc.record({ bytes: pngHeaders }) },
);

// JSON: lists of numbers, as deep and as wrong as they may be.
const jsonTexts = fc.oneof(
  fc
    .array(
      fc.array(fc.oneof(integers.map(String), fc.constantFrom('1.5', 'NaN', '"a"', 'null', '[]', '1e999')), {
        maxLength: 3,
      }),
      { maxLength: 3 },
    )
    .map((rows) => `[${rows.map((row) => `[${row.join(',')}]`).join(',')}]`),
  fc.json(),
  nested,
);

export const json = fc.tuple(jsonTexts, maybeDamage).map(([text, list]) => damaged(Buffer.from(text), list));
