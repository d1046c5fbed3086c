import { expect, use } from 'chai';
import { describe, it } from 'mocha';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import onnxMatchers from '../../lib/chai.js';
import type { Image } from '../../lib/images/image.js';
import { maskOf } from '../../lib/images/mask.js';
import { decodePng } from '../../lib/images/png.js';
import { segment } from '../../lib/images/segment.js';
import { IMAGENET } from '../../lib/images/to-tensor.js';
import {
  createSession,
  type DType,
  elementCount,
  encodeModel,
  getGraph,
  matchStateDict,
  ModelError,
  OptionError,
  readFixture,
  type Session,
  type Shape,
  tensor,
  type TensorData,
  type TensorInfo,
  type TensorRecord,
} from '../../lib/index.js';
import { rejection } from '../support/temporary.js';
import { withInitializersAsInputs } from '../support/optional-inputs.js';
import { withoutShapes } from '../support/without-shapes.js';
import { pixelModel, severalOutputs, sigmoidModel, unetModel } from './models.js';

use(onnxMatchers);

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

const info = (dtype: DType, shape: Shape): TensorInfo => ({ name: 'x', dtype, shape });
const floats = (dims: number[], values?: readonly number[]) =>
  tensor('float32', dims, values ? Float32Array.from(values) : new Float32Array(elementCount(dims)));

/** A session whose model is a function. */
const network = (input: TensorInfo, run: (x: TensorData) => TensorData): Session =>
  ({
    inputs: [input],
    outputs: [{ name: 'y', dtype: 'float32', shape: undefined }],
    run: (feeds: TensorRecord) => Promise.resolve({ y: run(feeds.x!) }),
  }) as unknown as Session;

