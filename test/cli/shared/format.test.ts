import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  formatBytes,
  formatDifference,
  formatDuration,
  formatNumber,
  formatTable,
  formatUlp,
  indent,
  plural,
  quote,
} from '../../../lib/cli/shared/table.js';

describe('cli/format', () => {
  it('bytes get a unit that fits', () => {
    expect([0, 999, 1000, 123_456, 3_600_000, 2.5e9].map(formatBytes)).to.deep.equal([
      '0 bytes',
      '999 bytes',
      '1 kB',
      '123 kB',
      '3.6 MB',
      '2.5 GB',
    ]);
  });

  it('times are in milliseconds below a second', () => {
    expect([0.04321, 12.34, 999, 1250, 75_000].map(formatDuration)).to.deep.equal([
      '0.0432 ms',
      '12.3 ms',
      '999 ms',
      '1.25 s',
      '75 s',
    ]);
  });

  it('differences have two digits, and none is a dash', () => {
    expect([0, 1.234e-7, Infinity, NaN, undefined].map(formatDifference)).to.deep.equal([
      '0',
      '1.2e-7',
      'Infinity',
      'NaN',
      '–',
    ]);
  });

  it('ULPs are whole numbers while these are short', () => {
    expect([0, 12, 999_999, 1e6, Infinity].map(formatUlp)).to.deep.equal([
      '0',
      '12',
      '999999',
      '1.0e+6',
      'Infinity',
    ]);
  });

  it('numbers have up to six digits', () => {
    expect([1 / 3, -2, 1e-12, NaN].map(formatNumber)).to.deep.equal(['0.333333', '-2', '1e-12', 'NaN']);
  });

  it('only one is singular', () => {
    expect([0, 1, 2].map((n) => plural(n, 'node'))).to.deep.equal(['0 nodes', '1 node', '2 nodes']);
  });

  it('a shell reads a quoted word as it was', () => {
    expect(['out/gn.onnx', 'x=random', 'my model.onnx', "it's", '$HOME', ''].map(quote)).to.deep.equal([
      'out/gn.onnx',
      'x=random',
      "'my model.onnx'",
      "'it'\\''s'",
      "'$HOME'",
      "''",
    ]);
  });

  it('empty lines are not indented', () => {
    expect(indent('a\n\nb')).to.equal('  a\n\n  b');
  });

  it('a table has aligned columns, no borders, no colours and no blanks at the ends of lines', () => {
    const table = formatTable(
      [
        ['a', '1', ''],
        ['long', '10', 'x'],
      ],
      ['name', 'n', ''],
      ['left', 'right'],
    );
    expect(table).to.equal(['name   n', 'a      1', 'long  10  x'].join('\n'));
  });
});
