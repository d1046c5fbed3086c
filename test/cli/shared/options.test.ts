import { expect } from 'chai';
import { Command, InvalidArgumentError, Option } from 'commander';
import { describe, it } from 'mocha';
import {
  collectInput,
  collectSizes,
  parseCount,
  parseInteger,
  parseIntegers,
  parseNumber,
  collectShape,
  parseBoolean,
  parseList,
  parseShape,
  parseTolerance,
  RequiredOption,
  requireOptions,
} from '../../../lib/cli/shared/options.js';
import { UsageError } from '../../../lib/cli/shared/terminal.js';

describe('the parsers of option values', () => {
  const refuses = (parse: (text: string) => unknown, ...texts: string[]) => {
    for (const text of texts) expect(() => parse(text), text).to.throw(InvalidArgumentError);
  };
  const refusesUsage = (parse: (text: string) => unknown, ...texts: string[]) => {
    for (const text of texts) expect(() => parse(text), text).to.throw(UsageError);
  };

  it('parseInteger takes digits and nothing else', () => {
    expect(['0', '21', '-3', '+7'].map(parseInteger)).to.deep.equal([0, 21, -3, 7]);
    refuses(parseInteger, '', ' ', '1.5', '1e3', '0x10', 'NaN', 'Infinity', '9007199254740993', 'x');
  });

  it('parseCount takes integers of at least 1', () => {
    expect(parseCount('1')).to.equal(1);
    refuses(parseCount, '0', '-1', '1.5');
  });

  it('parseNumber takes finite decimal numbers', () => {
    expect(['1e-5', '.5', '-2.', '0', '1E+3'].map(parseNumber)).to.deep.equal([1e-5, 0.5, -2, 0, 1000]);
    refuses(parseNumber, '', '1e', '0x10', 'NaN', 'Infinity', '1e999', '1,5', '1 2');
  });

  it('parseTolerance takes numbers of at least 0', () => {
    expect(['0', '1e-6'].map(parseTolerance)).to.deep.equal([0, 1e-6]);
    refuses(parseTolerance, '-1e-6', 'x');
  });

  it('parseIntegers removes repeats and keeps the order', () => {
    expect(parseIntegers('21, 13,21')).to.deep.equal([21, 13]);
    refuses(parseIntegers, '', '17,', '17;18');
  });

  it('collectShape takes a shape for the first input, or shapes by the names of the inputs', () => {
    expect(collectShape('N,4')).to.deep.equal(['N', 4]);
    expect(collectShape('1,4', ['N', 4])).to.deep.equal([1, 4]);
    const sample = collectShape('sample=1,4');
    expect(collectShape('t = N', sample)).to.deep.equal({ sample: [1, 4], t: ['N'] });
    expect(() => collectShape('1,4', sample)).to.throw('give --shape once');
    expect(() => collectShape('t=1', [1, 4])).to.throw('give --shape once');
  });

  it('parseList takes repeated elements, and the parser of the elements refuses others', () => {
    expect(parseList(parseInteger)('64, 128,128')).to.deep.equal([64, 128, 128]);
    expect(parseList(parseBoolean)('true,false')).to.deep.equal([true, false]);
    expect(() => parseList(parseBoolean)('true,1')).to.throw('true or false');
  });

  it('parseShape takes sizes and names', () => {
    expect(parseShape('N,32, H ,0,_w1')).to.deep.equal(['N', 32, 'H', 0, '_w1']);
    expect(parseShape('7')).to.deep.equal([7]);
    refuses(parseShape, '', 'N,', '?,32', '-1,32', 'N,32,H/2', '1.5', 'N 32');
  });

  it('--input collects pairs, whose values may contain an equals sign', () => {
    expect(collectInput('x=a=b.npy', collectInput('y=random'))).to.deep.equal(['y=random', 'x=a=b.npy']);
    refusesUsage(collectInput, 'x', '=x', 'x=', '');
  });

  it('--dim names a wrong size, a wrong pair and a missing comma', () => {
    expect(() => collectSizes('H=8,W=-1')).to.throw(
      UsageError,
      "--dim W: the size must be an integer of at least 0; got '-1'",
    );
    expect(() => collectSizes('N=1 H=64')).to.throw(UsageError, 'write commas between sizes: --dim N=1,H=64');
    expect(() => collectSizes('N:1')).to.throw(
      UsageError,
      "--dim takes NAME=SIZE pairs, such as N=1,H=64; got 'N:1'",
    );
  });

  it('--dim collects sizes from one option or several', () => {
    expect([...collectSizes('H=64, W=32', collectSizes('N=1'))]).to.deep.equal([
      ['N', 1],
      ['H', 64],
      ['W', 32],
    ]);
    refusesUsage(collectSizes, 'N', 'N=', 'N=x', 'N=-1', 'N=1.5', '=1', 'N=1,N=2', '');
    refusesUsage((text) => collectSizes(text, collectSizes('N=1')), 'N=1');
  });

  it('--dim takes a name that contains =, such as that of an axis of the input a=b', () => {
    expect([...collectSizes('a=b.0=3, N=1')]).to.deep.equal([
      ['a=b.0', 3],
      ['N', 1],
    ]);
  });
});

describe('requireOptions', () => {
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

  it('requireOptions names every missing option, and the command whose help explains them', () => {
    expect(() => requireOptions(command('--seed', '1'))).to.throw(
      UsageError,
      "missing --output <file>, --size <n>; 'npx app sub --help' explains the command",
    );
    expect(() => requireOptions(command('-o', 'x'))).to.throw(/^missing --size <n>;/);
  });

  it('requireOptions accepts a command line with all required options', () => {
    expect(() => requireOptions(command('-o', 'x', '--size', '1'))).not.to.throw();
  });
});
