import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { ValueComparison } from '../../../lib/insight/compare/comparison.js';
import { driftStart } from '../../../lib/insight/compare/drift.js';

/** Returns values that use their tolerance so many times; `undefined` for a value of another shape. */
const using = (...shares: (number | undefined)[]) =>
  shares.map(
    (toleranceUsed, at) =>
      ({
        name: String(at),
        verdict: toleranceUsed === undefined ? 'type' : toleranceUsed > 1 ? 'drifts' : 'within',
        difference: toleranceUsed === undefined ? null : { toleranceUsed },
      }) as ValueComparison,
  );

describe('driftStart', () => {
  const cases: [title: string, values: ValueComparison[], start: string | undefined][] = [
    ['the first value beyond the tolerance', using(0.1, 0.2, 20, 30), '2'],
    ['a value where the error jumps, behind values that rounding takes beyond the tolerance', using(0.8, 1.2, 2.4, 1.9, 400, 9000), '4'],
    ['the first value beyond the tolerance, where the error grows by little', using(0.8, 1.2, 5, 20, 33), '1'],
    ['a value that is not finite', using(0.1, Infinity, Infinity), '1'],
    ['a value of another shape', using(0.1, undefined, 20), '1'],
    ['null, where every value is within the tolerance', using(0, 0.1, 0.9), undefined],
  ]; // prettier-ignore
  for (const [title, values, start] of cases)
    it(`driftStart returns ${title}`, () => {
      expect(driftStart(values)?.name).to.equal(start);
    });
});
