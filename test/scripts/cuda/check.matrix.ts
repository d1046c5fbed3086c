import { expect } from 'chai';
import { describe, it } from 'mocha';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { check, readReport, SCRIPT, testReport } from '../../support/cuda-report.js';
import { temporaryFolder } from '../../support/temporary.js';

testReport('cpu');
testReport('wasm');

describe('cuda-check when it is stopped', function () {
  this.timeout(60_000);
  const at = temporaryFolder();

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
});
