import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  crop,
  padTo,
  scaleBilinear,
  scaleNearest,
  type Size,
  toChannelsFirst,
  toChannelsLast,
} from '../../lib/images/resample.js';
import { tensor, type TensorData } from '../../lib/tensor.js';

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

const counted = (height: number, width: number): TensorData =>
  tensor(
    'float32',
    [1, 1, height, width],
    Float32Array.from({ length: height * width }, (_, i) => i),
  );

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

describe('padTo', () => {
  it('padTo reflects at the right and lower edge without repeating it', () => {
    const padded = padTo(counted(2, 3), 3, 5);
    expect(padded.dims).to.deep.equal([1, 1, 3, 5]);
    expect([...padded.data]).to.deep.equal([0, 1, 2, 1, 0, 3, 4, 5, 4, 3, 0, 1, 2, 1, 0]);
  });

  it('padTo goes back and forth in an image smaller than the padding, and repeats a single pixel', () => {
    expect([...padTo(counted(1, 3), 1, 10).data]).to.deep.equal([0, 1, 2, 1, 0, 1, 2, 1, 0, 1]);
    expect([...padTo(counted(1, 1), 2, 2).data]).to.deep.equal([0, 0, 0, 0]);
  });

  it('padTo pads every channel by itself, for any float', () => {
    const x = tensor('float16', [1, 2, 1, 2], Uint16Array.of(1, 2, 3, 4));
    expect(padTo(x, 1, 3)).to.deep.equal(tensor('float16', [1, 2, 1, 3], Uint16Array.of(1, 2, 1, 3, 4, 3)));
  });

  it('padTo returns a tensor of the right size as it is', () => {
    const x = counted(2, 3);
    expect(padTo(x, 2, 3)).to.equal(x);
  });
});

describe('crop', () => {
  it('crop keeps the top left of every channel', () => {
    const y = tensor(
      'float32',
      [1, 2, 2, 3],
      Float32Array.from({ length: 12 }, (_, i) => i),
    );
    expect(crop(y, 1, 2)).to.deep.equal(tensor('float32', [1, 2, 1, 2], Float32Array.of(0, 1, 6, 7)));
  });

  it('crop undoes padTo', () => {
    const x = counted(3, 4);
    expect(crop(padTo(x, 16, 16), 3, 4)).to.deep.equal(x);
  });
});

describe('the place of the channels', () => {
  it('toChannelsLast makes (H, W, C) out of (C, H, W), and toChannelsFirst undoes it', () => {
    const x = tensor('int8', [2, 2, 2], Int8Array.of(0, 1, 2, 3, 10, 11, 12, 13));
    const last = toChannelsLast(x);
    expect(last).to.deep.equal(tensor('int8', [2, 2, 2], Int8Array.of(0, 10, 1, 11, 2, 12, 3, 13)));
    expect(toChannelsFirst(last)).to.deep.equal(x);
  });
});
