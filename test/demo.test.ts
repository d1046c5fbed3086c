import { expect } from 'chai';
import { describe, it } from 'mocha';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { useTemporaryFolder, writeFixture } from './cli/support.js';

const DEMO = fileURLToPath(new URL('../scripts/demo.ts', import.meta.url));

describe('demo', function () {
  this.timeout(30_000);
  const at = useTemporaryFolder();
  const demo = (...argv: string[]) =>
    spawnSync(process.execPath, ['--import', 'tsx', DEMO, '--out', at('out'), ...argv], { encoding: 'utf8' });

  it('builds a model, runs it, finds it right against PyTorch and float64, and says what to try next', () => {
    const { status, stdout, stderr } = demo();
    expect([status, stderr]).to.deep.equal([0, '']);
    expect(existsSync(at('out/group-norm.onnx'))).to.be.true;
    expect(stdout).to.match(/^1\. What torch \d.* computed$/m);
    expect(stdout)
      .to.match(/^4\. Against PyTorch: passed$/m)
      .and.to.match(/elements beyond the tolerance +0 of \d+/);
    expect(stdout).to.match(/distance from float64, ours +\d/);
    expect(stdout).to.match(/^5\. Every group without γ and β has mean 0 and deviation 1: passed$/m);
    expect(stdout).to.match(/^ +\d+ +\d+ +-?\d\.\de-\d+ +(0\.9999|1\.0000)\d+ +the worst of \d+$/m);
    expect(stdout)
      .to.match(/^Next$/m)
      .and.to.match(/npm run cli -- run \S+group-norm\.onnx --input x=random/);
  });

  it('exits 1 if the comparison fails', async () => {
    await writeFixture(at('wrong.safetensors'), { error: 0.01 });
    const { status, stdout } = demo('--fixture', at('wrong.safetensors'));
    expect(status).to.equal(1);
    expect(stdout)
      .to.match(/^4\. Against PyTorch: FAILED$/m)
      .and.to.include('The demo FAILED');
  });

  it('exits 2 with a message if there is no fixture', () => {
    const { status, stderr } = demo('--fixture', at('none.safetensors'));
    expect(status).to.equal(2);
    expect(stderr).to.match(/^error: cannot read '.*none\.safetensors': it does not exist/);
  });
});
