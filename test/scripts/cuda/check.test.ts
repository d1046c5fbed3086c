import { expect } from 'chai';
import { describe, it } from 'mocha';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { check, readReport, SCRIPT, testReport, TINY } from '../../support/cuda-report.js';
import { temporaryFolder } from '../../support/temporary.js';

/** A provider that this platform's onnxruntime-node is not built with. */
const ABSENT = process.platform === 'win32' ? 'coreml' : 'dml';

// test:matrix has the report of wasm.
testReport('cpu');

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

  it('cuda-check stops when its minutes are over, says what is missing, and exits with 1', () => {
    const { status, stderr } = check('--provider', 'cpu', '--out', at(), '--minutes', '0.2');
    expect(status).to.equal(1);
    expect(stderr).to.include('not complete: the time of --minutes 0.2 was over');
    const { complete, suite, stages, narrowedBy } = readReport(at());
    expect([complete, narrowedBy]).to.deep.equal([false, []]);
    expect(suite).to.not.be.empty;
    expect(stages.at(-1)).to.include({ stage: 'suite, every opset and lowering', done: 0 });
  });

  it('cuda-check writes its results at SIGTERM', async () => {
    const child = spawn(process.execPath, ['--import', 'tsx', SCRIPT, '--provider', 'cpu', '--out', at()]);
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => {
      // The first line is that of the first case, the second that of a later one.
      if ((stderr += chunk.toString()).split('\n').length <= 2) return;
      child.kill('SIGTERM');
      child.kill('SIGTERM');
    });
    expect(await once(child, 'exit')).to.deep.equal([1, null]);
    const { complete, stopped, suite } = readReport(at());
    expect([complete, stopped]).to.deep.equal([false, 'it was ended by SIGTERM']);
    expect(suite).to.not.be.empty;
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
