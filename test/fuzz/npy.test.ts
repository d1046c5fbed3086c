import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { FileError } from '../../lib/errors.js';
import { decodeNpy } from '../../lib/files/npy.js';
import { tensorBytes } from '../../lib/tensor.js';
import { corruptFiles, pickOne, seededPick, type CorruptFile, type Pick } from '../support/corrupt.js';

const SAMPLES = new URL('../samples/npy/', import.meta.url);
const samples = readdirSync(SAMPLES).map((name) => new Uint8Array(readFileSync(new URL(name, SAMPLES))));

describe('decodeNpy on 2,000 broken files', () => {
  it('decodeNpy decodes or refuses each damaged file, and takes no more memory than the file has bytes', () => {
    const refused = countRefused(corruptFiles(samples, 1400, 1));
    expect(refused).to.be.within(700, 1399);
  });

  it('decodeNpy decodes or refuses each header that lies', () => {
    const refused = countRefused(lyingHeaders(600, 2));
    expect(refused).to.be.within(400, 599);
  });

  it('decodeNpy refuses a huge claim before it allocates memory', () => {
    const before = process.memoryUsage().arrayBuffers;
    for (const shape of ['(1000000000,)', '(9007199254740991,)', '(4294967296, 4294967296)']) {
      for (const data of [4, 64]) {
        const bytes = npyFile(`{'descr': '<f8', 'fortran_order': True, 'shape': ${shape}}`, 1, data);
        expect(() => decodeNpy(bytes)).to.throw(FileError);
      }
    }
    const header = npyFile('', 2, 0);
    new DataView(header.buffer).setUint32(8, 0xffffffff, true);
    expect(() => decodeNpy(header)).to.throw(FileError, 'claims 4294967295 bytes');
    expect(process.memoryUsage().arrayBuffers - before).to.be.below(1e6);
  });
});

/** How many of the files are refused; fails if one neither decodes nor is refused as it should. */
function countRefused(files: Iterable<CorruptFile>): number {
  let refused = 0;
  for (const { how, bytes } of files) {
    try {
      expect(tensorBytes(decodeNpy(bytes)).byteLength, how).to.be.at.most(bytes.byteLength);
    } catch (error) {
      expect(error, how).to.be.instanceOf(FileError).with.property('code', 'NPY_INVALID');
      refused++;
    }
  }
  return refused;
}

/** Files of one byte layout and another header: of every known dtype and many unknown, with shapes that do not fit. */
function* lyingHeaders(count: number, seed: number): Generator<CorruptFile> {
  const pick = seededPick(seed);
  for (let i = 0; i < count; i++) {
    const descr = pickOne(pick, [
      "'<f4'",
      "'>f2'",
      "'|b1'",
      "'<i8'",
      "'|O'",
      "'<U3'",
      "'<f3'",
      "''",
      '4',
      "[('x', '<f4')]",
    ]);
    const order = pickOne(pick, ['True', 'False', 'True', 'False', '0', 'None', "'True'"]);
    const header = `{'descr': ${descr}, 'fortran_order': ${order}, 'shape': ${lyingShape(pick)}, }`;
    const dataSize = pickOne(pick, [0, 1, 2, 4, 8, 12, 24]);
    yield {
      how: `case ${i}: ${header} over ${dataSize} bytes`,
      bytes: npyFile(header, 1 + pick(3), dataSize),
    };
  }
}

function lyingShape(pick: Pick): string {
  const dim = (): string => pickOne(pick, ['0', '1', '2', '3', '3', '-1', '4294967296', '9'.repeat(30), 'x']);
  const dims = Array.from({ length: pick(4) }, dim).join(', ');
  return pickOne(pick, [`(${dims})`, `(${dims},)`, `[${dims}]`, `(${dims}`]);
}

function npyFile(header: string, version: number, dataSize: number): Uint8Array {
  const lengthSize = version === 1 ? 2 : 4;
  const bytes = Buffer.alloc(8 + lengthSize + header.length + dataSize, 0x41);
  bytes.write('\x93NUMPY', 'latin1');
  bytes.set([version, 0], 6);
  bytes.writeUIntLE(header.length, 8, lengthSize);
  bytes.write(header, 8 + lengthSize, 'latin1');
  return new Uint8Array(bytes);
}
