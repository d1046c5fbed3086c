import { type FileHandle, open, readFile } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { type FileContent, writeContent } from '../../lib/files/atomic.js';
import { rejection, temporaryFolder } from '../support/temporary.js';

const MIB = 2 ** 20;

/** A handle that keeps what is written, up to `most` bytes a call, and the calls in order. */
class FakeHandle {
  readonly calls: string[] = [];
  readonly #written: Uint8Array[] = [];

  constructor(
    readonly most = Infinity,
    readonly flushes: () => Promise<void> = () => Promise.resolve(),
  ) {}

  writev(arrays: readonly Uint8Array[]) {
    const all = Buffer.concat(arrays).subarray(0, this.most);
    this.calls.push(`write ${arrays.length}`);
    this.#written.push(all);
    return Promise.resolve({ bytesWritten: all.length, buffers: arrays });
  }

  get bytes(): number[] {
    return [...Buffer.concat(this.#written)];
  }

  async datasync() {
    this.calls.push('datasync');
    await this.flushes();
    this.calls.push('flushed');
  }

  sync() {
    this.calls.push('sync');
    return Promise.resolve();
  }
}

const write = (handle: FakeHandle, content: FileContent) =>
  writeContent(handle as unknown as FileHandle, content);

describe('files/write-content', () => {
  const path = temporaryFolder();

  it('writeContent writes chunks of any length, also longer than one call may write, and skips an empty chunk', async () => {
    const chunks = [3, 0, 40 * MIB, 1, 16 * MIB, 17].map((length, i) => new Uint8Array(length).fill(i + 1));
    const handle = await open(path('file'), 'w');
    await writeContent(handle, chunks);
    await handle.close();
    expect((await readFile(path('file'))).equals(Buffer.concat(chunks))).to.be.true;
  });

  it('writeContent continues after a call that wrote only a part', async () => {
    const chunks = [Uint8Array.of(1, 2, 3), new Uint8Array(0), Uint8Array.of(4), Uint8Array.of(5, 6, 7, 8)];
    for (const most of [1, 2, 3, 4, 5, 7, 8]) {
      const handle = new FakeHandle(most);
      await write(handle, chunks);
      expect(handle.bytes, `${most} bytes a call`).to.deep.equal([1, 2, 3, 4, 5, 6, 7, 8]);
    }
  });

  it('writeContent writes many small chunks with few calls, and with no more arrays than systems accept', async () => {
    const handle = new FakeHandle();
    await write(
      handle,
      Array.from({ length: 2500 }, () => Uint8Array.of(7)),
    );
    expect(handle.calls.filter((call) => call.startsWith('write'))).to.deep.equal([
      'write 1024',
      'write 1024',
      'write 452',
    ]);
  });

  it('writeContent flushes small content once', async () => {
    const handle = new FakeHandle();
    await write(handle, 'ü');
    expect(handle.calls).to.deep.equal(['write 1', 'sync']);
    expect(handle.bytes).to.deep.equal([0xc3, 0xbc]);
  });

  it('writeContent fails at its end if a flush fails on the way', async () => {
    const full = new Error('no space');
    const handle = new FakeHandle(Infinity, async () => {
      await setImmediate();
      throw full;
    });
    const large = Array.from({ length: 3 }, () => new Uint8Array(12 * MIB));
    expect(await rejection(write(handle, large))).to.equal(full);
    expect(handle.calls).to.include('datasync').and.not.include('sync');
  });

  it('writeContent waits for the running flush when the content fails, so that the handle can be closed', async () => {
    const handle = new FakeHandle(Infinity, () => setImmediate());
    const broken = new Error('no more');
    async function* content() {
      for (let i = 0; i < 3; i++) yield new Uint8Array(12 * MIB);
      await Promise.resolve();
      throw broken;
    }
    expect(await rejection(write(handle, content()))).to.equal(broken);
    expect(handle.calls.at(-1)).to.equal('flushed');
  });
});
