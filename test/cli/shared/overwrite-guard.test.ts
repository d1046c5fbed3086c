import { readFileSync, writeFileSync } from 'node:fs';
import { link, mkdir, symlink, writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { requireInputsKept } from '../../../lib/cli/shared/overwrite-guard.js';
import { UsageError } from '../../../lib/cli/shared/terminal.js';
import { encodeNpy } from '../../../lib/index.js';
import { rejection, temporaryFolder } from '../../support/temporary.js';
import { floats, onnx, useTemporaryFolder, writeFixture } from '../support.js';

describe('requireInputsKept', () => {
  const path = temporaryFolder();
  const check = (output: string, input: string) =>
    requireInputsKept([['-o', output]], [['the file of --weights', input]]);

  it('refuses an output that is an input, and says which', async () => {
    await writeFile(path('a'), '');
    const error = await rejection(check(path('a'), path('a')));
    expect(error).to.be.instanceOf(UsageError);
    expect((error as Error).message).to.equal(
      `-o would write over '${path('a')}', which is the file of --weights: give it another path`,
    );
  });

  it('knows a file by its other names', async function () {
    if (process.platform === 'win32') this.skip();
    await mkdir(path('folder'));
    await writeFile(path('a'), '');
    await symlink(path('a'), path('symbolic'));
    await link(path('a'), path('hard'));
    for (const other of ['symbolic', 'hard', 'folder/../a']) {
      expect(await rejection(check(path(other), path('a'))), other).to.be.instanceOf(UsageError);
    }
  });

  it('lets pass another file, one that is not there yet, and what is not given', async () => {
    await writeFile(path('a'), '');
    await writeFile(path('b'), '');
    await check(path('b'), path('a'));
    await check(path('new'), path('a'));
    await check(path('a'), path('missing'));
    await requireInputsKept([['-o', path('a')]], [['the file of --weights', undefined]]);
  });
});

describe('no command writes over what it reads', () => {
  const at = useTemporaryFolder();

  async function expectKept(file: string, ...command: string[]): Promise<void> {
    const before = readFileSync(at(file));
    const { code, stderr } = await onnx(...command);
    expect(code, stderr).to.equal(2);
    expect(stderr).to.include(`would write over '${at(file)}'`);
    expect(readFileSync(at(file)).equals(before)).to.equal(true);
  }

  it('convert: its model', async () => {
    await onnx('build', 'group-norm', '--num-groups', '2', '--num-channels', '4', '-o', at('gn.onnx'));
    await expectKept('gn.onnx', 'convert', at('gn.onnx'), '-o', at('gn.onnx'));
  });

  it('build: its weights', async () => {
    await writeFixture(at('w'));
    const flags = ['--num-groups', '2', '--num-channels', '4', '--weights', at('w')];
    await expectKept('w', 'build', 'group-norm', ...flags, '-o', at('w'));
  });

  it('run: an input that is called as an output', async () => {
    await onnx('build', 'group-norm', '--num-groups', '2', '--num-channels', '4', '-o', at('gn.onnx'));
    writeFileSync(at('y.npy'), encodeNpy(floats([1, 4, 2, 2], Array(16).fill(1))));
    await expectKept('y.npy', 'run', at('gn.onnx'), '--input', `x=${at('y.npy')}`, '--output', at());
  });

  it('run --image: the image', async () => {
    writeFileSync(at('in.png'), readFileSync(new URL('../../../demo/cells.png', import.meta.url)));
    await onnx('build', 'unet', '--width', '8', '-o', at('u.onnx'));
    await expectKept('in.png', 'run', at('u.onnx'), '--image', at('in.png'), '--mask', at('in.png'));
  });

  it('parity: a fixture', async () => {
    await writeFixture(at('f.safetensors'));
    for (const option of ['--json', '--junit']) {
      await expectKept('f.safetensors', 'parity', at('f.safetensors'), option, at('f.safetensors'));
    }
  });
});
