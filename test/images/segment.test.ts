import { expect } from 'chai';
import { describe, it } from 'mocha';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Image } from '../../lib/images/image.js';
import { maskOf } from '../../lib/images/mask.js';
import { decodePng } from '../../lib/images/png.js';
import { segment } from '../../lib/images/segment.js';
import {
  compareTensors,
  createSession,
  defaultTolerance,
  encodeModel,
  getGraph,
  matchStateDict,
  ModelError,
  readFixture,
  SessionError,
} from '../../lib/index.js';
import { rejection } from '../support/temporary.js';
import { withInitializersAsInputs } from '../support/optional-inputs.js';
import { withoutShapes } from '../support/without-shapes.js';
import { pixelModel, poolingModel, twoOutputs, unetModel } from './models.js';

const demo = (name: string): string => fileURLToPath(new URL(`../../demo/${name}`, import.meta.url));

async function run(model: Uint8Array, image: Image) {
  const session = await createSession(model);
  try {
    return await segment(session, image);
  } finally {
    await session.dispose();
  }
}

/** RGB from a function of the place. */
function picture(width: number, height: number, sample: (x: number, y: number, c: number) => number): Image {
  const samples = new Uint8Array(3 * width * height);
  for (let i = 0; i < samples.length; i++) {
    const pixel = Math.floor(i / 3);
    samples[i] = sample(pixel % width, Math.floor(pixel / width), i % 3);
  }
  return { width, height, channels: 3, samples, max: 255 };
}

/** Class 1 where red + green − blue is above 1. */
const COLOURS = {
  weight: [
    [0, 0, 0],
    [1, 1, -1],
  ],
  bias: [0, -1],
};

describe('images/segment', () => {
  it('segment takes a model whose weights are optional inputs', async () => {
    const red = picture(2, 2, (x, _, c) => (x === 1 && c < 2 ? 255 : 0));
    const { mask } = await run(withInitializersAsInputs(pixelModel(COLOURS)), red);
    expect([...mask.classes]).to.deep.equal([0, 1, 0, 1]);
  });

  it("segment gives PyTorch's mask and logits for the demo's image", async () => {
    const { graph: name, options, stateDict, outputs } = await readFixture(demo('unet-cells.safetensors'));
    const graph = getGraph(name).build(options);
    const image = decodePng(readFileSync(demo('cells.png')));
    const { mask, logits, paddedTo } = await run(encodeModel(graph, matchStateDict(graph, stateDict)), image);
    const expected = outputs.get('y')!;
    // The network's error is below PyTorch's default for a single operation: the fixture states no other.
    expect(compareTensors('y', logits, expected, defaultTolerance('float32')).mismatched).to.equal(0);
    expect(mask).to.deep.equal(maskOf(expected));
    expect(paddedTo).to.deep.equal([128, 192]);
  });

  it('segment judges each pixel by its own samples, from 0 to 1, whether the model declares shapes or not', async () => {
    const image = picture(
      3,
      1,
      (x, _, c) =>
        [
          [255, 255, 0],
          [255, 255, 255],
          [255, 0, 0],
        ][x]![c]!,
    );
    const model = pixelModel(COLOURS);
    const { mask, logits } = await run(model, image);
    expect([...mask.classes]).to.deep.equal([1, 0, 0]);
    expect([...logits.data]).to.deep.equal([0, 0, 0, 1, 0, 0]);
    expect((await run(withoutShapes(model, ['x', 'y']), image)).logits).to.deep.equal(logits);
  });

  it('segment gives a network of one channel the luma, and a network of three channels grey three times', async () => {
    const red = picture(1, 1, (_, __, c) => (c === 0 ? 255 : 0));
    const one = await run(pixelModel({ weight: [[1]], bias: [0] }), red);
    expect(one.logits.data[0]).to.equal(Math.fround(0.299));
    const grey: Image = { width: 1, height: 1, channels: 1, samples: Uint8Array.of(51), max: 255 };
    const three = await run(pixelModel({ weight: [[1, 1, 1]], bias: [0] }), grey);
    expect(three.logits.data[0]).to.be.closeTo(0.6, 1e-7);
  });

  it('segment gives a float16 network float16', async () => {
    const image = picture(2, 1, (x) => 255 * x);
    const { mask, logits } = await run(pixelModel({ ...COLOURS, bias: [0.5, 0], dtype: 'float16' }), image);
    expect([logits.dtype, ...mask.classes]).to.deep.equal(['float16', 0, 1]);
  });

  it('segment gives a network for any size the unchanged image', async () => {
    const { paddedTo } = await run(
      pixelModel(COLOURS),
      picture(5, 7, () => 0),
    );
    expect(paddedTo).to.deep.equal([7, 5]);
  });

  it('segment reflects the image at its right and lower edge for multiples of 16, and crops the result', async () => {
    const sample = (x: number, y: number, c: number) => (x * x * 5 + y * 31 + c * 77) % 256;
    const [width, height] = [35, 20];
    const model = unetModel(3);
    const { mask, logits, paddedTo } = await run(model, picture(width, height, sample));
    const mirror = (i: number, size: number) => (i < size ? i : 2 * (size - 1) - i);
    const byHand = await run(
      model,
      picture(48, 32, (x, y, c) => sample(mirror(x, width), mirror(y, height), c)),
    );
    expect([paddedTo, byHand.paddedTo]).to.deep.equal([
      [32, 48],
      [32, 48],
    ]);
    expect([mask.width, mask.height, logits.dims]).to.deep.equal([width, height, [1, 3, height, width]]);
    for (let y = 0; y < height; y++) {
      const row = byHand.mask.classes.slice(48 * y, 48 * y + width);
      expect(mask.classes.slice(width * y, width * (y + 1))).to.deep.equal(row);
    }
  });

  it('segment segments a single pixel', async () => {
    const { mask, paddedTo } = await run(
      unetModel(2),
      picture(1, 1, () => 9),
    );
    expect([mask.classes.length, paddedTo]).to.deep.equal([1, [16, 16]]);
  });

  describe('segment refuses a model of another shape, and says what the model has and needs', () => {
    const image = picture(4, 4, () => 0);
    const group = { numGroups: 1, numChannels: 3, affine: false };
    const cases: [what: string, model: () => Uint8Array, message: RegExp][] = [
      [
        'four channels',
        () => pixelModel({ weight: [[1, 1, 1, 1]], bias: [0] }),
        /inputs 'x' float32 \[N, 4, H, W\]/,
      ],
      [
        'an input of rank 3',
        () => encodeModel(getGraph('group-norm').build(group, { shape: ['N', 3, 'L'] }), new Map()),
        /\[N, 3, L\]/,
      ],
      [
        'an output that is half as large',
        poolingModel,
        /for 4 × 4 pixels its output is float32 \[1, 3, 2, 2\]/,
      ],
      ['two outputs', twoOutputs, /outputs 'a' float32 \[N, 3, H, W\], 'b' float32/],
    ];
    for (const [what, model, message] of cases) {
      it(`segment refuses a model with ${what}`, async () => {
        const error = await rejection(run(model(), image));
        expect(error).to.be.instanceOf(ModelError).with.property('code', 'MODEL_UNSUPPORTED');
        expect((error as Error).message)
          .to.match(message)
          .and.to.include('needed: one float input [N, 1 or 3, H, W]');
      });
    }

    it('segment refuses a model of another fixed size', async () => {
      const error = await rejection(run(pixelModel({ ...COLOURS, shape: [1, 3, 8, 8] }), image));
      expect(error).to.be.instanceOf(SessionError).with.property('code', 'INPUT_SHAPE');
    });
  });
});
