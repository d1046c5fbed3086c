import { expect } from 'chai';
import { describe, it } from 'mocha';
import { FileError } from '../../lib/errors.js';
import { rangedBlob } from '../../lib/files/ranged.js';
import { rejection } from '../support/temporary.js';

const file = (blob = new Blob([Uint8Array.of(1, 2, 3, 4)])) => rangedBlob(blob, 'dropped.bin');

async function reason(promise: Promise<unknown>): Promise<string> {
  const error = (await rejection(promise)) as FileError;
  expect(error).to.be.instanceOf(FileError).with.property('code', 'FILE_UNREADABLE');
  return error.message;
}

describe('a Blob as a file of which parts are read', () => {
  it("rangedBlob returns the bytes of a range, and has the Blob's size", async () => {
    expect(file().size).to.equal(4);
    expect(await file().read(1, 2)).to.deep.equal(Uint8Array.of(2, 3));
    expect(await file().read(4, 0)).to.deep.equal(new Uint8Array(0));
  });

  it('rangedBlob refuses a range beyond its end, which slice would shorten', async () => {
    expect(await reason(file().read(3, 2))).to.equal(
      "cannot read 'dropped.bin': it holds 4 bytes, not 2 bytes from byte 3 on",
    );
    await reason(file().read(-1, 2));
    await reason(file().read(0.5, 1));
  });

  it('rangedBlob refuses reads after close', async () => {
    const closed = file();
    await closed.close();
    await closed.close();
    expect(await reason(closed.read(0, 1))).to.include('it has been closed');
  });

  it('rangedBlob says that the browser cannot read the file, for example after it changed on disk', async () => {
    const broken = { size: 4, slice: () => ({ arrayBuffer: () => Promise.reject(new Error('changed')) }) };
    expect(await reason(rangedBlob(broken, 'a.bin').read(0, 1))).to.equal("cannot read 'a.bin': changed");
  });
});
