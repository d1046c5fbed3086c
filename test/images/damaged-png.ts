/** One picture in PNG files that are damaged in one way each: what decodePng says, and which browsers show the whole picture. */
import { crc32, deflateRawSync, deflateSync } from 'node:zlib';
import { chunk, concat, header, SIGNATURE } from './png-samples.js';

export const [WIDTH, HEIGHT] = [16, 12];
/** The rows, each with its filter, 0, in front. */
const RAW = Uint8Array.from({ length: HEIGHT * (1 + 3 * WIDTH) }, (_, i) =>
  i % (1 + 3 * WIDTH) === 0 ? 0 : (i * 37 + (i >> 3) * 11) % 256,
);
export const SAMPLES = RAW.filter((_, i) => i % (1 + 3 * WIDTH) !== 0);

/** A file, what decodePng warns of or why it refuses the file, and the browsers that show the whole picture. */
export interface DamagedPng {
  readonly bytes: Uint8Array;
  readonly warning?: RegExp;
  readonly refusal?: RegExp;
  /** By Chromium 156 and Firefox 153, as an img. */
  readonly shownBy: readonly ('Chromium' | 'Firefox')[];
}

const EMPTY = new Uint8Array(0);
const IHDR = header(WIDTH, HEIGHT, 8, 2);
const IEND = chunk('IEND', EMPTY);
const DATA = new Uint8Array(deflateSync(RAW));
const WITHOUT_ADLER = DATA.subarray(0, -4);
const WRONG_ADLER = concat([WITHOUT_ADLER, Uint8Array.of(1, 2, 3, 4)]);

const png = (...chunks: Uint8Array[]): Uint8Array => concat([SIGNATURE, ...chunks]);
const withData = (data: Uint8Array): Uint8Array => png(IHDR, chunk('IDAT', data), IEND);
const withoutCrc = (made: Uint8Array): Uint8Array => concat([made.subarray(0, -4), new Uint8Array(4)]);
const withWrongCrc = (made: Uint8Array): Uint8Array =>
  concat([made.subarray(0, -4), Uint8Array.of(1, 2, 3, 4)]);
/** The header with another byte at a place of its content. */
function headerWith(place: number, value: number): Uint8Array {
  const made = IHDR.slice();
  made[8 + place] = value;
  new DataView(made.buffer).setUint32(made.length - 4, crc32(made.subarray(4, -4)));
  return made;
}

const BOTH = ['Chromium', 'Firefox'] as const;

