import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { useTemporaryFolder, writeFixture } from '../support.js';

const MAIN = fileURLToPath(new URL('../../../lib/cli/main.ts', import.meta.url));
const OPSETS = '13,14,15,16,17,18,19,20,21,22,23,24,25';

/** `parity`, and Ctrl+C when it says its first line of progress. */
async function interrupted(...argv: string[]) {
  const child = spawn(process.execPath, ['--import', 'tsx', MAIN, 'parity', ...argv]);
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (text: Buffer) => (stdout += text.toString()));
  child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
  child.stderr.once('data', () => child.kill('SIGINT'));
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  return { code, signal, stdout, stderr };
}

describe('cli/interrupt', function () {
  this.timeout(60_000);
  const at = useTemporaryFolder();

  it('Ctrl+C in parity: what was found, what was not run, no report, exit code 130', async function () {
    if (process.platform === 'win32') this.skip();
    // Too many for the second after which the first line of progress comes.
    for (let i = 0; i < 60; i++) await writeFixture(at(`${i}.safetensors`), { error: i === 0 ? 1 : 0 });
    const reports = ['--json', at('report.json'), '--junit', at('report.xml')];
    const result = await interrupted(at(), '--lowering', 'all', '--opset', OPSETS, ...reports);
    expect([result.code, result.signal]).to.deep.equal([130, null]);
    const [passed, failed, notRun] = (
      result.stdout.match(/(\d+) passed, (\d+) failed, (\d+) not run\n$/) ?? []
    )
      .slice(1)
      .map(Number) as [number, number, number];
    // Opset 13 to 16 have two lowerings, 17 has three, and those from 18 on four.
    expect(passed + failed + notRun).to.equal(60 * (4 * 2 + 3 + 8 * 4));
    expect(passed + failed).to.be.above(0);
    expect(notRun).to.be.above(0);
    expect(result.stderr).to.match(/^case .* …\n(.* …\n)*interrupted: no report is written\n$/);
    expect(existsSync(at('report.json')) || existsSync(at('report.xml'))).to.be.false;
    expect(readdirSync(at()).filter((name) => name.endsWith('.tmp'))).to.deep.equal([]);
  });
});
