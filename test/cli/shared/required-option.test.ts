import { expect } from 'chai';
import { Command, Option } from 'commander';
import { describe, it } from 'mocha';
import { RequiredOption, requireOptions } from '../../../lib/cli/shared/options.js';
import { UsageError } from '../../../lib/cli/shared/terminal.js';

describe('cli/required-option', () => {
  const command = (...argv: string[]) => {
    const program = new Command('app');
    const sub = program
      .command('sub')
      .addOption(new RequiredOption('-o, --output <file>', 'a file'))
      .addOption(new RequiredOption('--size <n>', 'a size'))
      .addOption(new Option('--seed <n>'))
      .action(() => undefined);
    program.parse(['sub', ...argv], { from: 'user' });
    return sub;
  };

  it('every option that is missing is named, with the command whose help explains it', () => {
    expect(() => requireOptions(command('--seed', '1'))).to.throw(
      UsageError,
      "required: -o, --output <file>, --size <n>; 'app sub --help' explains them",
    );
    expect(() => requireOptions(command('-o', 'x'))).to.throw(/^required: --size <n>;/);
  });

  it('nothing is said if all are there', () => {
    expect(() => requireOptions(command('-o', 'x', '--size', '1'))).not.to.throw();
  });
});
