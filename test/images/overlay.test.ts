import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ImageError } from '../../lib/errors.js';
import type { Image } from '../../lib/images/image.js';
import { type Mask, overlay } from '../../lib/images/mask.js';

const LINE = [255, 214, 10];
const grey = (width: number, height: number): Image => ({
  width,
  height,
  channels: 1,
  samples: new Uint8Array(width * height).fill(100),
  max: 255,
});
const mask = (width: number, height: number, ...classes: number[]): Mask => ({
  width,
  height,
  numClasses: 2,
  classes: Uint16Array.from(classes),
});
const pixels = ({ samples }: Image): number[][] =>
  Array.from({ length: samples.length / 3 }, (_, i) => [...samples.subarray(3 * i, 3 * i + 3)]);

describe('images/overlay', () => {
  it('overlay leaves class 0 as it is, and draws the rim of an area over it', () => {
    const drawn = overlay(grey(5, 1), mask(5, 1, 0, 1, 1, 1, 0), { tint: 0 });
    expect(pixels(drawn)).to.deep.equal([[100, 100, 100], LINE, [100, 100, 100], LINE, [100, 100, 100]]);
  });

  it('overlay tints an area towards its colour, and takes the edge of the image for no rim', () => {
    const [first, second] = pixels(overlay(grey(2, 1), mask(2, 1, 1, 1), { tint: 0.5 }));
    expect(first).to.deep.equal([178, 157, 55]);
    expect(second).to.deep.equal(first);
  });

  it('overlay enlarges the image by its scale', () => {
    const drawn = overlay(grey(2, 1), mask(2, 1, 0, 1), { scale: 4, tint: 0 });
    expect([drawn.width, drawn.height]).to.deep.equal([8, 4]);
    const own = [100, 100, 100];
    expect(pixels(drawn).slice(0, 8)).to.deep.equal([own, own, own, own, LINE, LINE, own, own]);
  });

  it('overlay gives more than two classes their own colours, and turns 16 bits into 8', () => {
    const image: Image = { ...grey(2, 1), samples: Uint16Array.of(65535, 0), max: 65535 };
    const drawn = overlay(image, { ...mask(2, 1, 1, 2), numClasses: 3 }, { tint: 0 });
    expect(pixels(drawn)).to.deep.equal([
      [128, 0, 0],
      [0, 128, 0],
    ]);
    expect(pixels(overlay(image, mask(2, 1, 0, 0)))).to.deep.equal([
      [255, 255, 255],
      [0, 0, 0],
    ]);
  });

  it('overlay refuses a mask of another size, a scale that is not a whole number, and unknown options', () => {
    expect(() => overlay(grey(2, 1), mask(1, 2, 0, 1)))
      .to.throw(ImageError, 'the image has 2 × 1 pixels, but the mask 1 × 2; they must be the same')
      .with.property('code', 'MASK_SIZE');
    for (const scale of [0, -1, 1.5, NaN]) {
      expect(() => overlay(grey(2, 1), mask(2, 1, 0, 1), { scale })).to.throw(
        ImageError,
        'an integer of at least 1',
      );
    }
    expect(() => overlay(grey(2, 1), mask(2, 1, 0, 1), { tnt: 1 } as object)).to.throw(
      "did you mean 'tint'?",
    );
  });
});
