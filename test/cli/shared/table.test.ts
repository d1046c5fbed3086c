import { expect } from 'chai';
import { describe, it } from 'mocha';
import pico from 'picocolors';
import { type Column, fitTable } from '../../../lib/cli/shared/table.js';

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
