/** Programs that read files made to take much memory, in a process of their own: its peak is theirs. */
import { writeFileSync } from 'node:fs';
import { memoryUsage, resourceUsage } from 'node:process';
import { decodeSafetensors } from '../../lib/weights/safetensors.js';

/** A file, and what reads it. */
interface Case {
  readonly name: string;
  readonly make: () => Uint8Array;
  readonly read: (bytes: Uint8Array) => unknown;
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

const CASES: readonly Case[] = SAFETENSORS.map(([name, make]) => ({
  name: `safetensors: ${name}`,
  make,
  read: (bytes) => decodeSafetensors(bytes),
}));

/** Makes the present memory the peak, where the system can (Linux). */
function forgetPeak(): void {
  try {
    writeFileSync('/proc/self/clear_refs', '5');
  } catch {
    // On other systems a peak hides a lower peak behind it.
  }
}

/** Prints, as JSON, by how many bytes each file raises the memory of the process, and how many bytes it has. */
export function measurePeaks(): void {
  const peaks = CASES.map(({ name, make, read }) => {
    const bytes = make();
    forgetPeak();
    const before = memoryUsage.rss();
    let outcome = 'read';
    try {
      read(bytes);
    } catch (error) {
      outcome = (error as { code?: string }).code ?? String(error);
    }
    return { name, outcome, size: bytes.length, peak: 1024 * resourceUsage().maxRSS - before };
  });
  console.log(JSON.stringify(peaks));
}
