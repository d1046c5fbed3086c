import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { Image } from '../../lib/images/image.js';
import { decodePng } from '../../lib/images/png.js';
import { crop, padTo } from '../../lib/images/resample.js';
import { imageToTensor } from '../../lib/images/segment.js';
import { readFixture, tensor, type TensorData } from '../../lib/index.js';

const demo = (name: string): string => fileURLToPath(new URL(`../../demo/${name}`, import.meta.url));
const grey: Image = { width: 2, height: 1, channels: 1, samples: Uint8Array.of(0, 51), max: 255 };
const rgb: Image = {
  width: 2,
  height: 1,
  channels: 3,
  samples: Uint8Array.of(255, 0, 51, 10, 20, 30),
  max: 255,
};
const float32 = (...values: number[]): number[] => values.map(Math.fround);
const counted = (height: number, width: number): TensorData =>
  tensor(
    'float32',
    [1, 1, height, width],
    Float32Array.from({ length: height * width }, (_, i) => i),
  );

describe('images/tensor', () => {
  describe('imageToTensor', () => {
    it('imageToTensor makes one plane for each channel, with samples from 0 to 1', () => {
      const x = imageToTensor(rgb, 3);
      expect([x.dtype, x.dims]).to.deep.equal(['float32', [1, 3, 1, 2]]);
      expect([...x.data]).to.deep.equal(float32(1, 10 / 255, 0, 20 / 255, 0.2, 30 / 255));
    });

    it("imageToTensor of the demo's image is PyTorch's float32 image.float() / 255, bit for bit", async () => {
      const { inputs } = await readFixture(demo('unet-cells.safetensors'));
      expect(imageToTensor(decodePng(readFileSync(demo('cells.png'))), 3)).to.deep.equal(inputs.get('x'));
    });

    it('imageToTensor repeats grey for a network of three channels', () => {
      expect([...imageToTensor(grey, 3).data]).to.deep.equal(float32(0, 0.2, 0, 0.2, 0, 0.2));
    });

    it("imageToTensor of RGB for one channel is ITU-R 601's luma, and exactly the value of equal channels", () => {
      const luma = (299 * 255 + 114 * 51) / 1000 / 255;
      const y = imageToTensor(rgb, 1);
      expect(y.dims).to.deep.equal([1, 1, 1, 2]);
      expect([...y.data]).to.deep.equal(float32(luma, 18.15 / 255));
      const samples = Uint8Array.from({ length: 768 }, (_, i) => Math.floor(i / 3));
      const image: Image = { width: 256, height: 1, channels: 3, samples, max: 255 };
      const values = Array.from({ length: 256 }, (_, i) => Math.fround(i / 255));
      expect([...imageToTensor(image, 1).data]).to.deep.equal(values);
    });

    it('imageToTensor of 16 bits and of 1 bit reaches from 0 to 1', () => {
      const deep: Image = { ...grey, samples: Uint16Array.of(13107, 65535), max: 65535 };
      expect([...imageToTensor(deep, 1).data]).to.deep.equal(float32(0.2, 1));
      expect([...imageToTensor({ ...grey, samples: Uint8Array.of(0, 1), max: 1 }, 1).data]).to.deep.equal([
        0, 1,
      ]);
    });
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
});
