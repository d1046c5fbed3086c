import { expect } from 'chai';
import { describe, it } from 'mocha';
import { readdirSync, readFileSync } from 'node:fs';
import { writeReport } from '../../../scripts/device-check/files.js';
import type { DeviceReport } from '../../../scripts/device-check/report.js';
import { REPORT } from '../../support/device-report.js';
import { temporaryFolder } from '../../support/temporary.js';

const WHOLE = ['cuda-nvidia-t4.json', 'cuda-nvidia-t4.md'];
const PARTIAL = ['cuda-nvidia-t4.partial.json', 'cuda-nvidia-t4.partial.md'];

describe('scripts/device-check/files', () => {
  const at = temporaryFolder();
  const dateOf = (name: string) => (JSON.parse(readFileSync(at(name), 'utf8')) as DeviceReport).date;

  it('a complete report of everything replaces what was written on the way', async () => {
    expect(await writeReport({ ...REPORT, complete: false, stopped: 'under way' }, at())).to.equal(
      at(PARTIAL[1]!),
    );
    expect(readdirSync(at()).sort()).to.deep.equal(PARTIAL);
    expect(await writeReport(REPORT, at())).to.equal(at(WHOLE[1]!));
    expect(readdirSync(at()).sort()).to.deep.equal(WHOLE);
  });

  it('one that is not complete, or narrowed, leaves a complete one as it is', async () => {
    await writeReport(REPORT, at());
    for (const less of [{ complete: false, stopped: 'enough' }, { narrowedBy: ["--opsets '21'"] }]) {
      await writeReport({ ...REPORT, date: 'later', ...less }, at());
      expect([dateOf(WHOLE[0]!), dateOf(PARTIAL[0]!)]).to.deep.equal([REPORT.date, 'later']);
    }
  });
});
