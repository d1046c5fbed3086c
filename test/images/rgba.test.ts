import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ImageError } from '../../lib/errors.js';
import { fromRgba, toRgba } from '../../lib/images/image.js';

describe('pixels of a canvas', () => {
  it('fromRgba turns pixels of a canvas into RGB without alpha', () => {
    const data = Uint8ClampedArray.of(1, 2, 3, 255, 4, 5, 6, 0);
    expect(fromRgba({ width: 2, height: 1, data })).to.deep.equal({
      width: 2,
      height: 1,
      channels: 3,
      samples: Uint8Array.of(1, 2, 3, 4, 5, 6),
      max: 255,
    });
  });

  it('toRgba turns grey and RGB into opaque pixels, and rounds them to 8 bits', () => {
    const grey = { width: 2, height: 1, channels: 1, samples: Uint8Array.of(0, 1), max: 1 } as const;
    expect([...toRgba(grey).data]).to.deep.equal([0, 0, 0, 255, 255, 255, 255, 255]);
    const deep = {
      width: 1,
      height: 1,
      channels: 3,
      samples: Uint16Array.of(0, 32768, 65535),
      max: 65535,
    } as const;
    expect([...toRgba(deep).data]).to.deep.equal([0, 128, 255, 255]);
  });

  it('fromRgba gives back what toRgba was given', () => {
    const image = {
      width: 1,
      height: 2,
      channels: 3,
      samples: Uint8Array.of(9, 8, 7, 6, 5, 4),
      max: 255,
    } as const;
    expect(fromRgba(toRgba(image))).to.deep.equal(image);
  });

  it('fromRgba refuses more or fewer pixels than the size takes', () => {
    const short = { width: 2, height: 1, data: new Uint8ClampedArray(4) };
    expect(() => fromRgba(short))
      .to.throw(ImageError, /take 8 bytes, not 4/)
      .with.property('code', 'IMAGE_INVALID');
  });
});
