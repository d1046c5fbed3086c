import { expect } from 'chai';
import { InvalidArgumentError } from 'commander';
import { describe, it } from 'mocha';
import {
  collectPair,
  collectSizes,
  parseCount,
  parseInteger,
  parseIntegers,
  parseNumber,
  parseShape,
  parseTolerance,
} from '../../../lib/cli/shared/options.js';

describe('cli/arguments', () => {
  const refuses = (parse: (text: string) => unknown, ...texts: string[]) => {
    for (const text of texts) expect(() => parse(text), text).to.throw(InvalidArgumentError);
  };

  it('an integer has digits and nothing else', () => {
    expect(['0', '21', '-3', '+7'].map(parseInteger)).to.deep.equal([0, 21, -3, 7]);
    refuses(parseInteger, '', ' ', '1.5', '1e3', '0x10', 'NaN', 'Infinity', '9007199254740993', 'x');
  });

  it('a count is at least 1', () => {
    expect(parseCount('1')).to.equal(1);
    refuses(parseCount, '0', '-1', '1.5');
  });

  it('a number is finite and decimal', () => {
    expect(['1e-5', '.5', '-2.', '0', '1E+3'].map(parseNumber)).to.deep.equal([1e-5, 0.5, -2, 0, 1000]);
    refuses(parseNumber, '', '1e', '0x10', 'NaN', 'Infinity', '1e999', '1,5', '1 2');
  });

  it('a tolerance is at least 0', () => {
    expect(['0', '1e-6'].map(parseTolerance)).to.deep.equal([0, 1e-6]);
    refuses(parseTolerance, '-1e-6', 'x');
  });

  it('a list of integers loses its repeats and keeps its order', () => {
    expect(parseIntegers('21, 13,21')).to.deep.equal([21, 13]);
    refuses(parseIntegers, '', '17,', '17;18');
  });

  it('a shape mixes sizes and names', () => {
    expect(parseShape('N,32, H ,0,_w1')).to.deep.equal(['N', 32, 'H', 0, '_w1']);
    expect(parseShape('7')).to.deep.equal([7]);
    refuses(parseShape, '', 'N,', '?,32', '-1,32', 'N,32,H/2', '1.5', 'N 32');
  });

  it('pairs are collected, and their values may hold an equals sign', () => {
    expect([...collectPair('x=a=b.npy', collectPair('y=random'))]).to.deep.equal([
      ['y', 'random'],
      ['x', 'a=b.npy'],
    ]);
    refuses(collectPair, 'x', '=x', 'x=', '');
    refuses((text) => collectPair(text, collectPair('x=1')), 'x=2');
  });

  it('a size that is no size is named, and so is a missing comma', () => {
    expect(() => collectSizes('H=8,W=-1')).to.throw(
      "The size of 'W' is '-1' but must be an integer of at least 0.",
    );
    expect(() => collectSizes('N=1 H=64')).to.throw('Write commas between sizes: --dim N=1,H=64.');
  });

  it('sizes are collected from one option or several', () => {
    expect([...collectSizes('H=64, W=32', collectSizes('N=1'))]).to.deep.equal([
      ['N', 1],
      ['H', 64],
      ['W', 32],
    ]);
    refuses(collectSizes, 'N', 'N=', 'N=x', 'N=-1', 'N=1.5', '=1', 'N=1,N=2', '');
    refuses((text) => collectSizes(text, collectSizes('N=1')), 'N=1');
  });
});
