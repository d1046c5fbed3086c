import { deflateSync } from 'node:zlib';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ImageError } from '../../lib/errors.js';
import { DEFAULT_LIMITS } from '../../lib/limits.js';
import { readPngLayout } from '../../lib/images/png.js';
import { chunk, concat, header, SIGNATURE } from './png-samples.js';

const END = chunk('IEND', new Uint8Array(0));
const DATA = chunk('IDAT', deflateSync(new Uint8Array(64)));
/** A copy with one bit changed. */
const flipped = (bytes: Uint8Array, at: number): Uint8Array =>
  bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));
const read = (...chunks: Uint8Array[]) =>
  readPngLayout(concat([SIGNATURE, ...chunks]), 'a.png', DEFAULT_LIMITS);

describe('images/png-layout', () => {
  it('readPngLayout finds the size, the compressed data in order, and the end', () => {
    const [first, second] = [Uint8Array.of(1, 2, 3), Uint8Array.of(4)];
    const text = chunk('tEXt', Uint8Array.of(65, 0, 66));
    const layout = read(header(5, 7), text, chunk('IDAT', first), chunk('IDAT', second), END, text);
    expect(layout).to.include({ width: 5, height: 7, crc: 'right', hasEnd: true });
    expect([...layout.data]).to.deep.equal([1, 2, 3, 4]);
  });

  it('readPngLayout says whether the checksums of the pixels are right, and whether the end is there', () => {
    const checks = (...chunks: Uint8Array[]) => {
      const { crc, hasEnd } = read(header(1, 1), ...chunks);
      return { crc, hasEnd };
    };
    const spoilt = flipped(DATA, DATA.length - 1);
    expect(checks(DATA)).to.deep.equal({ crc: 'right', hasEnd: false });
    expect(checks(spoilt, DATA, END)).to.deep.equal({ crc: 'wrong', hasEnd: true });
    expect(checks(DATA, DATA.subarray(0, -2))).to.deep.equal({ crc: 'missing', hasEnd: false });
    expect(checks(flipped(chunk('tEXt', Uint8Array.of(1)), 8), DATA, END).crc).to.equal('right');
  });

  it('readPngLayout counts one byte a row and the bits of the pixels, rounded up to bytes, before compression', () => {
    expect(read(header(9, 2, 1, 0), DATA, END).rawSize).to.equal(2 * (1 + 2));
    expect(read(header(5, 3, 16, 6), DATA, END).rawSize).to.equal(3 * (1 + 5 * 8));
  });

  it('readPngLayout counts the passes of an interlaced image', () => {
    // 1 × 1 is one row of one pass. 9 × 9 has rows of 2, 1, 3, 2, 5, 4 and 9 pixels in 2, 2, 1, 3, 2, 5 and 4 rows.
    expect(read(header(1, 1, 1, 0, 1), DATA, END).rawSize).to.equal(2);
    const pixels = 2 * 2 + 1 * 2 + 3 * 1 + 2 * 3 + 5 * 2 + 4 * 5 + 9 * 4;
    expect(read(header(9, 9, 8, 0, 1), DATA, END).rawSize).to.equal(pixels + 2 + 2 + 1 + 3 + 2 + 5 + 4);
  });

  const refusals: [why: string, chunks: Uint8Array[], message: RegExp][] = [
    [
      'claims more pixels than its bytes can hold',
      [header(5000, 5000), DATA, END],
      /claims 5000 × 5000 pixels, more than \d+ compressed bytes can hold/,
    ],
    ['has no data', [header(1, 1), END], /claims 1 × 1 pixels, more than 0 compressed bytes/],
    ['has no pixels', [header(0, 7), DATA, END], /it has 0 × 7 pixels/],
    [
      'has a colour type that there is not',
      [header(1, 1, 8, 5), DATA, END],
      /colour type 5 with 8 bits, which PNG does not allow/,
    ],
    [
      'has a depth that its colour type does not have',
      [header(1, 1, 4, 2), DATA, END],
      /colour type 2 with 4 bits, which PNG does not allow/,
    ],
    ['has an unknown interlacing', [header(1, 1, 8, 0, 2), DATA, END], /interlace method 2/],
    ['has no header', [DATA, END], /it must begin with one header of 13 bytes/],
    [
      'has a second header, larger than the first',
      [header(1, 1), header(60000, 60000), DATA, END],
      /one header/,
    ],
    [
      'has a header of another length',
      [chunk('IHDR', new Uint8Array(14)), DATA, END],
      /one header of 13 bytes/,
    ],
    ['ends before its pixels', [header(1, 1)], /truncated: its \d+ bytes end before its pixels/],
    [
      'has a header whose checksum is wrong',
      [flipped(header(1, 1), 16), DATA, END],
      /its chunk IHDR does not match/,
    ],
    [
      'has a palette whose checksum is wrong',
      [header(1, 1, 8, 3), flipped(chunk('PLTE', Uint8Array.of(1, 2, 3)), 8), DATA, END],
      /its chunk PLTE does not match its checksum/,
    ],
    ['is a signature and nothing else', [], /truncated: its 8 bytes/],
  ];
  for (const [why, chunks, message] of refusals) {
    it(`readPngLayout refuses a file that ${why}`, () => {
      expect(() => read(...chunks))
        .to.throw(ImageError, message)
        .with.property('code', 'IMAGE_INVALID');
    });
  }

  it('readPngLayout refuses an image above limits.imageBytes, by the bytes of its pixels and samples, whatever the file holds', () => {
    const data = concat([DATA, END]);
    // 7 bytes are allowed for each byte of the file; a row of pixels has a byte for its filter.
    const FILE_SIZE = concat([SIGNATURE, header(8, 8, 8, 0), data]).length;
    const error = (...size: Parameters<typeof header>) => {
      try {
        return readPngLayout(concat([SIGNATURE, header(...size), data]), 'a.png', {
          ...DEFAULT_LIMITS,
          imageBytes: 136 - 7 * FILE_SIZE,
        });
      } catch (error) {
        expect(error).to.be.instanceOf(ImageError);
        return (error as ImageError).code;
      }
    };
    expect(error(8, 8, 8, 0)).to.have.property('rawSize', 72);
    expect(error(8, 9, 8, 0)).to.equal('IMAGE_TOO_LARGE');
    // Samples of 1 bit become bytes; of 16 bits with alpha, 2 of 4 bytes are kept, and of 8 bits with alpha 3 of 4.
    expect(error(8, 13, 1, 0)).to.have.property('rawSize', 26);
    expect(error(8, 14, 1, 0)).to.equal('IMAGE_TOO_LARGE');
    expect(error(2, 10, 16, 4)).to.have.property('rawSize', 90);
    expect(error(2, 11, 16, 4)).to.equal('IMAGE_TOO_LARGE');
    expect(error(3, 6, 8, 6)).to.have.property('rawSize', 78);
    expect(error(3, 7, 8, 6)).to.equal('IMAGE_TOO_LARGE');
    expect(() => read(header(2 ** 31 - 1, 2 ** 31 - 1), data)).to.throw(
      ImageError,
      /^a\.png has 2147483647 × 2147483647 pixels, .*; allowed for a file of this size: 67109\d{3}; .*limits\.imageBytes/,
    );
  });

  it('readPngLayout refuses a file that is not a PNG, and says what to do', () => {
    for (const bytes of [new Uint8Array(0), Uint8Array.of(0xff, 0xd8, 0xff, 0xe0, 0, 0, 0, 0, 0)]) {
      expect(() => readPngLayout(bytes, 'a.jpg', DEFAULT_LIMITS)).to.throw(
        ImageError,
        'a.jpg is not a valid PNG: it does not begin with the PNG signature',
      );
    }
  });
});
