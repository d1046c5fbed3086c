/** Files that are something else: every command says what the file is and what to do, exits with 2 and writes nothing. */
import { readdirSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { OTHER_FILES } from '../support/other-files.js';
import { onnx, useTemporaryFolder } from './support.js';

describe('files that are something else', () => {
  const at = useTemporaryFolder();
  const asModel: Readonly<Record<string, (file: string) => string[]>> = {
    run: (file) => ['run', file, '--random', '--output', at('out')],
    convert: (file) => ['convert', file, '-o', at('out.onnx')],
    inspect: (file) => ['inspect', file, '--json', at('out.json')],
    compare: (file) => ['compare', file, file, '--random', '--json', at('out.json')],
    'export-triton': (file) => ['export-triton', file, '-o', at('out')],
  };
  const build = (file: string) =>
    onnx('build', 'group-norm', '--num-groups', '1', '--num-channels', '1', '--weights', file, '-o', at('out.onnx')); // prettier-ignore

  for (const [what, { bytes, kind, remedy }] of Object.entries(OTHER_FILES)) {
    it(`${Object.keys(asModel).join(', ')} and build --weights say what the file is: ${what}`, async () => {
      writeFileSync(at('file'), bytes);
      const outcomes = await Promise.all(Object.values(asModel).map((args) => onnx(...args(at('file')))));
      for (const { stderr } of outcomes) expect(stderr).to.match(remedy);
      // A safetensors file is right there.
      if (what !== 'a safetensors file') outcomes.push(await build(at('file')));
      for (const { code, stdout, stderr } of outcomes) {
        expect([code, stdout]).to.deep.equal([2, '']);
        expect(stderr)
          .to.include(kind)
          .and.not.match(/wire type|byte \d|\n./);
      }
      expect(readdirSync(at())).to.deep.equal(['file']);
    });
  }

  it('run, convert, inspect and build --weights say that a file is empty', async () => {
    writeFileSync(at('file'), '');
    for (const command of ['run', 'convert', 'inspect']) {
      const { code, stderr } = await onnx(...asModel[command]!(at('file')));
      expect([code, stderr.includes('this file is empty: download or export the model again')]).to.deep.equal(
        [2, true],
      );
    }
    const { code, stderr } = await build(at('file'));
    expect([code, stderr.includes('it has 0 bytes')]).to.deep.equal([2, true]);
    expect(readdirSync(at())).to.deep.equal(['file']);
  });
});
