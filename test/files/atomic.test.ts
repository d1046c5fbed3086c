import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, lstat, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { expect } from 'chai';
import { afterEach, describe, it } from 'mocha';
import { FileError, WeightsError } from '../../lib/errors.js';
import { removeTemporaryFiles, writeFileAtomic, writeFilesAtomic } from '../../lib/files/atomic.js';
import { openRanged } from '../../lib/files/read.js';
import { onWriting } from '../../lib/files/temporary.js';
import type { StoredBytes, StoredFile } from '../../lib/tensor.js';
import { rejection, temporaryFolder } from '../support/temporary.js';

const listeners = (): number[] => ['SIGINT', 'SIGTERM', 'exit'].map((event) => process.listenerCount(event));

/** Chunks of text; an Error among them is thrown. */
async function* chunks(...items: (string | Error | (() => Promise<void>))[]): AsyncGenerator<Uint8Array> {
  for (const item of items) {
    if (item instanceof Error) throw item;
    else if (typeof item === 'string') yield Buffer.from(item);
    else await item();
  }
}

/** Bytes that are not in memory; reading beyond `end` fails. */
const stored = (content: Uint8Array, end = Infinity): StoredBytes => ({
  byteLength: content.byteLength,
  async readInto(offset, bytes) {
    await Promise.resolve();
    if (offset + bytes.byteLength > end) throw new FileError('FILE_UNREADABLE', 'it has shrunk');
    bytes.set(content.subarray(offset, offset + bytes.byteLength));
  },
});

