import { expect } from 'chai';
import { describe, it } from 'mocha';
import pico from 'picocolors';
import { type Column, fitTable, formatTable, indent, quote } from '../../../lib/cli/shared/table.js';

describe('text for a terminal', () => {
  it('quote returns a word that a shell reads as it was', () => {
    expect(['out/gn.onnx', 'x=random', 'my model.onnx', "it's", '$HOME', ''].map(quote)).to.deep.equal([
      'out/gn.onnx',
      'x=random',
      "'my model.onnx'",
      "'it'\\''s'",
      "'$HOME'",
      "''",
    ]);
  });

  it('indent leaves empty lines as they are', () => {
    expect(indent('a\n\nb')).to.equal('  a\n\n  b');
  });

  it('formatTable aligns columns, without borders, colours or blanks at the ends of lines', () => {
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

describe('fitTable', () => {
  it('fitTable keeps all columns without a width, and in a width that is enough', () => {
    const whole = [
      'file                size  time  end',
      'a/long/path/to/one     1  3 ms  yes',
      'two                   22  4 ms  no',
    ];
    expect(lines()).to.deep.equal(whole);
    expect(lines(35)).to.deep.equal(whole);
  });

  it('fitTable leaves out columns one after the other, and gives their room to the others', () => {
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

  it('fitTable cuts the beginning of names, down to eight characters', () => {
    expect(lines(20)).to.deep.equal(['file             end', '…ng/path/to/one  yes', 'two              no']);
    expect(lines(5)).to.deep.equal(['file      end', '…/to/one  yes', 'two       no']);
  });

  it('fitTable cuts a very long name to 24 characters before it leaves columns out', () => {
    const long = [{ ...columns[0]!, cells: ['x'.repeat(50), 'two'] }, ...columns.slice(1)];
    expect(fitTable(long, 41).split('\n')).to.deep.equal([
      'file                      size  time  end',
      `…${'x'.repeat(23)}     1  3 ms  yes`,
      'two                         22  4 ms  no',
    ]);
    expect(fitTable(long, 60).split('\n')[1]).to.equal(`…${'x'.repeat(42)}     1  3 ms  yes`);
  });

  it('fitTable does not count colours as characters', () => {
    const { green } = pico.createColors(true);
    const coloured = [
      ...columns.slice(0, 3),
      { head: 'end', cells: [green('yes'), green('no')], isColoured: true },
    ];
    expect(fitTable(coloured, 35)).to.include('time');
  });

  it('fitTable escapes colours in a column that has none of its own: names of files may have any', () => {
    const name = '\u001b[31mred';
    expect(fitTable([{ head: 'name', cells: [name] }])).to.equal('name\n\\u001b[31mred');
  });
});
