import { expect } from 'chai';
import { describe, it } from 'mocha';
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { bundle } from '../support/bundle.js';
import { useTemporaryFolder, withoutProgress, writeFixture } from './support.js';

const MAIN = await bundle(new URL('../../lib/cli/main.ts', import.meta.url));

describe('the executable', function () {
  this.timeout(30_000);
  const at = useTemporaryFolder();
  const main = (...argv: string[]) => spawnSync(process.execPath, [MAIN, ...argv], { encoding: 'utf8' });

  it('onnx-groupnorm --version exits 0', () => {
    const { status, stdout, stderr } = main('--version');
    expect([status, stderr]).to.deep.equal([0, '']);
    expect(stdout).to.match(/^\d+\.\d+\.\d+\n$/);
  });

  it('onnx-groupnorm exits 2 for bad usage, without a stack trace', () => {
    const { status, stdout, stderr } = main('parity', 'none', '--lowering', 'none');
    expect([status, stdout]).to.deep.equal([2, '']);
    expect(stderr)
      .to.match(/^error: unknown lowering 'none'/)
      .and.not.to.match(/\n +at /);
  });

  it('onnx-groupnorm exits 1 for a failed check', async () => {
    await writeFixture(at('wrong.safetensors'), { error: 1 });
    expect(main('parity', at()).status).to.equal(1);
  });

  it('onnx-groupnorm exits 2 with one line on stderr if it cannot write to stdout', function () {
    if (!existsSync('/dev/full')) this.skip();
    const full = openSync('/dev/full', 'w');
    const argv = [MAIN, 'doctor', '--json'];
    const { status, stderr } = spawnSync(process.execPath, argv, {
      encoding: 'utf8',
      stdio: ['ignore', full, 'pipe'],
    });
    closeSync(full);
    expect([status, withoutProgress(stderr)]).to.deep.equal([
      2,
      'error: cannot write to stdout: no space is left on the disk; free some or choose another disk\n',
    ]);
  });

  it('onnx-groupnorm keeps its exit code and its stderr if a reader closes the pipe early', async function () {
    if (process.platform === 'win32') this.skip();
    await writeFixture(at('wrong.safetensors'), { error: 1 });
    const command = [process.execPath, MAIN, 'parity', at(), '--opset', '13,14,15,16,17,18,19,20,21'];
    const quoted = command.map((word) => `'${word}'`).join(' ');
    const script = `{ ${quoted}; echo "exit $?" >&2; } | true`;
    const { stdout, stderr } = spawnSync('sh', ['-c', script], { encoding: 'utf8' });
    expect([stdout, withoutProgress(stderr)]).to.deep.equal(['', 'exit 1\n']);
  });
});
