import { expect } from 'chai';
import { describe, it } from 'mocha';
import { runProgram } from '../support/program.js';

const PROGRAMS = new URL('programs.ts', import.meta.url);

describe('memory of readers', () => {
  it('readers of files take at most 64 MiB and 8 times the bytes of the file, whatever the file claims', async function () {
    this.timeout(30_000);
    const { stdout } = await runProgram(PROGRAMS, 'measurePeaks');
    const peaks = JSON.parse(stdout) as { name: string; outcome: string; allowed: number; peak: number }[];
    expect(peaks).to.not.be.empty;
    for (const { name, outcome, allowed, peak } of peaks) {
      expect(outcome, name).to.match(/^(read|UsageError|LIMIT_EXCEEDED|IMAGE_TOO_LARGE|[A-Z]+_INVALID)$/);
      expect(peak, name).to.be.at.most(allowed);
    }
  });
});
