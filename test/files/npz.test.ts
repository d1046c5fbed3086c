import { readFileSync } from 'node:fs';
import { crc32, deflateRawSync } from 'node:zlib';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { FileError } from '../../lib/errors.js';
import { encodeNpy } from '../../lib/files/npy.js';
import { openNpz } from '../../lib/files/npz.js';
import { tensor } from '../../lib/tensor.js';
import { encodeSafetensors } from '../../lib/weights/safetensors.js';

/** A file that NumPy wrote: scripts/samples/make_file_samples.py. */
const sample = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../samples/npz/${name}.npz`, import.meta.url)));

const FLOATS = [0, -0, 1.5, -2.25, Infinity, NaN];
const X = tensor('float32', [2, 3], Float32Array.from(FLOATS));
const MASK = tensor('bool', [3], Uint8Array.of(1, 0, 1));
const COUNTED = tensor(
  'int16',
  [2, 3, 4],
  Int16Array.from({ length: 24 }, (_, i) => i),
);

/** What to make different from a right archive of one file. */
interface Lies {
  readonly data?: Uint8Array;
  readonly name?: string;
  readonly size?: number;
  readonly flags?: number;
  readonly method?: number;
}

/** An archive of one deflated file. */
function archive(content: Uint8Array, lies: Lies = {}): Buffer {
  const { name = 'x.npy', size = content.length, flags = 0, method = 8 } = lies;
  const data = lies.data ?? deflateRawSync(content);
  const local = Buffer.alloc(30);
  local.writeUInt32LE(0x04034b50, 0);
  local.writeUInt16LE(name.length, 26);
  const entry = Buffer.alloc(46);
  entry.writeUInt32LE(0x02014b50, 0);
  entry.writeUInt16LE(flags, 8);
  entry.writeUInt16LE(method, 10);
  entry.writeUInt32LE(crc32(content), 16);
  entry.writeUInt32LE(data.length, 20);
  entry.writeUInt32LE(size, 24);
  entry.writeUInt16LE(name.length, 28);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(30 + name.length + data.length, 16);
  return Buffer.concat([local, Buffer.from(name), data, entry, Buffer.from(name), end]);
}

const npy = encodeNpy(X);

function expectRefused(bytes: Uint8Array, reason: string): void {
  expect(() => openNpz(bytes, 'a.npz').read('x'), reason)
    .to.throw(FileError, reason)
    .and.include({ code: 'NPZ_INVALID' });
}

describe('openNpz', () => {
  for (const name of ['arrays', 'compressed']) {
    it(`openNpz reads what NumPy wrote to ${name}.npz`, () => {
      const { names, read } = openNpz(sample(name), 'a.npz');
      expect(names).to.deep.equal(['x', 'mask', 'in/ü']);
      expect(names.map(read)).to.deep.equal([X, MASK, COUNTED]);
    });
  }

  it('openNpz reads an archive with a comment at its end, and files that are not arrays beside it', () => {
    const bytes = archive(npy);
    bytes.writeUInt16LE(3, bytes.length - 2);
    expect(openNpz(Buffer.concat([bytes, Buffer.from('abc')]), 'a.npz').read('x')).to.deep.equal(X);
  });

  it('openNpz names the nearest array', () => {
    expect(() => openNpz(sample('arrays'), 'a.npz').read('masks')).to.throw(
      FileError,
      "a.npz has no array 'masks': did you mean 'mask'?; it has x, mask, in/ü",
    );
  });

  it('openNpz refuses a file of another kind, and says what it is', () => {
    expectRefused(npy, 'a.npz is not a valid .npz archive: it is a .npy file');
    expectRefused(Buffer.concat(encodeSafetensors({ tensors: [] })), 'it is a safetensors file');
    expectRefused(archive(npy, { name: 'archive/data.pkl' }), 'it is a torch.save file');
    expectRefused(archive(npy, { name: 'x.txt' }), 'it has no .npy files');
    expectRefused(new Uint8Array(0), 'it has no directory at its end: it is truncated');
    expectRefused(sample('arrays').slice(0, -1), 'it has no directory at its end: it is truncated');
  });

  it('openNpz refuses encryption, other methods of compression, and archives of more than 4 GiB', () => {
    expectRefused(archive(npy, { flags: 1 }), "'x' in a.npz cannot be read: it is encrypted");
    expectRefused(
      archive(npy, { method: 12 }),
      'its compression method is 12; numpy.savez_compressed writes 8',
    );
    expectRefused(archive(npy, { size: 0xffffffff }), 'it is larger than 4 GiB');
  });

  it('openNpz refuses an array whose bytes are damaged', () => {
    const changed = Uint8Array.from(npy);
    changed[npy.length - 1]! ^= 1;
    expectRefused(
      archive(npy, { data: deflateRawSync(changed) }),
      'its checksum is wrong: the archive is damaged',
    );
    expectRefused(archive(npy, { data: deflateRawSync(npy).subarray(0, -2) }), 'it is damaged');
    expectRefused(archive(npy, { data: Buffer.from([7, 7, 7]) }), 'it is damaged');
  });

  it('openNpz refuses to decompress an array above limits.arrayBytes, and reads a stored array of any size', () => {
    const zeros = encodeNpy(tensor('uint8', [2 ** 20], new Uint8Array(2 ** 20)));
    const packed = archive(zeros, { data: deflateRawSync(zeros) });
    const read = (bytes: Uint8Array, arrayBytes: number) =>
      openNpz(bytes, 'a.npz', { limits: { arrayBytes } }).read('x').data.length;
    expect(read(packed, zeros.length)).to.equal(2 ** 20);
    // 7 bytes are allowed for each byte of the archive.
    expect(read(packed, zeros.length - 7 * packed.length)).to.equal(2 ** 20);
    expect(() => read(packed, zeros.length - 7 * packed.length - 1))
      .to.throw(FileError, `'x' in a.npz takes ${zeros.length} bytes`)
      .with.property('code', 'LIMIT_EXCEEDED');
    expect(read(archive(zeros, { method: 0, data: zeros }), 0)).to.equal(2 ** 20);
    // Fortran order takes a second array.
    const turned = Uint8Array.from(Buffer.from(zeros).toString('latin1').replace('False', 'True '), (c) =>
      c.charCodeAt(0),
    );
    const packedTurned = archive(turned, { data: deflateRawSync(turned) });
    const memory = turned.length + 2 ** 20 - 7 * packedTurned.length;
    expect(read(packedTurned, memory)).to.equal(2 ** 20);
    expect(() => read(packedTurned, memory - 1)).to.throw(FileError, 'limits.arrayBytes');
  });

  it('openNpz refuses a bomb before it decompresses it', () => {
    // 256 MB of zeros behind an array of 24 bytes, and the size of either in the directory.
    const zeros = deflateRawSync(Buffer.concat([npy, Buffer.alloc(2 ** 28)]));
    const before = process.memoryUsage().rss;
    expectRefused(archive(npy, { data: zeros }), `it has more than ${npy.length} bytes`);
    expectRefused(
      archive(npy, { data: zeros, size: npy.length + 2 ** 28 }),
      `its header claims ${npy.length} bytes, but the archive says ${npy.length + 2 ** 28}`,
    );
    expect(process.memoryUsage().rss - before).to.be.below(2 ** 26);
  });
});
