import { expect } from 'chai';
import { describe, it } from 'mocha';
import { createSession, images } from '../../lib/index.js';
import { pixelModel } from './models.js';
import { makePng } from './png-samples.js';

describe('images in the public API', () => {
  it('images.segment segments a PNG, and images.overlay draws the mask over it', async () => {
    // Grey above a half is class 1.
    const session = await createSession(pixelModel({ weight: [[1]], bias: [-0.5] }));
    const png = makePng({ width: 3, height: 1, depth: 8, colourType: 0, samples: [0, 200, 100] });
    const image = images.decodePng(png);
    const { mask } = await images.segment(session, image);
    await session.dispose();
    expect([...mask.classes]).to.deep.equal([0, 1, 0]);
    const black = images.decodePng(images.encodePng(images.maskToImage(mask)));
    expect(black).to.deep.equal({
      width: 3,
      height: 1,
      channels: 1,
      samples: Uint8Array.of(0, 255, 0),
      max: 255,
    });
    const drawn = images.overlay(image, mask);
    expect([...drawn.samples.subarray(0, 3)]).to.deep.equal([0, 0, 0]);
    expect([...drawn.samples.subarray(3, 6)]).not.to.deep.equal([200, 200, 200]);
  });
});
