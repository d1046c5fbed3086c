import { expect } from 'chai';
import { describe, it } from 'mocha';
import { decodePng, encodePng, maskToImage, overlay, segment } from '../../lib/images/index.js';
import { createSession } from '../../lib/index.js';
import { pixelModel } from './models.js';
import { makePng } from './png-samples.js';

describe('onnx-groupnorm/images', () => {
  it('segment segments a PNG, and overlay draws the mask over it', async () => {
    // Grey above a half is class 1.
    const session = await createSession(pixelModel({ weight: [[1]], bias: [-0.5] }));
    const png = makePng({ width: 3, height: 1, depth: 8, colourType: 0, samples: [0, 200, 100] });
    const image = decodePng(png);
    const { mask } = await segment(session, image);
    await session.dispose();
    expect([...mask.classes]).to.deep.equal([0, 1, 0]);
    const black = decodePng(encodePng(maskToImage(mask)));
    expect(black).to.deep.equal({
      width: 3,
      height: 1,
      channels: 1,
      samples: Uint8Array.of(0, 255, 0),
      max: 255,
    });
    const drawn = overlay(image, mask);
    expect([...drawn.samples.subarray(0, 3)]).to.deep.equal([0, 0, 0]);
    expect([...drawn.samples.subarray(3, 6)]).not.to.deep.equal([200, 200, 200]);
  });
});
