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
  it('gives the bytes of a range, and has its size', async () => {
    expect(file().size).to.equal(4);
    expect(await file().read(1, 2)).to.deep.equal(Uint8Array.of(2, 3));
    expect(await file().read(4, 0)).to.deep.equal(new Uint8Array(0));
  });

  it('refuses a range that it does not hold, which slice would cut short', async () => {
    expect(await reason(file().read(3, 2))).to.equal(
      "cannot read 'dropped.bin': it holds 4 bytes, not 2 bytes from byte 3 on",
    );
    await reason(file().read(-1, 2));
    await reason(file().read(0.5, 1));
  });

  it('refuses reads after it was closed', async () => {
    const closed = file();
    await closed.close();
    await closed.close();
    expect(await reason(closed.read(0, 1))).to.include('it has been closed');
  });

  it('says so where the browser cannot read it, as when the file has changed on disk', async () => {
    const broken = { size: 4, slice: () => ({ arrayBuffer: () => Promise.reject(new Error('changed')) }) };
    expect(await reason(rangedBlob(broken, 'a.bin').read(0, 1))).to.equal("cannot read 'a.bin': changed");
  });
});
