import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  formatBytes,
  formatDifference,
  formatDuration,
  formatNumber,
  listNames,
  plural,
} from '../lib/quantities.js';

describe('quantities', () => {
  it('formatBytes chooses a unit that fits', () => {
    expect([0, 999, 1000, 123_456, 3_600_000, 2.5e9].map(formatBytes)).to.deep.equal([
      '0 bytes',
      '999 bytes',
      '1 kB',
      '123 kB',
      '3.6 MB',
      '2.5 GB',
    ]);
  });

  it('listNames shortens a long list, and says how many names it leaves out', () => {
    expect(listNames(['a', 'b', 'c'], 3)).to.equal('a, b, c');
    expect(listNames(['a', 'b', 'c', 'd'], 2)).to.equal('a, b and 2 more');
  });

  it('formatDuration prints milliseconds below a second', () => {
    expect([0.04321, 12.34, 999, 1250, 75_000].map(formatDuration)).to.deep.equal([
      '0.0432 ms',
      '12.3 ms',
      '999 ms',
      '1.25 s',
      '75 s',
    ]);
  });

  it('formatDifference prints two digits, and a dash for undefined', () => {
    expect([0, 1.234e-7, Infinity, NaN, undefined].map(formatDifference)).to.deep.equal([
      '0',
      '1.2e-7',
      'Infinity',
      'NaN',
      '–',
    ]);
  });

  it('formatNumber prints up to six digits', () => {
    expect([1 / 3, -2, 1e-12, NaN].map(formatNumber)).to.deep.equal(['0.333333', '-2', '1e-12', 'NaN']);
  });

  it('plural adds an s except for 1', () => {
    expect([0, 1, 2].map((n) => plural(n, 'node'))).to.deep.equal(['0 nodes', '1 node', '2 nodes']);
  });
});
