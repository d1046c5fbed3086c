import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { Timing } from '../../../scripts/cuda/report.js';
import { chooseWinners } from '../../../scripts/cuda/report.js';

interface Options {
  readonly low?: number;
  readonly median?: number;
  readonly excess?: number | null;
  readonly shape?: readonly number[];
}

const way = (
  groupNorm: string,
  ms: number,
  { low = 1, median = 1, excess = 0.1, shape = [1, 64, 8, 8] }: Options = {},
): Timing => ({
  shape,
  dtype: 'float32',
  groupNorm,
  rounds: 30,
  ms: { low: ms, median: ms, high: ms },
  speedup: { low, median, high: median },
  errors: [
    { input: 'mean 0', maxAbs: 0, excess: 0 },
    { input: 'mean 300', maxAbs: excess, excess },
  ],
  placement: null,
  problems: [],
});
const DEFAULT = way('reduce-mean', 2);
const winner = (...ways: Timing[]) => chooseWinners(ways, 'reduce-mean').map(({ groupNorm }) => groupNorm);

describe('scripts/cuda/report: the best way for a shape', () => {
  it('the fastest way wins where it is faster in three rounds out of four', () => {
    expect(winner(DEFAULT, way('layer-norm', 1, { low: 1.5, median: 2 }))).to.deep.equal(['layer-norm']);
  });

  it('the default stays where another way is faster by chance, or slower', () => {
    const [choice] = chooseWinners([DEFAULT, way('layer-norm', 1, { low: 0.9, median: 2 })], 'reduce-mean');
    expect(choice!.groupNorm).to.equal('reduce-mean');
    expect(choice!.because).to.equal(
      'layer-norm: 2.00 × (0.90 to 2.00) as fast as reduce-mean, which is no certain gain',
    );
    expect(winner(DEFAULT, way('layer-norm', 3))).to.deep.equal(['reduce-mean']);
  });

  it('a way that is inaccurate for any input never wins, however fast', () => {
    for (const excess of [1.1, null]) {
      expect(winner(DEFAULT, way('op', 0.1, { low: 19, median: 20, excess }))).to.deep.equal(['reduce-mean']);
    }
  });

  it('an inaccurate default loses to the fastest accurate way, or to none', () => {
    const wrong = { ...DEFAULT, errors: way('', 0, { excess: 2 }).errors };
    expect(winner(wrong, way('layer-norm', 5), way('instance-norm', 4))).to.deep.equal(['instance-norm']);
    expect(winner(wrong)).to.deep.equal([null]);
  });

  it('a way without a time, or without a time beside the default, does not win over the default', () => {
    expect(winner(DEFAULT, { ...way('layer-norm', 1), ms: null })).to.deep.equal(['reduce-mean']);
    expect(winner(DEFAULT, { ...way('layer-norm', 1), speedup: null })).to.deep.equal(['reduce-mean']);
  });

  it('every shape has its own winner', () => {
    const large = [1, 320, 64, 64];
    const ways = [
      DEFAULT,
      way('layer-norm', 1, { low: 1.5, median: 2 }),
      way('reduce-mean', 3, { shape: large }),
    ];
    expect(winner(...ways)).to.deep.equal(['layer-norm', 'reduce-mean']);
  });
});
