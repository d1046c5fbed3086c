import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { withStopRequest } from '../../../lib/cli/shared/signals.js';
import type { Report } from '../../../lib/index.js';
import { bundle } from '../../support/bundle.js';
import { parseXml, useTemporaryFolder, writeFixture } from '../support.js';

const MAIN = await bundle(new URL('../../../lib/cli/main.ts', import.meta.url));
const OPSETS = '13,14,15,16,17,18,19,20,21,22,23,24,25';

/** Runs `parity` and sends a signal at its first line of progress. */
async function interrupted(stop: NodeJS.Signals, ...argv: string[]) {
  const child = spawn(process.execPath, [MAIN, 'parity', ...argv]);
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (text: Buffer) => (stdout += text.toString()));
  child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
  child.stderr.once('data', () => child.kill(stop));
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  return { code, signal, stdout, stderr };
}

describe('signals in parity', function () {
  this.timeout(60_000);
  const at = useTemporaryFolder();

  for (const [stop, exitCode] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    it(`parity exits ${exitCode} on ${stop}, and prints and writes the cases that ran`, async function () {
      if (process.platform === 'win32') this.skip();
      // Too many cases for the second before the first line of progress.
      for (let i = 0; i < 60; i++) await writeFixture(at(`${i}.safetensors`), { error: i === 0 ? 1 : 0 });
      const reports = ['--json', at('report.json'), '--junit', at('report.xml')];
      const result = await interrupted(stop, at(), '--lowering', 'all', '--opset', OPSETS, ...reports);
      expect([result.code, result.signal]).to.deep.equal([exitCode, null]);
      const [passed, failed, notRun] = (
        result.stdout.match(/(\d+) passed, (\d+) failed, (\d+) not run\n$/) ?? []
      )
        .slice(1)
        .map(Number) as [number, number, number];
      // Opsets 13 to 16 have two lowerings, 17 has three, and 18 to 25 have four.
      expect(passed + failed + notRun).to.equal(60 * (4 * 2 + 3 + 8 * 4));
      expect(passed + failed).to.be.above(0);
      expect(notRun).to.be.above(0);
      expect(result.stderr).to.match(
        /^case .* …\n(.* …\n)*interrupted: the report has the cases that ran\n$/,
      );
      const report = JSON.parse(readFileSync(at('report.json'), 'utf8')) as Report;
      expect(report).to.include({ passed, failed, interrupted: notRun });
      expect(report.cases.length).to.equal(passed + failed);
      const [first, ...suites] = parseXml(readFileSync(at('report.xml'), 'utf8')).children;
      expect(first!.children[0]!.attributes.name).to.equal(
        `${notRun} cases did not run: a signal stopped the command`,
      );
      expect(suites.flatMap(({ children }) => children)).to.have.length(passed + failed);
      expect(readdirSync(at()).filter((name) => name.endsWith('.tmp'))).to.deep.equal([]);
    });
  }
});

describe('withStopRequest', () => {
  it('withStopRequest keeps listening after the first signal, because the listener of the spinner ends the process if it is alone', async () => {
    const before = process.listeners('SIGINT');
    const stop = await withStopRequest((request) => {
      const [listener] = process.listeners('SIGINT').filter((one) => !before.includes(one));
      expect(request.exitCode).to.be.undefined;
      listener!('SIGINT');
      expect(process.listeners('SIGINT')).to.include(listener);
      return Promise.resolve(request);
    });
    expect(stop.exitCode).to.equal(130);
    expect(process.listeners('SIGINT')).to.deep.equal(before);
  });
});
