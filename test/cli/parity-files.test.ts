import { expect } from 'chai';
import { describe, it } from 'mocha';
import { mkdirSync, writeFileSync } from 'node:fs';
import { findFixtures } from '../../lib/cli/parity-files.js';
import { ParityError } from '../../lib/index.js';
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
    expect(await findFixtures([at('z.bin'), at('b'), at('none')])).to.deep.equal(
      ['z.bin', 'b/y.safetensors', 'none'].map(at),
    );
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
