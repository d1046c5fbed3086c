import { expect } from 'chai';
import { describe, it } from 'mocha';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { bundle } from '../../support/bundle.js';
import { TINY } from '../../support/cuda-report.js';
import { temporaryFolder } from '../../support/temporary.js';

const MAIN = await bundle(new URL('../../../scripts/cuda/check.ts', import.meta.url));

/** Runs cuda-check to an end before it starts a worker, which would need tsx. */
const check = (...args: string[]) => spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' });

/** A provider that this platform's onnxruntime-node is not built with. */
const ABSENT = process.platform === 'win32' ? 'coreml' : 'dml';

describe('scripts/cuda/check', function () {
  this.timeout(60_000);
  const at = temporaryFolder();

  it('cuda-check says why a provider cannot be used, exits with 1, and leaves an old report as it is', () => {
    writeFileSync(at(`${ABSENT}-old.json`), 'old');
    const { status, stdout, stderr } = check('--provider', ABSENT, ...TINY, '--out', at());
    expect([status, stdout]).to.deep.equal([1, '']);
    expect(stderr).to.match(new RegExp(`^not run: ${ABSENT} cannot be used.*\n  onnxruntime-node has no ${ABSENT} for`)); // prettier-ignore
    expect(readdirSync(at())).to.deep.equal([`${ABSENT}-old.json`]);
    expect(readFileSync(at(`${ABSENT}-old.json`), 'utf8')).to.equal('old');
  });

  it('cuda-check refuses a selection without cases, and writes no file', () => {
    const { status, stderr } = check('--provider', 'cpu', '--cases', 'no such case', ...TINY.slice(2), '--out', at()); // prettier-ignore
    expect(status).to.equal(2);
    expect(stderr).to.match(/^--cases 'no such case' selects none of the \d+ cases/);
    expect(readdirSync(at())).to.deep.equal([]);
  });

  it('cuda-check prints help, and refuses an unknown option with exit code 2', () => {
    const { status, stdout } = check('--help');
    expect(status).to.equal(0);
    expect(stdout).to.match(/--with-npm-libraries/);
    const refused = check('--povider', 'cpu');
    expect(refused.status).to.equal(2);
    expect(refused.stderr).to.match(/povider/);
  });
});
