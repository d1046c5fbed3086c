import { readdirSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { requireTargets } from '../../../lib/cli/commands/parity-report.js';
import { useTemporaryFolder } from '../support.js';

describe('cli/report-targets', () => {
  const at = useTemporaryFolder();
  const refusal = async (json?: string, junit?: string): Promise<string> => {
    const error: unknown = await requireTargets({ '--json': json, '--junit': junit }).catch(
      (caught: unknown) => caught,
    );
    return error instanceof Error ? error.message : 'none';
  };

  it('old files, new files and new folders can be written, and none is made', async () => {
    writeFileSync(at('old.json'), 'old');
    expect(await refusal(at('old.json'), at('new/deeper/report.xml'))).to.equal('none');
    expect(await refusal(undefined, at('report.xml'))).to.equal('none');
    expect(readdirSync(at())).to.deep.equal(['old.json']);
  });

  it('a folder, and a path through a file, cannot be written', async () => {
    writeFileSync(at('file'), '');
    expect(await refusal(at())).to.equal(`cannot write '${at()}': it is a folder; name a file`);
    expect(await refusal(at('new/'))).to.include('it is a folder; name a file');
    expect(await refusal(undefined, at('file/report.xml'))).to.include(
      'a part of its path is a file, not a folder',
    );
  });

  it('two reports cannot be one file', async () => {
    expect(await refusal(at('report'), at('x/../report'))).to.equal(
      `--json and --junit both name '${at('report')}': give each a file of its own`,
    );
  });
});