describe('writing files', () => {
  const path = temporaryFolder();
  const read = (name: string): Promise<string> => readFile(path(name), 'utf8');

  describe('writeFileAtomic', () => {
    it('writeFileAtomic writes text, bytes, and chunks from an array or an async generator', async () => {
      await writeFileAtomic(path('text'), 'é\n');
      await writeFileAtomic(path('bytes'), Uint8Array.of(0x61, 0x62, 0x63, 0x64).subarray(1, 3));
      await writeFileAtomic(path('chunks'), [Buffer.from('a'), new Uint8Array(0), Buffer.from('bc')]);
      await writeFileAtomic(path('stream'), chunks('a', 'bc'));
      await writeFileAtomic(path('empty'), []);
      const contents = ['text', 'bytes', 'chunks', 'stream', 'empty'].map(read);
      expect(await Promise.all(contents)).to.deep.equal(['é\n', 'bc', 'abc', 'abc', '']);
    });

    it('writeFileAtomic copies bytes that are not in memory, of any length, in their place among the chunks', async () => {
      const expected: Uint8Array[] = [];
      const content: (Uint8Array | StoredBytes)[] = [];
      for (const length of [0, 1, 2 ** 20 - 1, 2 ** 20, 3 * 2 ** 20 + 5]) {
        const bytes = Uint8Array.from({ length }, (_, i) => (i * 7 + length) % 251);
        expected.push(Buffer.from('before'), bytes);
        content.push(Buffer.from('before'), stored(bytes));
      }
      await writeFileAtomic(path('copy'), content);
      expect((await readFile(path('copy'))).equals(Buffer.concat(expected))).to.equal(true);
    });

    it('writeFileAtomic leaves no file when bytes cannot be read in the middle of a copy', async () => {
      const cut = stored(new Uint8Array(2 ** 22), 2 ** 21);
      const error = await rejection(writeFileAtomic(path('cut'), [Buffer.from('before'), cut]));
      expect(error).to.be.instanceOf(FileError).with.property('code', 'FILE_UNREADABLE');
      expect(await readdir(path())).to.not.include('cut');
      expect((await readdir(path())).filter((name) => name.includes('cut'))).to.deep.equal([]);
    });

    it('writeFileAtomic makes missing folders', async () => {
      await writeFileAtomic(path('a', 'b', 'file'), 'new');
      expect(await read('a/b/file')).to.equal('new');
    });

    it('writeFileAtomic refuses a folder that cannot be made, and does not try again', async function () {
      if (process.platform !== 'linux') this.skip();
      const error = await rejection(writeFileAtomic('/proc/onnx-groupnorm/file', 'new'));
      expect((error as Error).message).to.include(
        'its folder does not take new files, or is gone; choose another path',
      );
      expect(error).to.be.instanceOf(FileError).with.property('code', 'FILE_UNWRITABLE');
    });

    it('writeFilesAtomic refuses a file that the disk has no room for before it reads the content, and leaves no folder behind', async () => {
      let isRead = false;
      const content = chunks(() => Promise.resolve(void (isRead = true)));
      const file = { path: path('new', 'file'), content, byteLength: 2 ** 60 };
      const error = await rejection(writeFilesAtomic([file]));
      expect(error).to.be.instanceOf(FileError).with.property('code', 'FILE_UNWRITABLE');
      expect((error as Error).message).to.match(
        /it takes 1150000000 GB, and [\d.]+ [kMG]B are left on the disk; free some or choose another disk$/,
      );
      expect(isRead).to.be.false;
      expect(await readdir(path())).to.deep.equal([]);
    });

    it('writeFileAtomic replaces a file, keeps its mode, and leaves no other file behind', async () => {
      await writeFile(path('file'), 'a longer old text');
      await chmod(path('file'), 0o604);
      await writeFileAtomic(path('file'), 'new');
      expect(await read('file')).to.equal('new');
      expect((await stat(path('file'))).mode & 0o777).to.equal(0o604);
      expect(await readdir(path())).to.deep.equal(['file']);
    });

    it('writeFileAtomic gives a new file the mode of any new file', async () => {
      await writeFile(path('plain'), '');
      await writeFileAtomic(path('atomic'), '');
      expect((await stat(path('atomic'))).mode).to.equal((await stat(path('plain'))).mode);
    });

    it('writeFilesAtomic begins a file with a copy of another file, with the mode of a new file, or of the old one', async () => {
      await writeFile(path('source'), 'begin ');
      await chmod(path('source'), 0o400);
      await writeFile(path('plain'), '');
      await writeFile(path('old'), 'old');
      await chmod(path('old'), 0o604);
      const source = await openRanged(path('source'));
      const copyOf = { size: source.size, copyTo: source.copyTo!.bind(source) };
      for (const name of ['new', 'old']) {
        await writeFilesAtomic([{ path: path(name), copyOf, content: chunks('and ', 'end') }]);
        expect(await read(name)).to.equal('begin and end');
      }
      await source.close();
      expect((await stat(path('new'))).mode).to.equal((await stat(path('plain'))).mode);
      expect((await stat(path('old'))).mode & 0o777).to.equal(0o604);
      expect((await readdir(path())).sort()).to.deep.equal(['new', 'old', 'plain', 'source']);
    });

    it('writeFileAtomic writes the file that a symbolic link points to, and keeps the link', async () => {
      await mkdir(path('folder'));
      await writeFile(path('folder', 'file'), 'old');
      await symlink(path('folder', 'file'), path('link'));
      await writeFileAtomic(path('link'), 'new');
      expect(await read('folder/file')).to.equal('new');
      expect((await lstat(path('link'))).isSymbolicLink()).to.equal(true);
    });

    it('writeFileAtomic writes a file whose name is as long as the file system allows', async () => {
      await writeFileAtomic(path('n'.repeat(255)), 'new');
      expect(await readdir(path())).to.deep.equal(['n'.repeat(255)]);
    });

    it('writeFileAtomic lets two writes of one file both succeed, one after the other', async () => {
      await Promise.all([writeFileAtomic(path('file'), 'one'), writeFileAtomic(path('file'), 'two')]);
      expect(await read('file')).to.be.oneOf(['one', 'two']);
      expect(await readdir(path())).to.deep.equal(['file']);
    });

    it('writeFileAtomic leaves the old file as it was when the content fails, and passes the error on', async () => {
      await writeFile(path('file'), 'old');
      const failure = new WeightsError('TENSOR_NOT_FOUND', 'no such tensor');
      expect(await rejection(writeFileAtomic(path('file'), chunks('new', failure)))).to.equal(failure);
      const bug = new TypeError('a bug');
      expect(await rejection(writeFileAtomic(path('file'), chunks('new', bug)))).to.equal(bug);
      expect(await read('file')).to.equal('old');
      expect(await readdir(path())).to.deep.equal(['file']);
    });

    it('writeFileAtomic says which path cannot be written, why, and what to do', async () => {
      await writeFile(path('file'), 'old');
      await mkdir(path('folder'));
      const cases: [string, string][] = [
        [path('file', 'x'), 'a part of its path is a file, not a folder; choose another path'],
        [path('file', 'x', 'y'), 'a part of its path is a file, not a folder; choose another path'],
        [path('folder'), 'it is a folder; name a file'],
        [`${path('folder')}/`, 'it is a folder; name a file'],
        [`${path('missing')}/`, 'it is a folder; name a file'],
        [path('n'.repeat(256)), 'the name is too long; choose a shorter one'],
      ];
      for (const [target, reason] of cases) {
        const error = await rejection(writeFileAtomic(target, 'new'));
        expect(error).to.be.instanceOf(FileError).with.property('code', 'FILE_UNWRITABLE');
        expect((error as Error).message)
          .to.include(`cannot write '${target}': `)
          .and.include(reason);
      }
      const error = await rejection(writeFileAtomic(path('a\0b'), 'new'));
      expect((error as Error).message).to.match(/^cannot write '.*a\\u0000b': .*must be a string/);
      expect(await readdir(path())).to.have.members(['file', 'folder']);
    });

    it('writeFileAtomic removes the folders that it made when it fails', async () => {
      await mkdir(path('old'));
      const failing = chunks('new', new TypeError('a bug'));
      await rejection(writeFileAtomic(path('old', 'new', 'newer', 'file'), failing));
      expect(await readdir(path(), { recursive: true })).to.deep.equal(['old']);
      await writeFileAtomic(path('old', 'new', 'file'), 'new');
      expect(await readdir(path('old', 'new'))).to.deep.equal(['file']);
    });

    it("writeFileAtomic keeps the system's error as the cause", async () => {
      await writeFile(path('file'), 'old');
      const error = await rejection(writeFileAtomic(path('file', 'x'), 'new'));
      expect(error).to.have.nested.property('cause.code', 'ENOTDIR');
    });

    it('writeFileAtomic refuses to replace a path that is not a regular file', async function () {
      if (process.platform === 'win32') this.skip(); // A socket is not a file on Windows.
      const server = createServer().listen(path('socket'));
      await once(server, 'listening');
      const error = await rejection(writeFileAtomic(path('socket'), 'new'));
      expect(error).to.be.instanceOf(FileError).with.property('message').that.includes('not a regular file');
      expect((await stat(path('socket'))).isSocket()).to.equal(true);
      server.close();
    });

    it('writeFileAtomic refuses to replace a file without write permission', async function () {
      if (process.getuid?.() === 0) this.skip(); // Root may write every file.
      await writeFile(path('file'), 'old', { mode: 0o444 });
      const error = await rejection(writeFileAtomic(path('file'), 'new'));
      expect(error).to.have.property('code', 'FILE_UNWRITABLE');
      expect(await read('file')).to.equal('old');
    });
  });

  describe('writeFilesAtomic', () => {
    it('writeFilesAtomic renames no file before all files are written', async () => {
      await writeFile(path('model'), 'old');
      const check = async (): Promise<void> => {
        expect(await read('model')).to.equal('old');
        expect(existsSync(path('data'))).to.equal(false);
      };
      await writeFilesAtomic([
        { path: path('model'), content: 'new' },
        { path: path('data'), content: chunks('1', check, '2') },
      ]);
      expect(await Promise.all(['model', 'data'].map(read))).to.deep.equal(['new', '12']);
    });

    it('writeFilesAtomic writes no file when one file fails', async () => {
      await writeFile(path('model'), 'old');
      for (const bad of [
        { path: path('model', 'x'), content: '' },
        { path: path('data'), content: chunks(new Error()) },
      ]) {
        await rejection(writeFilesAtomic([{ path: path('model'), content: 'new' }, bad]));
        expect(await read('model')).to.equal('old');
        expect(await readdir(path())).to.deep.equal(['model']);
      }
    });

    it('writeFilesAtomic restores the files that it renamed when a later rename fails', async () => {
      await writeFile(path('old'), 'old data');
      // As another program might, between the check of a path and the rename.
      async function* obstacle() {
        await mkdir(path('model'));
        yield Buffer.from('new');
      }
      const files = [
        { path: path('old'), content: 'new data' },
        { path: path('new'), content: 'new data' },
        { path: path('model'), content: obstacle() },
      ];
      const error = await rejection(writeFilesAtomic(files));
      expect(error).to.be.instanceOf(FileError).with.property('code', 'FILE_UNWRITABLE');
      expect(await read('old')).to.equal('old data');
      expect((await readdir(path())).sort()).to.deep.equal(['model', 'old']);
    });

    it('writeFilesAtomic replaces files that belong together and leaves no other file behind', async () => {
      for (const name of ['data', 'model']) await writeFile(path(name), 'old');
      await writeFilesAtomic([
        { path: path('data'), content: 'new' },
        { path: path('model'), content: 'new' },
      ]);
      expect([await read('data'), await read('model')]).to.deep.equal(['new', 'new']);
      expect((await readdir(path())).sort()).to.deep.equal(['data', 'model']);
    });

    it('writeFilesAtomic refuses to write one file twice, under any of its paths', async () => {
      await writeFile(path('model'), 'old');
      await symlink(path('model'), path('link'));
      for (const second of [path('model'), path('.', 'x', '..', 'model'), path('link')]) {
        const files = [path('model'), second].map((target) => ({ path: target, content: 'new' }));
        const error = await rejection(writeFilesAtomic(files));
        expect(error).to.be.instanceOf(FileError).with.property('message').that.includes('written twice');
      }
      expect(await read('model')).to.equal('old');
    });

    it('writeFilesAtomic accepts an empty list of files', async () => {
      await writeFilesAtomic([]);
    });
  });

  describe('removeTemporaryFiles', () => {
    afterEach(() => onWriting({ begin: () => undefined, end: () => undefined }));

    it('removeTemporaryFiles removes the temporary files of a write under way, which then fails', async () => {
      await writeFile(path('file'), 'old');
      const remove = async (): Promise<void> => {
        expect(await readdir(path())).to.have.length(2);
        removeTemporaryFiles();
        expect(await readdir(path())).to.deep.equal(['file']);
      };
      const error = await rejection(writeFileAtomic(path('file'), chunks('new', remove)));
      expect(error).to.be.instanceOf(FileError).with.property('code', 'FILE_UNWRITABLE');
      expect((error as Error).message).to.equal(
        `cannot write '${path('file')}': a signal stopped the writing; write it again`,
      );
      expect(await readdir(path())).to.deep.equal(['file']);
      expect(await read('file')).to.equal('old');
    });

    it('removeTemporaryFiles removes a copy under way, and the write fails', async () => {
      const copyOf: StoredFile = {
        size: 3,
        async copyTo(target) {
          await writeFile(target, 'new');
          removeTemporaryFiles();
        },
      };
      const error = await rejection(writeFilesAtomic([{ path: path('file'), copyOf, content: 'end' }]));
      expect(error).to.have.property('message').that.includes('a signal stopped the writing');
      expect(await readdir(path())).to.deep.equal([]);
    });

    it('onWriting calls begin before the first temporary file and end after the last', async () => {
      const heard: string[] = [];
      onWriting({ begin: () => heard.push('begin'), end: () => heard.push('end') });
      await Promise.all([
        writeFileAtomic(
          path('a'),
          chunks('1', () => Promise.resolve(void heard.push('writing'))),
        ),
        rejection(writeFileAtomic(path('c'), chunks(new Error()))),
      ]);
      expect(heard).to.deep.equal(['begin', 'writing', 'end']);
    });

    it('writeFileAtomic listens for no signal and no exit', async () => {
      const before = listeners();
      const check = async (): Promise<void> => expect(listeners()).to.deep.equal(before) && Promise.resolve();
      await writeFileAtomic(path('a'), chunks('1', check));
      expect(listeners()).to.deep.equal(before);
    });
  });
});
