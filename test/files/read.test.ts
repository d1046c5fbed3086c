import { lstat, mkdir, open, readFile, rename, symlink, truncate, writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { FileError } from '../../lib/errors.js';
import { openRanged, readFileBytes } from '../../lib/files/read.js';
import { printable } from '../../lib/printable.js';
import { rejection, temporaryFolder } from '../support/temporary.js';

const GIB = 2 ** 30;

/** A file of zeros that takes no room on the disk, but for `text` at `position`. */
async function writeSparse(target: string, size: number, position: number, text: string): Promise<void> {
  const handle = await open(target, 'w');
  await handle.truncate(size);
  await handle.write(Buffer.from(text), 0, text.length, position);
  await handle.close();
}

describe('reading files', () => {
  const path = temporaryFolder();

  describe('readFileBytes', () => {
    it('readFileBytes returns exactly the bytes of a file', async () => {
      await writeFile(path('file'), Uint8Array.of(1, 2, 3));
      const bytes = await readFileBytes(path('file'));
      expect(bytes).to.deep.equal(Uint8Array.of(1, 2, 3));
      expect(bytes.buffer.byteLength).to.equal(3);
    });

    it('readFileBytes reads an empty file, and a file behind a symbolic link', async () => {
      await writeFile(path('empty'), '');
      await symlink(path('empty'), path('link'));
      expect(await readFileBytes(path('empty'))).to.have.length(0);
      expect(await readFileBytes(path('link'))).to.have.length(0);
    });

    it('readFileBytes says that a file does not exist', async () => {
      await writeFile(path('file'), '');
      await expectRefused(path('missing'), 'FILE_NOT_FOUND', 'it does not exist; check the path');
      await expectRefused(path('file', 'x'), 'FILE_NOT_FOUND', 'a part of its path is a file');
      await expectRefused('', 'FILE_NOT_FOUND', 'it does not exist');
      expect(await rejection(readFileBytes(path('missing')))).to.have.nested.property('cause.code', 'ENOENT');
    });

    it('readFileBytes says that a path is not a file, or not a valid path', async () => {
      await mkdir(path('folder'));
      await symlink(path('circle'), path('circle'));
      await expectRefused(path('folder'), 'FILE_UNREADABLE', 'it is a folder; name a file');
      await expectRefused(path('circle'), 'FILE_UNREADABLE', 'links lead in a circle');
      await expectRefused('a\0b', 'FILE_UNREADABLE', 'null bytes');
      if (process.platform !== 'win32') {
        await expectRefused('/dev/zero', 'FILE_UNREADABLE', 'it is not a regular file');
      }
    });

    it('readFileBytes says that a file does not fit in memory', async () => {
      await writeFile(path('huge'), '');
      await truncate(path('huge'), 2 ** 42);
      const error = await rejection(readFileBytes(path('huge')));
      expect(error).to.have.property('message').that.includes('4398046511104 bytes do not fit in memory');
      expect(error).to.have.property('code', 'FILE_UNREADABLE');
    });
  });

  describe('openRanged', () => {
    it('openRanged reads any range within the file', async () => {
      await writeFile(path('file'), 'abcdef');
      const file = await openRanged(path('file'));
      expect(file.size).to.equal(6);
      expect(file.path).to.equal(path('file'));
      const ranges = await Promise.all([file.read(4, 2), file.read(0, 6), file.read(6, 0), file.read(2, 1)]);
      expect(ranges.map((bytes) => Buffer.from(bytes).toString())).to.deep.equal(['ef', 'abcdef', '', 'c']);
      await file.close();
    });

    it('openRanged refuses any other range before it allocates memory', async () => {
      await writeFile(path('file'), 'abcdef');
      const file = await openRanged(path('file'));
      const before = process.memoryUsage().arrayBuffers;
      const ranges = [
        [0, 7],
        [6, 1],
        [-1, 2],
        [0, -1],
        [0.5, 1],
        [0, NaN],
        [0, 2 ** 31],
        [2 ** 53, 1],
        [1, Infinity],
      ];
      for (const [offset, length] of ranges) {
        const error = await rejection(file.read(offset!, length!));
        expect(error, `${offset}, ${length}`)
          .to.be.instanceOf(FileError)
          .with.property('code', 'FILE_UNREADABLE');
        expect((error as Error).message).to.include(
          `${length} bytes from byte ${offset} on were asked for, but the file has 6 bytes`,
        );
      }
      expect(process.memoryUsage().arrayBuffers - before).to.be.below(1e6);
      await file.close();
    });

    it('openRanged reads beyond 2 and 4 GiB', async () => {
      await writeSparse(path('large'), 5 * GIB, 4.5 * GIB, 'here');
      const file = await openRanged(path('large'));
      expect(file.size).to.equal(5 * GIB);
      expect(Buffer.from(await file.read(4.5 * GIB - 1, 6)).toString()).to.equal('\0here\0');
      expect(await file.read(5 * GIB - 1, 1)).to.deep.equal(Uint8Array.of(0));
      await file.close();
    });

    it('openRanged says that the file has shrunk since it was opened', async () => {
      await writeFile(path('file'), 'abcdef');
      const file = await openRanged(path('file'));
      await truncate(path('file'), 3);
      const error = await rejection(file.read(1, 4));
      expect(error)
        .to.have.property('message')
        .that.includes('it ends at byte 3; another program has changed it meanwhile');
      await file.close();
    });

    it('openRanged returns a reader that copies the file, and refuses to if another file has its path', async () => {
      await writeFile(path('file'), 'abcdef');
      await symlink(path('file'), path('link'));
      const file = await openRanged(path('link'));
      await file.copyTo!(path('copy'));
      expect(await readFile(path('copy'), 'utf8')).to.equal('abcdef');
      expect((await lstat(path('copy'))).isFile()).to.be.true;
      expect(await rejection(file.copyTo!(path('copy')))).to.have.property('code', 'EEXIST');
      await writeFile(path('other'), 'ABCDEF');
      await rename(path('other'), path('file'));
      expect(await rejection(file.copyTo!(path('second'))))
        .to.be.instanceOf(FileError)
        .with.property('message')
        .that.includes('another program has changed it meanwhile');
      await file.close();
    });

    it('openRanged returns a reader that can be closed twice, and not read after', async () => {
      await writeFile(path('file'), 'abcdef');
      const file = await openRanged(path('file'));
      const last = file.read(0, 6);
      await file.close();
      await file.close();
      expect(await last).to.have.length(6);
      const error = await rejection(file.read(0, 1));
      expect(error).to.be.instanceOf(FileError).with.property('message').that.includes('it has been closed');
    });
  });
});

/** What is wrong with a path, for reading it whole and for opening it. */
async function expectRefused(target: string, code: string, reason: string): Promise<void> {
  for (const attempt of [readFileBytes, openRanged]) {
    const error = await rejection(attempt(target));
    expect(error).to.be.instanceOf(FileError).with.property('code', code);
    expect((error as Error).message)
      .to.include(`cannot read '${printable(target)}': `)
      .and.include(reason);
  }
}
