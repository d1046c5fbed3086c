/** Programs that read files made to take much memory, in a process of their own: its peak is theirs. */
import { deflateSync } from 'node:zlib';
import { tensorFromJson } from '../../lib/cli/commands/run/input-files.js';
import { decodePng } from '../../lib/images/png.js';
import { decodeSafetensors } from '../../lib/weights/safetensors.js';
import { chunk, concat, header, SIGNATURE } from '../images/png-samples.js';
import { peakMemory, resetPeak } from '../support/peak-memory.js';

/** A file, and what reads it. */
interface Case {
  readonly name: string;
  readonly make: () => Uint8Array;
  readonly read: (bytes: Uint8Array) => unknown;
  /** The bytes that it may take besides the rule for all files. */
  readonly allowance: number;
}

const MEGA = 1e6;

/** Repeats a text as bytes, which take no memory besides. */
const times = (text: string, count: number): Buffer => Buffer.alloc(text.length * count, text);

function safetensors(...header: (string | Buffer)[]): Uint8Array {
  const bytes = Buffer.concat([Buffer.alloc(8), ...header.map((part) => Buffer.from(part as string))]);
  bytes.writeBigUInt64LE(BigInt(bytes.length - 8));
  return bytes;
}

/** Texts of different names, of 11 bytes each. */
function metadata(count: number): Buffer {
  const bytes = times('"000000":"",', count);
  for (let i = 0; i < count; i++) bytes.write(i.toString(16).padStart(6, '0'), 12 * i + 1);
  return bytes;
}

const SAFETENSORS: readonly [name: string, make: () => Uint8Array][] = [
  ['nested objects', () => safetensors('{"a":', times('{"a":', 2 * MEGA), '1', times('}', 2 * MEGA), '}')],
  [
    'objects in a field that the format does not have',
    () =>
      safetensors(
        ...['{"a":{"x":[', times('{},', 4 * MEGA), '0],"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'],
      ),
  ],
  ['a shape of many dimensions', () => safetensors('{"a":{"shape":[', times('0,', 6 * MEGA), '0]}}')],
  ['many texts', () => safetensors('{"__metadata__":{', metadata(MEGA), '"x":""}}')],
];

/** The bytes that the pixels of a picture take in memory, which have a limit of their own. */
const PIXELS = 2 ** 24;

const png = (width: number, height: number, depth: number, colourType: number, raw: number) =>
  concat([
    SIGNATURE,
    header(width, height, depth, colourType),
    chunk('IDAT', deflateSync(new Uint8Array(raw))),
    chunk('IEND', new Uint8Array(0)),
  ]);

const PICTURES: readonly [name: string, make: () => Uint8Array][] = [
  ['one column', () => png(1, PIXELS, 8, 0, 2 * PIXELS)],
  ['RGB and alpha of 16 bits', () => png(1024, 2730, 16, 6, 2730 * (1 + 1024 * 8))],
  ['a picture above the limit', () => png(8192, 8192, 16, 6, 2 ** 20)],
  [
    'many chunks without data',
    () => concat([png(1, 1, 8, 0, 2).subarray(0, 33), times('\0\0\0\0IDAT....', MEGA)]),
  ],
];

const TEXTS: readonly [name: string, make: () => Uint8Array][] = [
  ['lists in lists', () => concat([times('[', 2 * MEGA), times(']', 2 * MEGA)])],
  ['empty lists', () => concat([times('[', 1), times('[],', 2 * MEGA), times('[]]', 1)])],
  ['numbers', () => concat([times('[', 1), times('1,', 4 * MEGA), times('1]', 1)])],
];

const CASES: readonly Case[] = [
  ...SAFETENSORS.map(([name, make]) => ({
    name: `safetensors: ${name}`,
    make,
    read: (bytes: Uint8Array) => decodeSafetensors(bytes),
    allowance: 0,
  })),
  ...PICTURES.map(([name, make]) => ({
    name: `PNG: ${name}`,
    make,
    read: (bytes: Uint8Array) => decodePng(bytes),
    allowance: 4 * PIXELS,
  })),
  ...TEXTS.map(([name, make]) => ({
    name: `JSON: ${name}`,
    make,
    read: (bytes: Uint8Array) => tensorFromJson(Buffer.from(bytes).toString(), 'float32', 'a.json'),
    allowance: 0,
  })),
];

/** Prints, as JSON, by how many bytes each file raises the memory of the process, and how many bytes are allowed. */
export function measurePeaks(): void {
  const peaks = CASES.map(({ name, make, read, allowance }) => {
    const bytes = make();
    const before = resetPeak();
    let outcome = 'read';
    try {
      read(bytes);
    } catch (error) {
      const { code, name } = error as { code?: string; name: string };
      outcome = code ?? name;
    }
    const allowed = 64 * 2 ** 20 + 8 * bytes.length + allowance;
    return { name, outcome, allowed, peak: peakMemory() - before };
  });
  console.log(JSON.stringify(peaks));
}
