import { expect } from 'chai';
import { describe, it } from 'mocha';
import { runCampaign } from './campaign.js';
import { describeFinding } from './report.js';

describe('the library on 5,000 files that mean harm', () => {
  it('every way into the library accepts a file or refuses it with a typed error, in memory and time in proportion to the file', async () => {
    const { findings, tallies } = await runCampaign({ seed: 1, cases: 5000, processes: 1 });
    expect(findings.map((finding) => describeFinding(finding))).to.deep.equal([]);
    for (const [format, { accepted, refused }] of tallies) {
      expect(accepted, `accepted ${format} files`).to.be.above(20);
      expect(refused, `refused ${format} files`).to.be.above(20);
    }
  }).timeout(120_000);
});
