/** Files broken in every way that disks, downloads and attackers break them, the same ones for the same seed. */

export interface CorruptFile {
  /** What was done to the file, for the message of a failing test. */
  readonly how: string;
  readonly bytes: Uint8Array;
}

/** A random integer from 0 to below `limit`; 0 if `limit` is 0. */
export type Pick = (limit: number) => number;

type Edit = (bytes: Uint8Array, pick: Pick) => Uint8Array;

/** Seeded random integers: a linear congruential generator, whose high bits are random enough for a test. */
export function seededPick(seed: number): Pick {
  let state = seed >>> 0;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

/** One of `items`. */
export const pickOne = <T>(pick: Pick, items: readonly T[]): T => items[pick(items.length)]!;

/** `count` broken copies of `sources`, each kind of damage in turn; every fourth is damaged twice. */
export function* corruptFiles(
  sources: readonly Uint8Array[],
  count: number,
  seed: number,
): Generator<CorruptFile> {
  const pick = seededPick(seed);
  const kinds = Object.entries(EDITS);
  for (let i = 0; i < count; i++) {
    const source = pickOne(pick, sources);
    const edits = [kinds[i % kinds.length]!, ...(i % 4 === 3 ? [pickOne(pick, kinds)] : [])];
    const bytes = edits.reduce((damaged, [, edit]) => edit(damaged, pick), source);
    yield { how: `case ${i} of seed ${seed}: ${edits.map(([name]) => name).join(', then ')}`, bytes };
  }
}

const EDITS: Readonly<Record<string, Edit>> = {
  truncated: (bytes, pick) => bytes.slice(0, place(bytes, pick)),
  'a few bytes short': (bytes, pick) => bytes.slice(0, Math.max(0, bytes.length - 1 - pick(8))),
  'a few bytes too long': (bytes, pick) => splice(bytes, bytes.length, 0, noise(1 + pick(8), pick)),
  'a bit flipped': (bytes, pick) => change(bytes, pick, (byte) => byte ^ (1 << pick(8))),
  'a byte replaced': (bytes, pick) =>
    change(bytes, pick, () => pickOne(pick, [0, 1, 0x7f, 0x80, 0xff, pick(256)])),
  'a number replaced': (bytes, pick) => splice(bytes, place(bytes, pick), 'overwrite', edgeNumber(pick)),
  'bytes zeroed': (bytes, pick) =>
    splice(bytes, place(bytes, pick), 'overwrite', new Uint8Array(1 + pick(32))),
  'bytes removed': (bytes, pick) => splice(bytes, place(bytes, pick), 1 + pick(16), new Uint8Array(0)),
  'bytes inserted': (bytes, pick) => splice(bytes, place(bytes, pick), 0, noise(1 + pick(16), pick)),
  'bytes repeated': (bytes, pick) => {
    const start = place(bytes, pick);
    return splice(bytes, start, 0, bytes.slice(start, start + 1 + pick(64)));
  },
  'digits replaced': (bytes, pick) =>
    changeText(bytes, pick, /\d+/g, ['0', '-1', '7', '1e3', '9'.repeat(19)]),
  'punctuation replaced': (bytes, pick) =>
    changeText(bytes, pick, /[{}()[\]:,'"]/g, [...'{}()[]:,\'"\\', '']),
};

/** Half of the time near the start, where the header is. */
const place = (bytes: Uint8Array, pick: Pick): number =>
  pick(pick(2) ? bytes.length : Math.min(bytes.length, 128));

/** Replaces `removed` bytes at `start`, or as many as are put there. */
function splice(
  bytes: Uint8Array,
  start: number,
  removed: number | 'overwrite',
  added: Uint8Array,
): Uint8Array {
  const rest = bytes.subarray(start + (removed === 'overwrite' ? added.length : removed));
  return Uint8Array.from([...bytes.subarray(0, start), ...added, ...rest]);
}

function change(bytes: Uint8Array, pick: Pick, replace: (byte: number) => number): Uint8Array {
  const at = place(bytes, pick);
  return splice(bytes, at, 'overwrite', Uint8Array.of(replace(bytes[at] ?? 0)));
}

/** Replaces one match of `pattern`, if there is one, in the bytes read as Latin-1. */
function changeText(
  bytes: Uint8Array,
  pick: Pick,
  pattern: RegExp,
  replacements: readonly string[],
): Uint8Array {
  const matches = [
    ...Array.from(bytes, (byte) => String.fromCharCode(byte))
      .join('')
      .matchAll(pattern),
  ];
  if (matches.length === 0) return bytes;
  const match = pickOne(pick, matches);
  return splice(bytes, match.index, match[0].length, new TextEncoder().encode(pickOne(pick, replacements)));
}

const noise = (length: number, pick: Pick): Uint8Array => Uint8Array.from({ length }, () => pick(256));

/** A number at the edge of what some integer type holds, in 2, 4 or 8 little-endian bytes. */
function edgeNumber(pick: Pick): Uint8Array {
  const value = pickOne(pick, [0n, 1n, 2n ** 15n, 2n ** 31n - 1n, 2n ** 32n - 1n, 2n ** 53n, 2n ** 63n, -1n]);
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, value), true);
  return bytes.subarray(0, pickOne(pick, [2, 4, 8]));
}