export const DAMAGED: Readonly<Record<string, DamagedPng>> = {
  'not damaged': { bytes: withData(DATA), shownBy: BOTH },
  'bytes behind the end': { bytes: concat([withData(DATA), Uint8Array.of(1, 2)]), shownBy: BOTH },
  'a wrong Adler-32': {
    bytes: withData(WRONG_ADLER),
    warning: /the Adler-32 checksum of the pixels is wrong$/,
    // Firefox leaves out the last row.
    shownBy: ['Chromium'],
  },
  'no Adler-32': {
    bytes: withData(WITHOUT_ADLER),
    warning: /the Adler-32 checksum of the pixels is missing$/,
    shownBy: ['Chromium'],
  },
  'bytes behind the compressed pixels': {
    bytes: withData(concat([DATA, Uint8Array.of(1, 2, 3)])),
    shownBy: BOTH,
  },
  'a row behind the pixels': {
    bytes: withData(new Uint8Array(deflateSync(concat([RAW, RAW.subarray(0, 49)])))),
    warning: /49 bytes follow the pixels$/,
    shownBy: BOTH,
  },
  'no end': { bytes: png(IHDR, chunk('IDAT', DATA)), warning: /IEND, is missing$/, shownBy: BOTH },
  'a CRC of 0': {
    bytes: png(IHDR, withoutCrc(chunk('IDAT', DATA)), IEND),
    warning: /the CRC of a chunk of pixels is missing$/,
    shownBy: BOTH,
  },
  'a CRC and an Adler-32 of 0': {
    bytes: png(IHDR, withoutCrc(chunk('IDAT', concat([WITHOUT_ADLER, new Uint8Array(4)]))), IEND),
    warning: /CRC .* is missing; the Adler-32 checksum of the pixels is missing$/,
    shownBy: ['Chromium'],
  },
  'a wrong CRC': {
    bytes: png(IHDR, withWrongCrc(chunk('IDAT', DATA)), IEND),
    warning: /the CRC of a chunk of pixels is wrong$/,
    shownBy: BOTH,
  },
  'a wrong CRC and no Adler-32': {
    bytes: png(IHDR, withWrongCrc(chunk('IDAT', WITHOUT_ADLER)), IEND),
    refusal: /its pixels match neither of their checksums/,
    shownBy: BOTH,
  },
  'a CRC of 0 and no Adler-32': {
    bytes: png(IHDR, withoutCrc(chunk('IDAT', WITHOUT_ADLER)), IEND),
    warning: /the CRC of a chunk .*; the Adler-32 checksum of the pixels is missing$/,
    shownBy: BOTH,
  },
  'an end right behind the pixels': {
    bytes: png(IHDR, chunk('IDAT', DATA)).subarray(0, -8),
    warning: /CRC .*Adler-32 .* missing; its last chunk, IEND, is missing$/,
    shownBy: BOTH,
  },
  'a CRC of 0 and a wrong Adler-32': {
    bytes: png(IHDR, withoutCrc(chunk('IDAT', WRONG_ADLER)), IEND),
    refusal: /its pixels match neither of their checksums/,
    shownBy: ['Chromium'],
  },
  'a wrong CRC of text': {
    bytes: png(IHDR, withoutCrc(chunk('tEXt', Uint8Array.of(97, 0, 98))), chunk('IDAT', DATA), IEND),
    shownBy: BOTH,
  },
  'a wrong CRC of the header': {
    bytes: png(withoutCrc(IHDR), chunk('IDAT', DATA), IEND),
    refusal: /its chunk IHDR does not match its checksum/,
    shownBy: [],
  },
  'a compression method of 1': {
    bytes: png(headerWith(10, 1), chunk('IDAT', DATA), IEND),
    refusal: /compression method 1 and filter method 0; allowed: 0 and 0/,
    shownBy: [],
  },
  'a filter method of 1': {
    bytes: png(headerWith(11, 1), chunk('IDAT', DATA), IEND),
    refusal: /compression method 0 and filter method 1; allowed: 0 and 0/,
    shownBy: [],
  },
  'a wrong zlib header': {
    bytes: withData(concat([new Uint8Array(2), DATA.subarray(2)])),
    warning: /the header of the compressed pixels is wrong$/,
    shownBy: [],
  },
  'a zlib header that names a dictionary': {
    bytes: withData(concat([Uint8Array.of(0x78, 0xbb), DATA.subarray(2)])),
    warning: /the header of the compressed pixels is wrong$/,
    shownBy: [],
  },
  'a small window in the zlib header': {
    bytes: withData(concat([Uint8Array.of(0x08, 0x1d), DATA.subarray(2)])),
    shownBy: BOTH,
  },
  'no zlib header': {
    bytes: withData(new Uint8Array(deflateRawSync(RAW))),
    refusal: /its compressed pixels cannot be read/,
    shownBy: [],
  },
  'an unknown critical chunk': {
    bytes: png(IHDR, chunk('ABCD', EMPTY), chunk('IDAT', DATA), IEND),
    warning: /it has a chunk that PNG does not know$/,
    shownBy: [],
  },
  'an unknown ancillary chunk': {
    bytes: png(IHDR, chunk('abCd', EMPTY), chunk('IDAT', DATA), IEND),
    shownBy: BOTH,
  },
  'text between the chunks of pixels': {
    bytes: png(
      IHDR,
      chunk('IDAT', DATA.subarray(0, 100)),
      chunk('tEXt', Uint8Array.of(97, 0, 98)),
      chunk('IDAT', DATA.subarray(100)),
      IEND,
    ),
    warning: /other chunks stand between the chunks of pixels$/,
    shownBy: [],
  },
  'a row too few': {
    bytes: withData(new Uint8Array(deflateSync(RAW.subarray(0, -49)))),
    refusal: /its pixels take 588 bytes, but its data has 539$/,
    shownBy: [],
  },
};
