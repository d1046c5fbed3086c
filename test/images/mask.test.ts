import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ImageError } from '../../lib/errors.js';
import { classColour, maskOf, maskToImage } from '../../lib/images/mask.js';
import { castTensor, tensor } from '../../lib/index.js';

const logits = (classes: number, height: number, width: number, ...values: number[]) =>
  tensor('float32', [1, classes, height, width], Float32Array.from(values));

describe('images/mask', () => {
  it('maskOf gives each pixel the class with the largest logit, the first of equal logits', () => {
    const mask = maskOf(logits(3, 1, 4, 1, 0, 5, -1, 2, 0, 5, -2, 0, 1, 4, -3));
    expect(mask).to.include({ width: 4, height: 1, numClasses: 3 });
    expect([...mask.classes]).to.deep.equal([1, 2, 0, 0]);
  });

  it('maskOf gives class 1 to a single logit above 0', () => {
    const mask = maskOf(logits(1, 2, 2, 1e-30, 0, -1, Infinity));
    expect([mask.numClasses, ...mask.classes]).to.deep.equal([2, 1, 0, 0, 1]);
  });

  it('maskOf takes a single score within 0 and 1 for a probability, whose threshold is a half', () => {
    expect([...maskOf(logits(1, 2, 2, 0.4, 0.5, 0.6, 1)).classes]).to.deep.equal([0, 0, 1, 1]);
    expect([...maskOf(logits(1, 2, 2, 0.4, 0.5, 0.6, 1.5)).classes]).to.deep.equal([1, 1, 1, 1]);
    expect([...maskOf(logits(1, 2, 2, 0.4, 0.5, 0.6, 1), 0.9).classes]).to.deep.equal([0, 0, 0, 1]);
  });

  it('maskOf takes a single integer for the index of a class, and 0 and 255 alone for black and white', () => {
    const indices = maskOf(tensor('int64', [1, 1, 1, 3], BigInt64Array.of(0n, 20n, 3n)));
    expect([indices.numClasses, ...indices.classes]).to.deep.equal([21, 0, 20, 3]);
    const white = maskOf(tensor('uint8', [1, 1, 1, 3], Uint8Array.of(0, 255, 0)));
    expect([white.numClasses, ...white.classes]).to.deep.equal([2, 0, 1, 0]);
    const bool = maskOf(tensor('bool', [1, 1, 1, 2], Uint8Array.of(1, 0)));
    expect([bool.numClasses, ...bool.classes]).to.deep.equal([2, 1, 0]);
    expect(() => maskOf(tensor('int32', [1, 1, 1, 2], Int32Array.of(0, -1))))
      .to.throw(ImageError, 'has -1 in place of a class')
      .with.property('code', 'MASK_UNDEFINED');
  });

  it('maskOf takes float16 by its value, not by its bits', () => {
    const half = castTensor(logits(2, 1, 2, -1, -1, -2, 0.5), 'float16');
    expect([...maskOf(half).classes]).to.deep.equal([0, 1]);
  });

  it('maskOf refuses a NaN, and says where', () => {
    expect(() => maskOf(logits(2, 2, 2, 0, 0, 0, 0, 0, 0, 0, NaN)))
      .to.throw(ImageError, 'NaN at x = 1, y = 1')
      .with.property('code', 'MASK_UNDEFINED');
  });

  it('maskToImage refuses a mask with an unknown class, and a mask with a pixel too few', () => {
    const mask = { width: 2, height: 1, numClasses: 2, classes: Uint16Array.of(0, 1) };
    for (const wrong of [{ numClasses: 1 }, { height: 2 }, { classes: [0, 1] as never }]) {
      expect(() => maskToImage({ ...mask, ...wrong }))
        .to.throw(ImageError, 'maskToImage: this is not a mask')
        .with.property('code', 'MASK_INVALID');
    }
  });

  it('maskToImage draws two classes in black and white', () => {
    const image = maskToImage({ width: 2, height: 1, numClasses: 2, classes: Uint16Array.of(0, 1) });
    expect(image).to.deep.equal({
      width: 2,
      height: 1,
      channels: 1,
      samples: Uint8Array.of(0, 255),
      max: 255,
    });
  });

  it("maskToImage draws more classes in PASCAL VOC's colours", () => {
    const image = maskToImage({ width: 3, height: 1, numClasses: 21, classes: Uint16Array.of(0, 15, 20) });
    expect(image.channels).to.equal(3);
    // Background, person, TV monitor.
    expect([...image.samples]).to.deep.equal([0, 0, 0, 192, 128, 128, 0, 64, 128]);
  });

  it('classColour gives no two of a thousand classes the same colour', () => {
    const colours = Array.from({ length: 1000 }, (_, index) => classColour(index).join());
    expect(new Set(colours).size).to.equal(1000);
  });
});
