import { expect } from 'chai';
import { describe, it } from 'mocha';
import pico from 'picocolors';
import {
  type Column,
  fitTable,
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

const columns: Column[] = [
  { head: 'file', cells: ['a/long/path/to/one', 'two'], cut: true },
  { head: 'size', cells: ['1', '22'], align: 'right', drop: 2 },
  { head: 'time', cells: ['3 ms', '4 ms'], drop: 1 },
  { head: 'end', cells: ['yes', 'no'] },
];
const lines = (width?: number): string[] => fitTable(columns, width).split('\n');

describe('cli/fit-table', () => {
  it('without a width, and in one that suffices, everything is there', () => {
    const whole = [
      'file                size  time  end',
      'a/long/path/to/one     1  3 ms  yes',
      'two                   22  4 ms  no',
    ];
    expect(lines()).to.deep.equal(whole);
    expect(lines(35)).to.deep.equal(whole);
  });

  it('leaves out columns one after the other, and gives their room back', () => {
    expect(lines(34)).to.deep.equal([
      'file                size  end',
      'a/long/path/to/one     1  yes',
      'two                   22  no',
    ]);
    expect(lines(28)).to.deep.equal([
      'file                end',
      'a/long/path/to/one  yes',
      'two                 no',
    ]);
  });

  it('cuts the beginning of what may be cut, but not to nothing', () => {
    expect(lines(20)).to.deep.equal(['file             end', '…ng/path/to/one  yes', 'two              no']);
    expect(lines(5)).to.deep.equal(['file      end', '…/to/one  yes', 'two       no']);
  });

  it('cuts a very long name to a comfortable length before it leaves columns out', () => {
    const long = [{ ...columns[0]!, cells: ['x'.repeat(50), 'two'] }, ...columns.slice(1)];
    expect(fitTable(long, 41).split('\n')).to.deep.equal([
      'file                      size  time  end',
      `…${'x'.repeat(23)}     1  3 ms  yes`,
      'two                         22  4 ms  no',
    ]);
    expect(fitTable(long, 60).split('\n')[1]).to.equal(`…${'x'.repeat(42)}     1  3 ms  yes`);
  });

  it('colours take no room', () => {
    const { green } = pico.createColors(true);
    const coloured = [...columns.slice(0, 3), { head: 'end', cells: [green('yes'), green('no')] }];
    expect(fitTable(coloured, 35)).to.include('time');
  });
});
