import { expect } from 'chai';
import { describe, it } from 'mocha';
import { open, readFile } from 'node:fs/promises';
import { reasonOf, systemCode } from '../../lib/files/system-error.js';
import { rejection, temporaryFolder } from '../support/temporary.js';

describe('files/system-error', () => {
  const path = temporaryFolder();

  it("systemCode and reasonOf recognise the system's errors, and give advice", async () => {
    const error = await rejection(readFile(path('none')));
    expect(systemCode(error)).to.equal('ENOENT');
    expect(reasonOf(error)).to.equal('it does not exist; check the path');
    expect(reasonOf(await rejection(readFile(path())))).to.equal('it is a folder; name a file');
  });

  it('reasonOf gives the message of an unknown error, and the text of any other value', () => {
    expect(reasonOf(Object.assign(new Error('odd'), { code: 'EODD' }))).to.equal('odd');
    expect(reasonOf(new Error('plain'))).to.equal('plain');
    expect(reasonOf('text')).to.equal('text');
  });

  it('systemCode is undefined for a value that is not a system error', () => {
    const others = [
      new Error('x'),
      Object.assign(new Error('x'), { code: 7 }),
      { code: 'ENOENT' },
      'ENOENT',
      null,
    ];
    for (const other of others) expect(systemCode(other)).to.be.undefined;
  });

  it('reasonOf says that the system reports an error while a file is read, as Linux does for memory that is not there', async function () {
    if (process.platform !== 'linux') this.skip();
    const handle = await open('/proc/self/mem');
    const error = await rejection(handle.read(new Uint8Array(1), 0, 1, 0));
    await handle.close();
    expect(systemCode(error)).to.equal('EIO');
    expect(reasonOf(error)).to.include('reports an error while it is read or written');
  });
});
