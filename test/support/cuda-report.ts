/** The report of scripts/cuda/check.ts on a provider that every machine has. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DeviceReport } from '../../scripts/cuda/report.js';
import { temporaryFolder } from './temporary.js';

export const SCRIPT = fileURLToPath(new URL('../../scripts/cuda/check.ts', import.meta.url));
export const TINY = ['--cases', 'group-norm (rank-4|mean-minus-300)$', '--opsets', '17,21', '--shapes', '1x64x4x4', '--rounds', '3']; // prettier-ignore

export const check = (...args: string[]) =>
  spawnSync(process.execPath, ['--import', 'tsx', SCRIPT, ...args], { encoding: 'utf8' });

/** Returns the report that a check has written into a folder. */
export function readReport(folder: string): DeviceReport {
  const json = readdirSync(folder).find((name) => name.endsWith('.partial.json'));
  return JSON.parse(readFileSync(join(folder, json!), 'utf8')) as DeviceReport;
}

/** Tests the whole report of a small selection. */
export function testReport(provider: 'cpu' | 'wasm'): void {
  describe(`the report of cuda-check on ${provider}`, function () {
    this.timeout(300_000);
    const at = temporaryFolder();

    it(`cuda-check writes the report of ${provider} as JSON and Markdown`, () => {
      const { status, stdout, stderr } = check('--provider', provider, ...TINY, '--out', at());
      expect(status, stderr).to.equal(0);
      expect(stdout).to.match(/^14 of 14 cases passed on /);
      const [json, markdown] = readdirSync(at()).sort();
      expect(json).to.match(new RegExp(`^${provider}-[a-z0-9-]+\\.partial\\.json$`));
      const report = readReport(at());
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
  });
}