describe('images/segment', () => {
  it('segment recognises the probabilities of a network that ends in Sigmoid, and says its threshold', async () => {
    const image = picture(3, 1, (x) => [0, 100, 255][x]!);
    const { mask, threshold } = await run(sigmoidModel(), image);
    expect([threshold, ...mask.classes]).to.deep.equal([0.5, 0, 0, 1]);
    const session = await createSession(sigmoidModel());
    const lower = await segment(session, image, { threshold: 0.1 });
    await session.dispose();
    expect([lower.threshold, ...lower.mask.classes]).to.deep.equal([0.1, 0, 1, 1]);
  });

  it('segment reflects an image for a larger fixed size, and scales an image and its scores for a smaller size', async () => {
    const sample = (x: number) => (x < 8 ? 0 : 255);
    const model = pixelModel({ weight: [[1, 1, 1]], bias: [-1.5], shape: [1, 3, 8, 8] });
    const small = await run(
      model,
      picture(4, 5, () => 255),
    );
    expect([small.scaledTo, small.paddedTo]).to.deep.equal([
      [5, 4],
      [8, 8],
    ]);
    expect([...small.logits.data].every((value) => value === 1.5)).to.be.true;
    const large = await run(model, picture(16, 12, sample));
    expect([large.scaledTo, large.paddedTo, large.logits.dims]).to.deep.equal([
      [8, 8],
      [8, 8],
      [1, 1, 12, 16],
    ]);
    for (let i = 0; i < 16 * 12; i++) expect(large.mask.classes[i]).to.equal(i % 16 < 8 ? 0 : 1);
  });

  it('segment scales an output of half the size bilinearly', async () => {
    const session = network(info('float32', ['N', 3, 'H', 'W']), () => floats([1, 1, 1, 2], [-4, 4]));
    const { logits, mask } = await segment(
      session,
      picture(4, 2, () => 0),
    );
    expect([...logits.data]).to.deep.equal([-4, -2, 2, 4, -4, -2, 2, 4]);
    expect([...mask.classes]).to.deep.equal([0, 0, 1, 1, 0, 0, 1, 1]);
  });

  it('segment gives a network with channels last the bytes of the image, and takes the class indices of ArgMax', async () => {
    const image = picture(3, 2, (x, y, c) => 10 * x + 100 * y + c);
    let given: TensorData | undefined;
    const session = network(info('uint8', [1, 'H', 'W', 3]), (x) => {
      given = x;
      return tensor('int64', [1, 2, 3], BigInt64Array.of(0n, 1n, 2n, 3n, 2n, 1n));
    });
    const { mask, threshold } = await segment(session, image);
    expect(given).to.deep.equal(tensor('uint8', [1, 2, 3, 3], Uint8Array.from(image.samples)));
    expect([mask.numClasses, ...mask.classes]).to.deep.equal([4, 0, 1, 2, 3, 2, 1]);
    expect(threshold).to.be.undefined;
    const error = await rejection(segment(session, image, { mean: [0.5] }));
    expect(error).to.be.instanceOf(OptionError).with.property('code', 'INVALID_OPTION');
  });

  it('segment subtracts mean and divides by std for each channel, as torchvision does', async () => {
    let given: TensorData | undefined;
    const session = network(info('float32', ['N', 3, 'H', 'W']), (x) => {
      given = x;
      return floats([1, 2, 1, 1]);
    });
    const image = picture(1, 1, (_, __, c) => [255, 51, 0][c]!);
    await segment(session, image, IMAGENET);
    // (1 − 0.485) / 0.229, (0.2 − 0.456) / 0.224, −0.406 / 0.225
    [2.2489082969432315, -1.142857142857143, -1.8044444444444445].forEach((value, c) =>
      expect(Number(given!.data[c])).to.be.closeTo(value, 3e-7),
    );
    await segment(session, image, { mean: [0.5], std: [0.25] });
    expect([...given!.data].map(Number)[0]).to.equal(2);
    for (const wrong of [{ mean: [1, 2] }, { std: [0] }, { std: [NaN] }, { mean: 1 as never }]) {
      const error = await rejection(segment(session, image, wrong));
      expect(error).to.be.instanceOf(OptionError).with.property('code', 'INVALID_OPTION');
    }
  });

  it('segment takes the only output that has scores for each pixel, whatever other outputs the network has', async () => {
    const image = picture(3, 2, (x, _, c) => (x === c ? 255 : 0));
    const { mask, output } = await run(severalOutputs(['features', 'out']), image);
    expect([output, ...mask.classes]).to.deep.equal(['out', 0, 1, 2, 0, 1, 2]);
  });

  it('segment takes the output that is named, and asks for a name where several have scores for each pixel', async () => {
    const image = picture(3, 1, (x, _, c) => (x === c ? 255 : 0));
    await using session = await createSession(severalOutputs(['features', 'out', 'aux']));
    const named = await segment(session, image, { output: 'aux' });
    // Of equal scores the first class counts.
    expect([named.output, ...named.mask.classes]).to.deep.equal(['aux', 1, 0, 0]);
    for (const [output, message] of [
      [
        undefined,
        "several outputs have a score or class for each pixel: 'out' float32 [1, 3, 1, 3], 'aux' float32 [1, 3, 1, 3]; name the one",
      ],
      ['auxx', "no such output 'auxx': did you mean 'aux'?"],
    ] as const) {
      const error = await rejection(segment(session, image, { output }));
      expect(error).to.be.instanceOf(OptionError).with.property('code', 'INVALID_OPTION');
      expect((error as Error).message).to.include(message);
    }
    const other = await rejection(segment(session, image, { output: 'features' }));
    expect(other).to.be.instanceOf(ModelError).with.property('code', 'MODEL_UNSUPPORTED');
  });

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
    expect(logits).to.matchTensor(expected);
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
        'no output for pixels',
        () => severalOutputs(['features']),
        /for 4 × 4 pixels its output is 'features' float32 \[1, 6\]/,
      ],
    ];
    for (const [what, model, message] of cases) {
      it(`segment refuses a model with ${what}`, async () => {
        const error = await rejection(run(model(), image));
        expect(error).to.be.instanceOf(ModelError).with.property('code', 'MODEL_UNSUPPORTED');
        expect((error as Error).message)
          .to.match(message)
          .and.to.include('needed: one input of floats or uint8 [N, 1 or 3, H, W]');
      });
    }

    it('segment refuses an output whose size is not a fraction of the input', async () => {
      const error = await rejection(
        segment(
          network(info('float32', [1, 3, 4, 4]), () => floats([1, 2, 3, 4])),
          image,
        ),
      );
      expect(error).to.be.instanceOf(ModelError).with.property('code', 'MODEL_UNSUPPORTED');
      expect((error as Error).message).to.match(/for 4 × 4 pixels its output is 'y' float32 \[1, 2, 3, 4\]/);
    });
  });
});
