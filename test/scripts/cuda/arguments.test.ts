import { expect } from 'chai';
import { describe, it } from 'mocha';
import { writeFileSync } from 'node:fs';
import { readArguments, requireWritable } from '../../../scripts/cuda/arguments.js';
import { temporaryFolder } from '../../support/temporary.js';

describe('scripts/cuda/arguments', () => {
  const at = temporaryFolder();

  it('wrong arguments are refused before any work starts', () => {
    for (const [args, message] of [
      [['--povider', 'cpu'], /povider/],
      [['--provider', 'cudda'], /did you mean 'cuda'/],
      [['--provider', 'native'], /bench:group-norm/],
      [['--rounds', 'many'], /'many' must be a whole number/],
      [['--minutes', '-1'], /'-1' must be a number above 0|ambiguous/],
      [['--limit', '0'], /'0' must be a number above 0/],
      [['--cases', 'nope'], /'nope' selects none of the \d+ cases/],
      [['--cases', '('], /Invalid regular expression/],
      [['--dtypes', 'float33'], /'float33' must be one of float32/],
      [['--shapes', '1x30x4x4'], /'1x30x4x4' must have channels, second, that 32 groups divide/],
      [['--shapes', '1x64,64'], /'64' must have/],
      [['--opsets', '12'], /opset 12 is not supported/],
      [['--minutes', '40000'], /'40000' must be a number above 0, and up to 1440/],
      [['--limit', '1e9'], /up to 86400/],
    ] as const) {
      expect(() => readArguments([...args]), args.join(' ')).to.throw(message);
    }
  });

  it('a folder that can be created is accepted, and a folder below a file is refused', () => {
    writeFileSync(at('file'), '');
    requireWritable(at('new', 'folder'));
    expect(() => requireWritable(at('file', 'below'))).to.throw(/ENOTDIR/);
  });

  it('options that leave jobs out are listed', () => {
    expect(readArguments([])!.narrowedBy).to.deep.equal([]);
    expect(readArguments(['--rounds', '40', '--dtypes', 'float16,float32,bfloat16'])!.narrowedBy).to.be.empty;
    expect(readArguments(['--rounds', '3', '--cases', 'rank', '--opsets', '21'])!.narrowedBy).to.deep.equal([
      "--cases 'rank'",
      "--opsets '21'",
      "--rounds '3'",
    ]);
  });
});
