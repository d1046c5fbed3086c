import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { fileURLToPath } from 'node:url';
import { deflateSync, inflateSync } from 'node:zlib';
import { ImageError, OptionError } from '../../lib/errors.js';
import { decodePng, encodePng } from '../../lib/images/png.js';
import { decodeNpy, readFixture } from '../../lib/index.js';
import { DAMAGED, SAMPLES } from './damaged-png.js';
import { chunk, concat, header, makePng, SIGNATURE, type PngSample } from './png-samples.js';

const EMPTY = new Uint8Array(0);
const demo = (name: string): string => fileURLToPath(new URL(`../../demo/${name}`, import.meta.url));

/** `count` samples of `depth` bits, with the smallest and the largest. */
const varied = (count: number, depth: number): number[] =>
  Array.from({ length: count }, (_, i) => (i === 1 ? 2 ** depth - 1 : (i * i * 37) % 2 ** depth));

const decode = (sample: PngSample) => {
  const { width, height, channels, samples, max } = decodePng(makePng(sample));
  expect([width, height]).to.deep.equal([sample.width, sample.height]);
  return { channels, samples: [...samples], max };
};

describe('images/png', () => {
  const size = { width: 3, height: 2 };

  for (const depth of [1, 2, 4, 8, 16]) {
    it(`decodePng keeps the samples of grey of ${depth} bits, whose largest is ${2 ** depth - 1}`, () => {
      const samples = varied(6, depth);
      const image = decode({ ...size, depth, colourType: 0, samples });
      expect(image).to.deep.equal({ channels: 1, samples, max: 2 ** depth - 1 });
    });
  }

  for (const depth of [8, 16]) {
    it(`decodePng keeps the samples of RGB of ${depth} bits`, () => {
      const samples = varied(18, depth);
      const image = decode({ ...size, depth, colourType: 2, samples });
      expect(image).to.deep.equal({ channels: 3, samples, max: 2 ** depth - 1 });
    });

    it(`decodePng drops the alpha of grey and RGB of ${depth} bits, and changes no other sample`, () => {
      const grey = varied(12, depth);
      const colour = varied(24, depth);
      expect(decode({ ...size, depth, colourType: 4, samples: grey })).to.deep.equal({
        channels: 1,
        samples: grey.filter((_, i) => i % 2 === 0),
        max: 2 ** depth - 1,
      });
      expect(decode({ ...size, depth, colourType: 6, samples: colour }).samples).to.deep.equal(
        colour.filter((_, i) => i % 4 !== 3),
      );
    });
  }

  for (const depth of [1, 2, 4, 8]) {
    it(`decodePng turns a palette of ${depth} bits into RGB of 8, transparent or not`, () => {
      const samples = [0, 1, 1, 0, 1, 0];
      const image = { ...size, depth, colourType: 3, samples, palette: [10, 20, 30, 200, 100, 50] };
      const rgb = samples.flatMap((index) => image.palette.slice(3 * index, 3 * index + 3));
      expect(decode(image)).to.deep.equal({ channels: 3, samples: rgb, max: 255 });
      expect(decode({ ...image, transparency: [0, 128] }).samples).to.deep.equal(rgb);
    });
  }

  it('decodePng keeps the value of a colour that stands for transparent', () => {
    const grey = decode({
      ...size,
      depth: 8,
      colourType: 0,
      samples: [9, 1, 9, 2, 3, 9],
      transparency: [0, 9],
    });
    expect(grey.samples).to.deep.equal([9, 1, 9, 2, 3, 9]);
    const samples = [7, 8, 9, 7, 8, 0, 1, 2, 3, 7, 8, 9, 0, 0, 0, 255, 255, 255];
    const colour = decode({ ...size, depth: 8, colourType: 2, samples, transparency: [0, 7, 0, 8, 0, 9] });
    expect(colour.samples).to.deep.equal(samples);
  });

  it('decodePng decodes interlaced images of every kind and of sizes from 1 × 1 as any other', () => {
    const kinds: [colourType: number, depth: number, each: number][] = [
      ...[1, 2, 4, 8, 16].map((depth): [number, number, number] => [0, depth, 1]),
      ...[8, 16].flatMap((depth): [number, number, number][] => [
        [2, depth, 3],
        [4, depth, 2],
        [6, depth, 4],
      ]),
    ];
    for (const [width, height] of [
      [1, 1],
      [2, 3],
      [5, 1],
      [9, 11],
    ] as const) {
      for (const [colourType, depth, each] of kinds) {
        const samples = varied(width * height * each, depth);
        const sample = { width, height, depth, colourType, samples };
        expect(decode({ ...sample, interlaced: true })).to.deep.equal(decode(sample));
      }
    }
  });

  for (const [width, depth, colourType, each] of [
    [7, 8, 6, 4],
    [7, 16, 2, 3],
    [13, 2, 0, 1],
    [1, 8, 4, 2],
  ] as const) {
    it(`decodePng undoes each of PNG's filters, in rows of ${width} pixels of ${each} times ${depth} bits`, () => {
      const height = 12;
      const samples = varied(width * height * each, depth);
      const plain = makePng({ width, height, depth, colourType, samples });
      const stride = Math.ceil((width * each * depth) / 8);
      const raw = inflateSync(plain.subarray(41, 41 + new DataView(plain.buffer).getUint32(33)));
      // Source: the PNG specification, 9.2.
      const at = (y: number, x: number): number => (x < 0 || y < 0 ? 0 : raw[y * (stride + 1) + 1 + x]!);
      const step = Math.max(1, (each * depth) / 8);
      const filtered = raw.map((byte, i) => {
        const [y, x] = [Math.floor(i / (stride + 1)), (i % (stride + 1)) - 1];
        if (x < 0) return (y + 1) % 5;
        const [a, b, c] = [at(y, x - step), at(y - 1, x), at(y - 1, x - step)];
        const p = a + b - c;
        const nearest = [a, b, c].reduce((best, one) =>
          Math.abs(p - one) < Math.abs(p - best) ? one : best,
        );
        return byte - [0, a, b, Math.floor((a + b) / 2), nearest][(y + 1) % 5]!;
      });
      const png = concat([
        SIGNATURE,
        header(width, height, depth, colourType),
        chunk('IDAT', deflateSync(filtered)),
        chunk('IEND', EMPTY),
      ]);
      expect(decodePng(png)).to.deep.equal(decodePng(plain));
      expect([...decodePng(plain).samples].slice(0, 1)).to.deep.equal(samples.slice(0, 1));
    });
  }

  it('decodePng refuses a filter that PNG does not have', () => {
    const data = chunk('IDAT', deflateSync(Uint8Array.of(5, 1)));
    expect(() => decodePng(concat([SIGNATURE, header(1, 1), data, chunk('IEND', EMPTY)]))).to.throw(
      ImageError,
      'filter 5 does not exist',
    );
  });

  it('decodePng checks its options', () => {
    const png = makePng({ ...size, depth: 8, colourType: 0, samples: [1, 2, 3, 4, 5, 6] });
    // 3 × 200 pixels take 800 bytes in the file and 600 as samples; 7 bytes are allowed for each byte of the file.
    const flat = makePng({
      ...size,
      width: 3,
      height: 200,
      depth: 8,
      colourType: 0,
      samples: Array<number>(600).fill(0),
    });
    const imageBytes = 800 + 600 - 7 * flat.length;
    expect(decodePng(flat, 'a.png', { limits: { imageBytes } }).height).to.equal(200);
    expect(() => decodePng(flat, 'a.png', { limits: { imageBytes: imageBytes - 1 } })).to.throw(
      ImageError,
      'limits.imageBytes',
    );
    expect(() => decodePng(png, 'a.png', (() => undefined) as never)).to.throw(OptionError);
  });

  it('decodePng ignores bytes behind the end', () => {
    const png = makePng({ ...size, depth: 8, colourType: 0, samples: [1, 2, 3, 4, 5, 6] });
    expect([...decodePng(concat([png, Uint8Array.of(1, 2, 3)])).samples]).to.deep.equal([1, 2, 3, 4, 5, 6]);
  });

  const damaged: [file: string, warning: RegExp | undefined][] = [
    ['intact', undefined],
    ['junk-behind', undefined],
    ['adler-missing', /: the Adler-32 checksum of the pixels is missing$/],
    // It is 0 there, as writers have it that do not compute it.
    ['adler-wrong', /: the Adler-32 checksum of the pixels is missing$/],
    ['bytes-behind', undefined],
    ['rows-behind', /: 80 bytes follow the pixels$/],
    ['no-end', /: its last chunk, IEND, is missing$/],
    ['crc-zero', /: the CRC of a chunk of pixels is missing$/],
    ['crc-cut', /: the CRC of a chunk of pixels is missing; its last chunk, IEND, is missing$/],
  ];
  for (const [file, warning] of damaged) {
    it(`decodePng reads ${file}.png as Pillow does, ${warning ? 'with' : 'without'} a warning`, () => {
      const sample = (name: string) => readFileSync(new URL(`../samples/png/${name}`, import.meta.url));
      const { dims, data } = decodeNpy(sample('picture.npy'));
      const warnings: string[] = [];
      const image = decodePng(sample(`${file}.png`), 'a.png', {
        warn: (message) => void warnings.push(message),
      });
      expect([image.height, image.width, image.channels]).to.deep.equal(dims);
      expect(image.samples).to.deep.equal(data);
      expect(warnings).to.have.length(warning ? 1 : 0);
      if (warning) {
        expect(warnings[0])
          .to.match(/^a\.png is damaged, but all its pixels are there: /)
          .and.match(warning);
      }
    });
  }

  for (const [name, { bytes, warning, refusal, shownBy }] of Object.entries(DAMAGED)) {
    const by = shownBy.length > 0 ? `which ${shownBy.join(' and ')} show` : 'which no browser shows whole';
    it(`decodePng ${refusal ? 'refuses' : warning ? 'reads and warns of' : 'reads'} a file with: ${name}, ${by}`, () => {
      const warnings: string[] = [];
      const decode = () => decodePng(bytes, 'a.png', { warn: (message) => void warnings.push(message) });
      if (refusal) expect(decode).to.throw(ImageError, refusal).with.property('code', 'IMAGE_INVALID');
      else expect(decode().samples).to.deep.equal(SAMPLES);
      expect(warnings).to.have.length(warning ? 1 : 0);
      if (warning) expect(warnings[0]).to.match(warning);
    });
  }

  it('decodePng warns through the process unless a function takes the warning', async () => {
    const warned = once(process, 'warning') as Promise<[Error & { code?: string }]>;
    decodePng(readFileSync(new URL('../samples/png/no-end.png', import.meta.url)), 'a.png');
    const [{ code, message }] = await warned;
    expect([code, message]).to.deep.equal([
      'ONNX_GROUPNORM_PNG',
      'a.png is damaged, but all its pixels are there: its last chunk, IEND, is missing',
    ]);
  });

  it('decodePng refuses a file cut off before the end of its pixels, with its name and the reason, and reads it from there on', () => {
    const samples = varied(135, 8);
    const png = makePng({ width: 9, height: 5, depth: 8, colourType: 2, samples });
    let refused = 0;
    for (let length = 0; length < png.length; length++) {
      const cut = png.subarray(0, length);
      try {
        expect([...decodePng(cut, 'a.png', { warn: () => undefined }).samples]).to.deep.equal(samples);
      } catch (error) {
        expect(error, `${length} bytes`).to.be.instanceOf(ImageError).with.property('code', 'IMAGE_INVALID');
        expect((error as Error).message).to.match(
          /^a\.png is not a valid PNG: it (is truncated|does not begin with the PNG signature)/,
        );
        refused++;
        expect(refused, 'refused behind a length that is read').to.equal(length + 1);
      }
    }
    // The last chunk has 12 bytes, the CRC and the Adler-32 before it 4 each, and the end of deflate less than two.
    expect(png.length - refused).to.be.within(20, 21);
  });

  it('decodePng refuses pixels that both of their checksums contradict', () => {
    const png = makePng({ ...size, depth: 8, colourType: 0, samples: [1, 2, 3, 4, 5, 6] });
    png[png.length - 20]! ^= 1;
    expect(() => decodePng(png)).to.throw(
      ImageError,
      'it is damaged: its pixels match neither of their checksums (CRC and Adler-32)',
    );
  });

  it('decodePng refuses fewer pixels than the header says, interlaced or not', () => {
    const data = makePng({ width: 2, height: 2, depth: 8, colourType: 0, samples: [1, 2, 3, 4] }).subarray(
      33,
    );
    for (const [width, height] of [
      [2, 3],
      [3, 2],
      [400, 2],
    ] as const) {
      for (const interlace of [0, 1]) {
        const png = concat([SIGNATURE, header(width, height, 8, 0, interlace), data]);
        expect(() => decodePng(png), `${width} × ${height}`).to.throw(ImageError, 'it is damaged');
      }
    }
  });

  it('decodePng reads an index beyond the palette as black, as Firefox and Pillow do, and refuses a missing palette', () => {
    const image = { width: 3, height: 1, depth: 8, colourType: 3, samples: [0, 2, 1] };
    const warnings: string[] = [];
    const warn = (message: string) => void warnings.push(message);
    const { samples } = decodePng(makePng({ ...image, palette: [1, 2, 3, 4, 5, 6] }), 'a.png', { warn });
    expect([...samples]).to.deep.equal([1, 2, 3, 0, 0, 0, 4, 5, 6]);
    expect(warnings).to.deep.equal([
      'a.png is damaged, but all its pixels are there: its palette has no colour 2, which is black',
    ]);
    expect(() => decodePng(makePng(image))).to.throw(
      ImageError,
      'it is damaged (its palette, PLTE, is missing)',
    );
  });

  it('decodePng never inflates many more bytes than the pixels take', () => {
    const zeros = chunk('IDAT', deflateSync(new Uint8Array(2e7)));
    for (const interlace of [0, 1]) {
      const png = concat([SIGNATURE, header(64, 64, 8, 0, interlace), zeros, chunk('IEND', EMPTY)]);
      expect(() => decodePng(png))
        .to.throw(ImageError, /it is damaged: its data has more than \d+ bytes$/)
        .with.nested.property('cause.code', 'ERR_BUFFER_TOO_LARGE');
    }
  });

  it('decodePng decodes the PNGs that scripts/demo/train.py wrote to the values that PyTorch had', async () => {
    const { inputs } = await readFixture(demo('unet-cells.safetensors'));
    const { width, height, channels, samples } = decodePng(readFileSync(demo('cells.png')));
    const x = inputs.get('x')!.data as Float32Array;
    const plane = width * height;
    const same = samples.every(
      (value, i) => Math.round(255 * x[(i % channels) * plane + Math.floor(i / channels)]!) === value,
    );
    expect([channels, height, width, same]).to.deep.equal([3, ...inputs.get('x')!.dims.slice(2), true]);
  });

  describe('encodePng', () => {
    const image = { width: 2, height: 3, max: 255 } as const;

    it('encodePng writes grey and RGB that decode to the same image', () => {
      for (const channels of [1, 3] as const) {
        const samples = Uint8Array.from(varied(6 * channels, 8));
        expect(decodePng(encodePng({ ...image, channels, samples }))).to.deep.equal({
          ...image,
          channels,
          samples,
        });
      }
    });

    it('encodePng writes 8 bits a sample, without alpha, and only the samples of a single pixel', () => {
      const png = encodePng({ width: 1, height: 1, channels: 3, samples: Uint8Array.of(1, 2, 3), max: 255 });
      expect(png.subarray(0, 33)).to.deep.equal(concat([SIGNATURE, header(1, 1, 8, 2)]));
      const length = new DataView(png.buffer, png.byteOffset).getUint32(33);
      // Whatever the filter, the first pixel is predicted to be 0.
      expect([...inflateSync(png.subarray(41, 41 + length))].slice(1)).to.deep.equal([1, 2, 3]);
    });

    it('encodePng rounds samples of other depths to 8 bits, as PNG says: of 65535 every 257 is one', () => {
      const samples = Uint16Array.of(0, 128, 129, 257 * 7, 65535 - 129, 65535);
      const png = encodePng({ width: 6, height: 1, channels: 1, samples, max: 65535 });
      expect([...decodePng(png).samples]).to.deep.equal([0, 0, 1, 7, 254, 255]);
      const two = { width: 4, height: 1, channels: 1, samples: Uint8Array.of(0, 1, 2, 3), max: 3 } as const;
      expect([...decodePng(encodePng(two)).samples]).to.deep.equal([0, 85, 170, 255]);
    });

    it('encodePng refuses an image whose samples do not match its size', () => {
      const image = { width: 2, height: 2, channels: 3, samples: new Uint8Array(11), max: 255 } as const;
      expect(() => encodePng(image))
        .to.throw(ImageError, '2 × 2 pixels of 3 samples each take 12, but the image has 11')
        .with.property('code', 'IMAGE_INVALID');
    });

    it('encodePng takes samples that are a part of a larger buffer', () => {
      const samples = Uint8Array.of(9, 9, 1, 2, 3, 4, 5, 6, 9).subarray(2, 8);
      expect([...decodePng(encodePng({ ...image, channels: 1, samples })).samples]).to.deep.equal([
        1, 2, 3, 4, 5, 6,
      ]);
    });
  });
});
