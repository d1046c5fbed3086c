import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { decodePng } from '../../../../lib/images/png.js';
import { readFixture } from '../../../../lib/index.js';
import { pixelModel, severalOutputs, sigmoidModel, unetModel } from '../../../images/models.js';
import { makePng } from '../../../images/png-samples.js';
import { EXECUTION, onnx, useTemporaryFolder } from '../../support.js';

const demo = (name: string): string => fileURLToPath(new URL(`../../../../demo/${name}`, import.meta.url));

/** Class 0 where nothing is, 1 in red, 2 in green. */
const COLOURS = {
  weight: [
    [0, 0, 0],
    [1, 0, 0],
    [0, 1, 0],
  ],
  bias: [0.5, 0, 0],
};

describe('run --image', () => {
  const at = useTemporaryFolder();
  const png = (name: string, colourType: number, samples: number[], depth = 8) => {
    writeFileSync(at(name), makePng({ width: 3, height: 1, depth, colourType, samples }));
    return at(name);
  };
  const run = (model: string, image: string, ...flags: string[]) =>
    onnx('run', at(model), '--image', image, '--mask', at('mask.png'), ...flags);
  const mask = () => decodePng(readFileSync(at('mask.png')));

  beforeEach(() => {
    writeFileSync(at('colours.onnx'), pixelModel(COLOURS));
    writeFileSync(at('bright.onnx'), pixelModel({ weight: [[1]], bias: [-0.5] }));
  });

  it('run --image writes the mask that PyTorch computed for the image of the demo', async () => {
    const flags = '--in-channels 3 --num-classes 2 --num-groups 4 --width 8'.split(' ');
    await onnx('build', 'unet', ...flags, '--weights', demo('unet-cells.safetensors'), '-o', at('unet.onnx'));
    const { code, stdout, stderr } = await run('unet.onnx', demo('cells.png'), '--repeat', '2');
    expect([code, stderr]).to.deep.equal([0, '']);
    const logits = (await readFixture(demo('unet-cells.safetensors'))).outputs.get('y')!.data as Float32Array;
    const plane = 128 * 192;
    const expected = Uint8Array.from({ length: plane }, (_, i) =>
      logits[plane + i]! > logits[i]! ? 255 : 0,
    );
    expect(mask()).to.deep.equal({ width: 192, height: 128, channels: 1, samples: expected, max: 255 });
    const cells = expected.filter((sample) => sample === 255).length;
    expect(stdout)
      // Whether ONNX Runtime has a blocked layout belongs to the processor.
      .to.match(new RegExp(`unet\\.onnx on ${EXECUTION}(?: in blocked layout)?: 2 runs, fastest`))
      .and.to.include('cells.png: 192 × 128 pixels, RGB')
      .and.to.match(new RegExp(`^ +1 +${cells} +${((100 * cells) / plane).toFixed(1)} %$`, 'm'))
      .and.to.match(/^Wrote .*mask\.png$/m);
  });

  it('run --image writes a mask of three classes in colour, and counts the pixels of each class', async () => {
    const { stdout } = await run('colours.onnx', png('rgb.png', 2, [255, 0, 0, 0, 0, 0, 255, 0, 0]));
    expect([...mask().samples]).to.deep.equal([128, 0, 0, 0, 0, 0, 128, 0, 0]);
    expect(stdout).to.match(/^ +0 +1 +33\.3 %\n +1 +2 +66\.7 %\n\nWrote/m);
  });

  it('run --image paints a single class white where its logit is above 0, for grey images of 1, 8 and 16 bits', async () => {
    for (const [depth, samples] of [
      [1, [0, 1, 1]],
      [8, [127, 128, 255]],
      [16, [32767, 32768, 65535]],
    ] as const) {
      await run('bright.onnx', png('grey.png', 0, [...samples], depth));
      expect([...mask().samples]).to.deep.equal([0, 255, 255]);
    }
  });

  it('run --image ignores alpha', async () => {
    const colours = [255, 0, 0, 0, 255, 0, 0, 0, 255];
    await run('colours.onnx', png('rgb.png', 2, colours));
    const opaque = mask();
    await run('colours.onnx', png('rgba.png', 6, [255, 0, 0, 0, 0, 255, 0, 10, 0, 0, 255, 255]));
    expect(mask()).to.deep.equal(opaque);
  });

  it('run --image reflects an image whose size the model cannot take, and says so', async () => {
    writeFileSync(at('unet.onnx'), unetModel(2));
    const { code, stdout } = await run('unet.onnx', png('rgb.png', 2, [255, 0, 0, 0, 0, 0, 255, 0, 0]));
    expect(code).to.equal(0);
    expect(stdout).to.include('reflected at its edges to 16 × 16, a size that the model takes');
    expect([mask().width, mask().height]).to.deep.equal([3, 1]);
  });

  it('run --image says the threshold of a model that gives one score, and --threshold sets another', async () => {
    writeFileSync(at('sigmoid.onnx'), sigmoidModel());
    const image = png('rgb.png', 2, [0, 0, 0, 100, 100, 100, 255, 255, 255]);
    const half = await run('sigmoid.onnx', image);
    expect(half.stdout).to.include(
      '  one score for each pixel: class 1 where it is above 0.5 (--threshold sets another)\n',
    );
    expect([...mask().samples]).to.deep.equal([0, 0, 255]);
    expect((await run('sigmoid.onnx', image, '--threshold', '0.1')).stdout).to.include('above 0.1 (');
    expect([...mask().samples]).to.deep.equal([0, 255, 255]);
  });

  it('run --image --mean and --std prepare the pixels, by numbers or for ImageNet', async () => {
    // Red, normalised for ImageNet, is 2.25 in its first channel.
    writeFileSync(at('red.onnx'), pixelModel({ weight: [[1, 0, 0]], bias: [-2] }));
    const image = png('rgb.png', 2, [255, 0, 0, 200, 0, 0, 0, 0, 0]);
    await run('red.onnx', image);
    expect([...mask().samples]).to.deep.equal([0, 0, 0]);
    await run('red.onnx', image, '--mean', 'imagenet', '--std', 'imagenet');
    expect([...mask().samples]).to.deep.equal([255, 0, 0]);
    await run('red.onnx', image, '--mean', '-2', '--std', '1,1,1');
    expect([...mask().samples]).to.deep.equal([255, 255, 0]);
    const wrong = await run('red.onnx', image, '--mean', '1,2');
    expect(wrong.code).to.equal(2);
    expect(wrong.stderr).to.include(
      'It must be one or three numbers, such as 0.5 or 0.5,0.4,0.6, or imagenet',
    );
  });

  it('run --image asks which of several outputs has the scores, and --scores names it', async () => {
    writeFileSync(at('several.onnx'), severalOutputs(['features', 'out', 'aux']));
    const image = png('rgb.png', 2, [255, 0, 0, 0, 255, 0, 0, 0, 255]);
    const asked = await run('several.onnx', image);
    expect([asked.code, existsSync(at('mask.png'))]).to.deep.equal([2, false]);
    expect(asked.stderr).to.match(
      /^error: .*'out' float32 .*'aux' float32 .*\(on the command line: --scores out\)\n$/,
    );
    const { code, stdout } = await run('several.onnx', image, '--scores', 'out');
    expect([code, ...mask().samples]).to.deep.equal([0, 0, 0, 0, 128, 0, 0, 0, 128, 0]);
    expect(stdout).to.include('scores or classes by the output out\n');
  });

  it('run --image scales an image for a model of a smaller fixed size, and says so', async () => {
    writeFileSync(at('fixed.onnx'), pixelModel({ ...COLOURS, shape: [1, 3, 1, 2] }));
    const { code, stdout } = await run('fixed.onnx', png('rgb.png', 2, [255, 0, 0, 0, 0, 0, 255, 0, 0]));
    expect(code).to.equal(0);
    expect(stdout).to.include('scaled to 2 × 1, the size that the model takes');
    expect([mask().width, mask().height]).to.deep.equal([3, 1]);
  });

  it('run --image segments a PNG that is damaged beside its pixels, with a warning', async () => {
    writeFileSync(
      at('cut.png'),
      readFileSync(png('rgb.png', 2, [255, 0, 0, 0, 0, 0, 255, 0, 0])).subarray(0, -12),
    );
    const { code, stderr } = await run('colours.onnx', at('cut.png'));
    expect(code).to.equal(0);
    expect(stderr).to.match(
      /^warning: .*cut\.png is damaged, but all its pixels are there: its last chunk, IEND, is missing\n$/,
    );
    expect([...mask().samples]).to.deep.equal([128, 0, 0, 0, 0, 0, 128, 0, 0]);
  });

  describe('run --image with bad usage or bad input', () => {
    const image = () => png('rgb.png', 2, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    const cases: [flags: () => string[], message: RegExp][] = [
      [() => ['--image', image()], /--image needs --mask; add --mask OUT\.png/],
      [
        () => ['--threshold', '1'],
        /--scores, --threshold, --mean and --std need --image; add --image IN\.png/,
      ],
      [
        () => ['--std', '0'],
        /It must be one or three numbers above 0, such as 0\.5 or 0\.5,0\.4,0\.6, or imagenet/,
      ],
      [
        () => ['--mean', 'image-net'],
        /It must be one or three numbers, such as 0\.5 or 0\.5,0\.4,0\.6, or imagenet/,
      ],
      [() => ['--mask', at('mask.png')], /--mask needs --image; add --image IN\.png/],
      [
        () => ['--image', image(), '--mask', at('mask.png'), '--input', 'x=random'],
        /--image and --mask replace --input, --random, --dim and --output; leave these out/,
      ],
      [
        () => ['--image', at('none.png'), '--mask', at('mask.png')],
        /cannot read '.*none\.png': it does not exist/,
      ],
      [
        () => ['--image', at('colours.onnx'), '--mask', at('mask.png')],
        /colours\.onnx is not a valid PNG: it does not begin with the PNG signature/,
      ],
      [() => ['--image', image(), '--mask', at('colours.onnx/mask.png')], /cannot write '.*mask\.png'/],
    ];
    for (const [flags, message] of cases) {
      it(`run --image says what is wrong: ${message.source}`, async () => {
        const { code, stdout, stderr } = await onnx('run', at('colours.onnx'), ...flags());
        expect([code, stdout]).to.deep.equal([2, '']);
        expect(stderr)
          .to.match(message)
          .and.to.match(/^error: /);
        expect(existsSync(at('mask.png'))).to.be.false;
      });
    }

    it('run --image leaves the old mask as it was if the image is truncated', async () => {
      writeFileSync(at('cut.png'), readFileSync(image()).subarray(0, 50));
      writeFileSync(at('mask.png'), 'old');
      const { code, stderr } = await run('colours.onnx', at('cut.png'));
      expect(code).to.equal(2);
      expect(stderr).to.match(/cut\.png is not a valid PNG: it is truncated/);
      expect(readFileSync(at('mask.png'), 'utf8')).to.equal('old');
    });

    it('run --image refuses a model that does not segment images', async () => {
      await onnx('build', 'group-norm', '--num-groups', '1', '--num-channels', '4', '-o', at('gn.onnx'));
      const { code, stderr } = await run('gn.onnx', image());
      expect(code).to.equal(2);
      expect(stderr).to.match(/this model does not segment images: it has inputs 'x' float32 \[N, 4, H, W\]/);
    });
  });
});
