import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ImageError, OptionError } from '../../lib/errors.js';
import type { Image } from '../../lib/images/image.js';
import { decodePng } from '../../lib/images/png.js';
import { IMAGENET, toTensor, type ToTensorOptions } from '../../lib/images/to-tensor.js';
import { readFixture, stack } from '../../lib/index.js';

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

/** RGB of 8 bits, sample (37y + 11x + 83c) mod 256: the image of the figures from torchvision and Pillow below. */
function slope(width: number, height: number): Image {
  const samples = Uint8Array.from({ length: 3 * width * height }, (_, i) => {
    const pixel = Math.floor(i / 3);
    return (37 * Math.floor(pixel / width) + 11 * (pixel % width) + 83 * (i % 3)) % 256;
  });
  return { width, height, channels: 3, samples, max: 255 };
}

function expectClose(actual: Float32Array, expected: readonly number[], tolerance: number): void {
  expect(actual).to.have.length(expected.length);
  actual.forEach((value, i) => expect(value).to.be.closeTo(expected[i]!, tolerance));
}

describe('toTensor', () => {
  it('toTensor makes one plane for each channel, with samples from 0 to 1', () => {
    const x = toTensor(rgb);
    expect([x.dtype, x.dims]).to.deep.equal(['float32', [3, 1, 2]]);
    expect([...x.data]).to.deep.equal(float32(1, 10 / 255, 0, 20 / 255, 0.2, 30 / 255));
  });

  it("toTensor of the demo's image is PyTorch's float32 image.float() / 255, bit for bit", async () => {
    const { inputs } = await readFixture(demo('unet-cells.safetensors'));
    expect(stack([toTensor(decodePng(readFileSync(demo('cells.png'))))])).to.deep.equal(inputs.get('x'));
  });

  it('toTensor keeps grey, and repeats it for three channels', () => {
    expect(toTensor(grey).dims).to.deep.equal([1, 1, 2]);
    expect([...toTensor(grey, { channels: 3 }).data]).to.deep.equal(float32(0, 0.2, 0, 0.2, 0, 0.2));
  });

  it("toTensor of RGB for one channel is ITU-R 601's luma, and exactly the value of equal channels", () => {
    const luma = (299 * 255 + 114 * 51) / 1000 / 255;
    const y = toTensor(rgb, { channels: 1 });
    expect(y.dims).to.deep.equal([1, 1, 2]);
    expect([...y.data]).to.deep.equal(float32(luma, 18.15 / 255));
    const samples = Uint8Array.from({ length: 768 }, (_, i) => Math.floor(i / 3));
    const image: Image = { width: 256, height: 1, channels: 3, samples, max: 255 };
    const values = Array.from({ length: 256 }, (_, i) => Math.fround(i / 255));
    expect([...toTensor(image, { channels: 1 }).data]).to.deep.equal(values);
  });

  it('toTensor of 16 bits and of 1 bit reaches from 0 to 1', () => {
    const deep: Image = { ...grey, samples: Uint16Array.of(13107, 65535), max: 65535 };
    expect([...toTensor(deep).data]).to.deep.equal(float32(0.2, 1));
    expect([...toTensor({ ...grey, samples: Uint8Array.of(0, 1), max: 1 }).data]).to.deep.equal([0, 1]);
  });

  // torch 2.13, torchvision 0.28, Pillow 13.0.
  it('toTensor with size, mean and std is Compose([ToTensor(), Resize(size, antialias=True), Normalize(mean, std)])', () => {
    const x = toTensor(slope(6, 4), { size: [2, 3], ...IMAGENET });
    expect(x.dims).to.deep.equal([3, 2, 3]);
    // Elements below 2: torch rounds to float32 after each of its four steps, and weighs in float32.
    expectClose(
      x.data,
      [
        -1.53076959, -1.19439042, -0.858011305, -0.535087407, -0.198708221, 0.137670845, 0.0176071841,
        0.361494839, 0.705382228, 1.03551424, 1.37940168, 1.72328925, 1.59531581, 1.47099936, 0.914154232,
        0.514349818, -0.543317676, -0.713163376,
      ],
      1e-6,
    );
  });

  it('toTensor with one number as size scales the shorter side to it, as Resize(size)', () => {
    const x = toTensor(slope(6, 4), { size: 3 });
    expect(x.dims).to.deep.equal([3, 3, 4]);
    expectClose(
      x.data,
      [
        0.0597058907, 0.120217867, 0.182527229, 0.243039235, 0.233823538, 0.294335544, 0.356644869,
        0.417156875, 0.407941192, 0.468453228, 0.530762553, 0.591274559, 0.38519612, 0.445708096, 0.508017421,
        0.568529427, 0.559313774, 0.619825721, 0.682135046, 0.742647052, 0.733431458, 0.793943465, 0.85625267,
        0.916764736, 0.710686326, 0.771198273, 0.833507597, 0.705784321, 0.88480401, 0.610675454, 0.505664468,
        0.252451003, 0.356176376, 0.215904132, 0.177821368, 0.238333374,
      ],
      3e-7,
    );
    expect(toTensor(slope(4, 6), { size: 3 }).dims).to.deep.equal([3, 4, 3]);
    // Resize(3) of 5 × 7 pixels gives ⌊3 · 7 / 5⌋ = 4.
    expect(toTensor(slope(7, 5), { size: 3 }).dims).to.deep.equal([3, 3, 4]);
  });

  it("toTensor with a size is within 1/255 of Pillow's resize, which rounds to 8 bits twice", () => {
    const pillow = [
      15, 31, 46, 62, 60, 76, 91, 107, 104, 120, 135, 151, 98, 114, 129, 145, 143, 159, 174, 190, 187, 203,
      218, 234, 181, 197, 212, 180, 226, 156, 129, 65, 91, 55, 45, 61,
    ];
    const x = toTensor(slope(6, 4), { size: [3, 4] });
    expectClose(
      x.data.map((value) => 255 * value),
      pillow,
      1,
    );
  });

  it('toTensor with layout NHWC has the channels last, after all else', () => {
    const first = toTensor(slope(6, 4), { size: 3, ...IMAGENET });
    const last = toTensor(slope(6, 4), { size: 3, ...IMAGENET, layout: 'NHWC' });
    expect(last.dims).to.deep.equal([3, 4, 3]);
    last.data.forEach((value, i) => expect(value).to.equal(first.data[(i % 3) * 12 + Math.floor(i / 3)]));
  });

  it('toTensor refuses options that it cannot follow, and says which', () => {
    const wrong: [ToTensorOptions, string][] = [
      [{ size: 0 }, 'size must be'],
      [{ size: [2.5, 2] }, 'size must be [height, width] or the length of the shorter side'],
      [{ size: [1, 2, 3] as never }, 'got 1,2,3'],
      [{ size: [] as never }, 'size must be'],
      [{ size: '224' as never }, 'got 224'],
      [{ size: [1e9, 1e9] }, 'allowed: 89478485 pixels'],
      [{ size: 2 ** 40 }, 'allowed: 89478485 pixels'],
      [{ mean: [1, 2] }, 'toTensor: mean must be a list of one number, or of one for each of the 3 channels'],
      [{ std: [0] }, 'above 0'],
      [{ std: 0.5 as never }, 'std must be a list'],
      [{ layout: 'HWC' as never }, 'layout must be NCHW or NHWC, not HWC'],
      [{ channels: 4 as never }, 'channels must be 1 or 3, not 4'],
    ];
    for (const [options, message] of wrong) {
      expect(() => toTensor(rgb, options))
        .to.throw(OptionError, message)
        .with.property('code', 'INVALID_OPTION');
    }
    expect(() => toTensor(rgb, { sise: 2 } as never))
      .to.throw(OptionError, "'sise'")
      .with.property('code', 'UNKNOWN_OPTION');
  });

  it('toTensor refuses what is not an image, and names fromRgba for pixels of a canvas', () => {
    for (const image of [undefined, {}, { ...rgb, width: 3 }, { ...rgb, samples: [1] as never }]) {
      expect(() => toTensor(image as Image))
        .to.throw(ImageError, 'toTensor')
        .with.property('code', 'IMAGE_INVALID');
    }
    const pixels = { width: 1, height: 1, data: new Uint8ClampedArray(4) };
    expect(() => toTensor(pixels as never)).to.throw(ImageError, 'fromRgba');
  });
});
