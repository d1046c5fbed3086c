import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { scaleBilinear, scaleNearest, type Size } from '../../lib/images/resample.js';
import { tensor } from '../../lib/tensor.js';

interface Case {
  readonly size: Size;
  readonly to: Size;
  readonly x: readonly number[];
  readonly bilinear: readonly number[];
  readonly nearest: readonly number[];
}

/** What PyTorch computed: scripts/samples/make_resample_samples.py. */
const CASES = JSON.parse(
  readFileSync(new URL('../samples/resample.json', import.meta.url), 'utf8'),
) as readonly Case[];

describe('images/resample', () => {
  for (const { size, to, x, bilinear, nearest } of CASES) {
    const source = tensor('float32', [1, 2, ...size], Float32Array.from(x));

    it(`scaleBilinear scales ${size.join(' × ')} to ${to.join(' × ')} as PyTorch's interpolate with antialias`, () => {
      const { dims, data } = scaleBilinear(source, to);
      expect(dims).to.deep.equal([1, 2, ...to]);
      // Sums in float64, rounded once: half a unit of 2⁻²⁴ of values below 4, and PyTorch's own weights in float64.
      data.forEach((value, i) => expect(Number(value)).to.be.closeTo(bilinear[i]!, 2.5e-7));
    });

    it(`scaleNearest scales ${size.join(' × ')} to ${to.join(' × ')} as PyTorch's nearest-exact`, () => {
      expect([...scaleNearest(source, to).data]).to.deep.equal([...nearest]);
    });
  }
});
