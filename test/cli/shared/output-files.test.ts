import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { link, mkdir, symlink, writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { refuseOverwritingInputs, requireWritableOutputs } from '../../../lib/cli/shared/output-files.js';
import { UsageError } from '../../../lib/cli/shared/terminal.js';
import { encodeNpy } from '../../../lib/index.js';
import { rejection, temporaryFolder } from '../../support/temporary.js';
import { floats, onnx, useTemporaryFolder, writeFixture } from '../support.js';

describe('refuseOverwritingInputs', () => {
  const path = temporaryFolder();
  const check = (output: string, input: string) =>
    refuseOverwritingInputs([['-o', output]], [['the file of --weights', input]]);

  it('refuseOverwritingInputs refuses an output that is an input, and says which', async () => {
    await writeFile(path('a'), '');
    const error = await rejection(check(path('a'), path('a')));
    expect(error).to.be.instanceOf(UsageError);
    expect((error as Error).message).to.equal(
      `-o would overwrite '${path('a')}', which is the file of --weights; choose another path`,
    );
  });

  it('refuseOverwritingInputs recognises a file by its links', async function () {
    if (process.platform === 'win32') this.skip();
    await mkdir(path('folder'));
    await writeFile(path('a'), '');
    await symlink(path('a'), path('symbolic'));
    await link(path('a'), path('hard'));
    for (const other of ['symbolic', 'hard', 'folder/../a']) {
      expect(await rejection(check(path(other), path('a'))), other).to.be.instanceOf(UsageError);
    }
  });

  it('refuseOverwritingInputs accepts other files, new files and options that are not given', async () => {
    await writeFile(path('a'), '');
    await writeFile(path('b'), '');
    await check(path('b'), path('a'));
    await check(path('new'), path('a'));
    await check(path('a'), path('missing'));
    await refuseOverwritingInputs([['-o', path('a')]], [['the file of --weights', undefined]]);
  });
});

describe('commands do not overwrite their inputs', () => {
  const at = useTemporaryFolder();

  async function expectKept(file: string, ...command: string[]): Promise<void> {
    const before = readFileSync(at(file));
    const { code, stderr } = await onnx(...command);
    expect(code, stderr).to.equal(2);
    expect(stderr).to.include(`would overwrite '${at(file)}'`);
    expect(readFileSync(at(file)).equals(before)).to.equal(true);
  }

  it('convert refuses to overwrite its model', async () => {
    await onnx('build', 'group-norm', '--num-groups', '2', '--num-channels', '4', '-o', at('gn.onnx'));
    await expectKept('gn.onnx', 'convert', at('gn.onnx'), '-o', at('gn.onnx'));
  });

  it('build refuses to overwrite its weights', async () => {
    await writeFixture(at('w'));
    const flags = ['--num-groups', '2', '--num-channels', '4', '--weights', at('w')];
    await expectKept('w', 'build', 'group-norm', ...flags, '-o', at('w'));
  });

  it('run refuses to overwrite an input with the name of an output', async () => {
    await onnx('build', 'group-norm', '--num-groups', '2', '--num-channels', '4', '-o', at('gn.onnx'));
    writeFileSync(at('y.npy'), encodeNpy(floats([1, 4, 2, 2], Array(16).fill(1))));
    await expectKept('y.npy', 'run', at('gn.onnx'), '--input', `x=${at('y.npy')}`, '--output', at());
  });

  it('run --image refuses to overwrite the image', async () => {
    writeFileSync(at('in.png'), readFileSync(new URL('../../../demo/cells.png', import.meta.url)));
    await onnx('build', 'unet', '--width', '8', '-o', at('u.onnx'));
    await expectKept('in.png', 'run', at('u.onnx'), '--image', at('in.png'), '--mask', at('in.png'));
  });

  it('parity refuses to overwrite a fixture', async () => {
    await writeFixture(at('f.safetensors'));
    for (const option of ['--json', '--junit']) {
      await expectKept('f.safetensors', 'parity', at('f.safetensors'), option, at('f.safetensors'));
    }
  });
});

describe('requireWritableOutputs', () => {
  const at = useTemporaryFolder();
  const refusal = async (json?: string, junit?: string): Promise<string> => {
    const error: unknown = await requireWritableOutputs([
      ['--json', json],
      ['--junit', junit],
    ]).catch((caught: unknown) => caught);
    return error instanceof Error ? error.message : 'none';
  };

  it('requireWritableOutputs accepts old files, new files and new folders, and makes none', async () => {
    writeFileSync(at('old.json'), 'old');
    expect(await refusal(at('old.json'), at('new/deeper/report.xml'))).to.equal('none');
    expect(await refusal(undefined, at('report.xml'))).to.equal('none');
    expect(readdirSync(at())).to.deep.equal(['old.json']);
  });

  it('requireWritableOutputs refuses a folder, and a path through a file', async () => {
    writeFileSync(at('file'), '');
    expect(await refusal(at())).to.equal(`cannot write '${at()}': it is a folder; name a file`);
    expect(await refusal(at('new/'))).to.include('it is a folder; name a file');
    expect(await refusal(undefined, at('file/report.xml'))).to.include(
      'a part of its path is a file, not a folder',
    );
  });

  it('requireWritableOutputs refuses one file for two reports', async () => {
    expect(await refusal(at('report'), at('x/../report'))).to.equal(
      `--json and --junit both name '${at('report')}'; give each its own file`,
    );
  });
});
