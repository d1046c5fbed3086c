import { expect } from 'chai';
import { describe, it } from 'mocha';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { findFixtures } from '../../lib/cli/parity-files.js';
import { FileError, ParityError } from '../../lib/index.js';
import { useTemporaryFolder } from './support.js';

describe('cli/parity-files', () => {
  const at = useTemporaryFolder();
  const touch = (...names: string[]) => names.forEach((name) => writeFileSync(at(name), ''));

  it('folders are searched to the bottom, and what is found is sorted', async () => {
    mkdirSync(at('b/c'), { recursive: true });
    touch('z.safetensors', 'b/y.safetensors', 'b/c/x.safetensors', 'a.safetensors', 'b/report.json');
    expect(await findFixtures([at()])).to.deep.equal(
      ['a.safetensors', 'b/c/x.safetensors', 'b/y.safetensors', 'z.safetensors'].map(at),
    );
  });

  it('paths keep their order, and files their names, whatever these are', async () => {
    mkdirSync(at('b'));
    touch('z.bin', 'b/y.safetensors');
    expect(await findFixtures([at('z.bin'), at('b')])).to.deep.equal(['z.bin', 'b/y.safetensors'].map(at));
  });

  it('a path that does not exist is an error, even beside one that does', async () => {
    touch('a.safetensors');
    const error: unknown = await findFixtures([at('a.safetensors'), at('none')]).catch(
      (caught: unknown) => caught,
    );
    expect(error)
      .to.be.instanceOf(FileError)
      .and.to.include({
        code: 'FILE_NOT_FOUND',
        message: `cannot read '${at('none')}': it does not exist; check the path`,
      });
  });

  it('a path that is there but cannot be followed is unreadable, not missing', async function () {
    if (process.platform === 'win32') this.skip();
    symlinkSync('loop', at('loop'));
    const error: unknown = await findFixtures([at('loop')]).catch((caught: unknown) => caught);
    expect(error).to.be.instanceOf(FileError).and.to.include({ code: 'FILE_UNREADABLE' });
  });

  it('a file that two paths lead to is there once', async () => {
    touch('a.safetensors');
    expect(await findFixtures([at('a.safetensors'), at(), at('./x/../a.safetensors')])).to.deep.equal([at('a.safetensors')]); // prettier-ignore
  });

  it('a folder without fixtures is an error, even beside one that has some', async () => {
    touch('a.safetensors');
    mkdirSync(at('empty'));
    const error: unknown = await findFixtures([at('a.safetensors'), at('empty')]).catch(
      (caught: unknown) => caught,
    );
    expect(error).to.be.instanceOf(ParityError).and.to.include({ code: 'NO_FIXTURES' });
  });
});
