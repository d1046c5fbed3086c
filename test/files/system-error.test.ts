import { expect } from 'chai';
import { describe, it } from 'mocha';
import { readFile } from 'node:fs/promises';
import { reasonOf, systemCode } from '../../lib/files/system-error.js';
import { rejection, temporaryFolder } from '../support/temporary.js';

describe('files/system-error', () => {
  const path = temporaryFolder();

  it("knows the system's errors by their code, and gives a way out", async () => {
    const error = await rejection(readFile(path('none')));
    expect(systemCode(error)).to.equal('ENOENT');
    expect(reasonOf(error)).to.equal('it does not exist; check the path');
    expect(reasonOf(await rejection(readFile(path())))).to.equal('it is a folder; name a file');
  });

  it('gives the message of an error that it does not know, and of anything else its text', () => {
    expect(reasonOf(Object.assign(new Error('odd'), { code: 'EODD' }))).to.equal('odd');
    expect(reasonOf(new Error('plain'))).to.equal('plain');
    expect(reasonOf('text')).to.equal('text');
  });

  it('has no code for what is no error of the system', () => {
    const others = [
      new Error('x'),
      Object.assign(new Error('x'), { code: 7 }),
      { code: 'ENOENT' },
      'ENOENT',
      null,
    ];
    for (const other of others) expect(systemCode(other)).to.be.undefined;
  });
});
