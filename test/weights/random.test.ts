import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Random } from '../../lib/weights/initialize.js';

const COUNT = 20_000;
const draw = (next: (i: number) => number): number[] => Array.from({ length: COUNT }, (_, i) => next(i));
const moment = (values: number[], power: number): number =>
  values.reduce((sum, v) => sum + v ** power, 0) / values.length;

describe('the counter-based generator', () => {
  const random = new Random(3, 'x');

  it('Random gives each position its number, whatever the order of the calls', () => {
    const forwards = draw((i) => random.uniform(i));
    expect(draw((i) => random.uniform(COUNT - 1 - i)).reverse()).to.deep.equal(forwards);
  });

  it('Random is uniform on [0, 1): moments within 4 standard errors', () => {
    const values = draw((i) => random.uniform(i));
    expect(Math.min(...values)).to.be.at.least(0);
    expect(Math.max(...values)).to.be.below(1);
    expect(moment(values, 1)).to.be.closeTo(1 / 2, 4 * Math.sqrt(1 / 12 / COUNT));
    expect(moment(values, 2)).to.be.closeTo(1 / 3, 4 * Math.sqrt(4 / 45 / COUNT));
  });

  it('Random is standard normal: moments within 4 standard errors', () => {
    const values = draw((i) => random.normal(i));
    expect(moment(values, 1)).to.be.closeTo(0, 4 / Math.sqrt(COUNT));
    expect(moment(values, 2)).to.be.closeTo(1, 4 * Math.sqrt(2 / COUNT));
    expect(moment(values, 4)).to.be.closeTo(3, 4 * Math.sqrt(96 / COUNT));
  });

  it('Random does not correlate neighbours, streams or seeds', () => {
    const a = draw((i) => random.normal(i));
    const others = [
      draw((i) => random.normal(i + 1)),
      draw((i) => new Random(3, 'y').normal(i)),
      draw((i) => new Random(4, 'x').normal(i)),
    ];
    for (const b of others) {
      expect(a.reduce((sum, v, i) => sum + v * b[i]!, 0) / COUNT).to.be.closeTo(0, 4 / Math.sqrt(COUNT));
    }
  });
});
