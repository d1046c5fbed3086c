import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { WeightsError } from '../../lib/errors.js';
import { tensor, tensorBytes } from '../../lib/tensor.js';
import { decodeSafetensors, encodeSafetensors } from '../../lib/weights/safetensors.js';
import { corruptFiles, pickOne, seededPick, type CorruptFile, type Pick } from '../support/corrupt.js';

const samples = [
  new Uint8Array(readFileSync(new URL('../samples/dtypes.safetensors', import.meta.url))),
  new Uint8Array(readFileSync(new URL('../samples/empty.safetensors', import.meta.url))),
  new Uint8Array(
    Buffer.concat(
      encodeSafetensors({
        metadata: { graph: 'group-norm', options: '{"numGroups":2}' },
        tensors: [
          ['a', tensor('float32', [2, 2], Float32Array.of(1, 2, 3, 4))],
          ['b', tensor('int8', [3], Int8Array.of(1, 2, 3))],
        ],
      }),
    ),
  ),
];

describe('decodeSafetensors on 2,000 broken files', () => {
  it('decodeSafetensors decodes or refuses each damaged file, and takes no more memory than the file has bytes', () => {
    const refused = countRefused(corruptFiles(samples, 1400, 3));
    expect(refused).to.be.within(700, 1399);
  });

  it('decodeSafetensors decodes or refuses each header that lies', () => {
    const refused = countRefused(lyingHeaders(600, 4), FLOAT8_GROWTH);
    expect(refused).to.be.within(400, 599);
  });

  it('decodeSafetensors refuses a huge claim before it allocates memory', () => {
    const before = process.memoryUsage().arrayBuffers;
    const headerLength = safetensorsFile('{}', 0);
    new DataView(headerLength.buffer).setBigUint64(0, 2n ** 64n - 1n, true);
    expect(() => decodeSafetensors(headerLength)).to.throw(WeightsError, 'claims 18446744073709551615 bytes');
    for (const dims of ['1000000000', '9007199254740991', '4294967296,4294967296']) {
      const size = String(dims.split(',').reduce((product, dim) => product * Number(dim), 8));
      const entry = `{"a":{"dtype":"F64","shape":[${dims}],"data_offsets":[0,${size}]}}`;
      expect(() => decodeSafetensors(safetensorsFile(entry, 8))).to.throw(WeightsError);
    }
    expect(process.memoryUsage().arrayBuffers - before).to.be.below(1e6);
  });

  it('decodeSafetensors refuses JSON nested 200,000 deep, and a string of as many escapes, without a stack overflow', () => {
    const deep = `{"a":${'['.repeat(2e5)}${']'.repeat(2e5)}}`;
    expect(() => decodeSafetensors(safetensorsFile(deep, 0))).to.throw(WeightsError, "tensor 'a'");
    const objects = `{"a":${'{"a":'.repeat(2e5)}1${'}'.repeat(2e5)}}`;
    expect(() => decodeSafetensors(safetensorsFile(objects, 0))).to.throw(
      WeightsError,
      'lists or objects are nested more than 64 deep',
    );
    const escapes = `{"${'\\n'.repeat(2e5)}":1}`;
    expect(() => decodeSafetensors(safetensorsFile(escapes, 0))).to.throw(WeightsError, 'must be an object');
  });
});

/** An 8-bit float becomes a float32. */
const FLOAT8_GROWTH = 4;

/** How many of the files are refused; fails if one neither decodes nor is refused as it should. */
function countRefused(files: Iterable<CorruptFile>, growth = 1): number {
  let refused = 0;
  for (const { how, bytes } of files) {
    try {
      const tensors = [...decodeSafetensors(bytes).tensors.values()];
      const size = tensors.reduce((sum, decoded) => sum + tensorBytes(decoded).byteLength, 0);
      expect(size, how).to.be.at.most(growth * bytes.byteLength);
    } catch (error) {
      expect(error, how).to.be.instanceOf(WeightsError);
      expect((error as WeightsError).code, how).to.be.oneOf(['SAFETENSORS_INVALID', 'UNSUPPORTED_DTYPE']);
      refused++;
    }
  }
  return refused;
}

/** Headers that are JSON but claim bytes twice, or not at all, or of dtypes and shapes that do not fit. */
function* lyingHeaders(count: number, seed: number): Generator<CorruptFile> {
  const pick = seededPick(seed);
  for (let i = 0; i < count; i++) {
    const members = Array.from({ length: 1 + pick(3) }, () => lyingMember(pick));
    const header = `{${members.join(',')}}`;
    const dataSize = pickOne(pick, [0, 1, 2, 4, 8]);
    yield { how: `case ${i}: ${header} over ${dataSize} bytes`, bytes: safetensorsFile(header, dataSize) };
  }
}

function lyingMember(pick: Pick): string {
  const name = pickOne(pick, ['a', 'b', 'c', '__proto__', '0', '\\u0061', '']);
  if (pick(8) === 0)
    return `"__metadata__":${pickOne(pick, ['{}', 'null', '{"a":1}', '[]', '{"a":"1","a":"2"}'])}`;
  const dtype = pickOne(pick, [
    '"U8"',
    '"U8"',
    '"U8"',
    '"U8"',
    '"BOOL"',
    '"F16"',
    '"F32"',
    '"F8_E4M3"',
    '"f32"',
    '4',
  ]);
  const start = pickOne(pick, [0, 0, 0, 1, 2, 4]);
  const size = pickOne(pick, [0, 1, 1, 2, 2, 4, -1, 2 ** 53]);
  const shape = pickOne(pick, [
    `[${size}]`,
    `[${size}]`,
    `[${size}]`,
    '[]',
    '[1.5]',
    '[null]',
    `[${2 ** 32},${2 ** 32}]`,
  ]);
  return `"${name}":{"dtype":${dtype},"shape":${shape},"data_offsets":[${start},${start + size}]}`;
}

function safetensorsFile(header: string, dataSize: number): Uint8Array {
  const text = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + text.length + dataSize);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}
