import { expect } from 'chai';
import { describe, it } from 'mocha';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { DeviceReport } from '../../../scripts/cuda/report.js';
import { temporaryFolder } from '../../support/temporary.js';

const SCRIPT = fileURLToPath(new URL('../../../scripts/cuda/check.ts', import.meta.url));
const TINY = ['--cases', 'group-norm (rank-4|mean-minus-300)$', '--opsets', '17,21', '--shapes', '1x64x4x4', '--rounds', '3']; // prettier-ignore
/** A provider that this platform's onnxruntime-node is not built with. */
const ABSENT = process.platform === 'win32' ? 'coreml' : 'dml';

const check = (...args: string[]) =>
  spawnSync(process.execPath, ['--import', 'tsx', SCRIPT, ...args], { encoding: 'utf8' });

describe('scripts/cuda/check', function () {
  this.timeout(60_000);
  const at = temporaryFolder();

  const readReport = (): DeviceReport => {
    const [json] = readdirSync(at()).filter((name) => name.endsWith('.partial.json'));
    return JSON.parse(readFileSync(at(json!), 'utf8')) as DeviceReport;
  };

  for (const provider of ['cpu', 'wasm']) {
    it(`cuda-check writes the report of ${provider} as JSON and Markdown`, () => {
      const { status, stdout, stderr } = check('--provider', provider, ...TINY, '--out', at());
      expect(status, stderr).to.equal(0);
      expect(stdout).to.match(/^14 of 14 cases passed on /);
      const [json, markdown] = readdirSync(at()).sort();
      expect(json).to.match(new RegExp(`^${provider}-[a-z0-9-]+\\.partial\\.json$`));
      const report = readReport();
      expect([report.complete, report.stopped, report.narrowedBy.length]).to.deep.equal([true, null, 4]);
      // Three lowerings at opset 17 and four at 21, of two cases.
      expect(report.suite.map(({ outcome }) => outcome)).to.deep.equal(Array(14).fill('passed'));
      const inlined = report.candidates.filter(({ asked }) => asked === 'op');
      expect(inlined.map(({ outcome }) => outcome)).to.deep.equal(['failed', 'passed']);
      const contrib = report.candidates.filter(({ asked }) => asked === 'contrib-group-norm');
      expect(contrib.map(({ outcome }) => outcome)).to.deep.equal(['refused', 'refused']);
      expect(report.untimed.map(({ groupNorm }) => groupNorm)).to.deep.equal(Array(2).fill('contrib-group-norm')); // prettier-ignore
      expect(report.timings.map(({ groupNorm, dtype }) => `${groupNorm} ${dtype}`)).to.include.members([
        'op float32',
        'reduce-mean float16',
      ]);
      for (const { ms, errors } of report.timings) {
        expect(ms!.low).to.be.within(0, ms!.median);
        expect(errors.map(({ input }) => input)).to.deep.equal(['mean 0', 'mean 300', 'mean 1000', 'after a ReLU']); // prettier-ignore
      }
      const atLargeMean = (groupNorm: string) =>
        report.timings.find((one) => one.groupNorm === groupNorm && one.dtype === 'float32')!.errors[2]!
          .excess;
      expect(atLargeMean('op')).to.satisfy((excess: number | null) => excess === null || excess > 1);
      expect(atLargeMean('reduce-mean')).to.be.below(1);
      expect(report.winners.map(({ groupNorm }) => groupNorm)).to.not.include('op');
      const text = readFileSync(at(markdown!), 'utf8');
      expect(text).to.include(`# ${provider} on ${report.device.name}`);
      const runtime = provider === 'wasm' ? 'onnxruntime-web' : 'onnxruntime-node';
      expect(text).to.include(`\n${runtime} ${report.device.packages[runtime]}. Written by`);
      if (provider === 'cpu') expect(report.device.libraries.join()).to.match(/libonnxruntime/);
      expect(report.device.environment).to.have.property('NVIDIA_TF32_OVERRIDE');
      expect(text).to.match(/^\| instance-norm +\| 2 of 2 +\| 2 of 2 +\|$/m);
    });
  }

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
    const { complete, suite, stages, narrowedBy } = readReport();
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
    const { complete, stopped, suite } = readReport();
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
