import { expect } from 'chai';
import { describe, it } from 'mocha';
import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { ImageError } from '../../lib/errors.js';
import { decodePng } from '../../lib/images/png.js';
import { makePng } from '../images/png-samples.js';
import { corruptFiles, type CorruptFile } from '../support/corrupt.js';

const counted = (count: number, limit: number): number[] =>
  Array.from({ length: count }, (_, i) => (7 * i) % limit);
const size = { width: 11, height: 6 };
const SAMPLES = [
  makePng({ ...size, depth: 8, colourType: 0, samples: counted(66, 256) }),
  makePng({ ...size, depth: 16, colourType: 2, samples: counted(198, 65536) }),
  makePng({ ...size, depth: 2, colourType: 3, samples: counted(66, 4), palette: counted(12, 256) }),
  makePng({ ...size, depth: 8, colourType: 6, samples: counted(264, 256), interlaced: true }),
  makePng({ ...size, depth: 1, colourType: 0, samples: counted(66, 2), interlaced: true }),
  new Uint8Array(readFileSync(new URL('../../demo/cells-truth.png', import.meta.url))),
];

const ignore = { warn: (): void => undefined };

describe('decodePng on 1,200 broken files', () => {
  it('decodePng decodes each damaged file to the right pixels, or refuses it', () => {
    const right = SAMPLES.map((bytes) => [...decodePng(bytes).samples]);
    let refused = 0;
    for (const { how, bytes } of corruptFiles(SAMPLES, 600, 1)) {
      try {
        expect(right, how).to.deep.include([...decodePng(bytes, 'a.png', ignore).samples]);
      } catch (error) {
        expect(error, how).to.be.instanceOf(ImageError);
        refused++;
      }
    }
    // Most are refused: the header, the palette and the pixels have checksums.
    expect(refused).to.be.within(400, 599);
  });

  it('decodePng decodes or refuses each damaged file whose checksums are right', () => {
    expect(countRefused(withChecksums(corruptFiles(SAMPLES, 600, 2)))).to.be.within(350, 599);
  });

  it('decodePng decodes the same bytes to the same pixels, never to uninitialised memory', () => {
    for (const { how, bytes } of withChecksums(corruptFiles(SAMPLES, 200, 3))) {
      expect(attempt(bytes), how).to.deep.equal(attempt(bytes));
    }
  });
});

/** How many of the files are refused; fails if one neither decodes nor is refused as it should. */
function countRefused(files: Iterable<CorruptFile>): number {
  let refused = 0;
  for (const { how, bytes } of files) {
    try {
      const { width, height, channels, samples, max } = decodePng(bytes, 'a.png', ignore);
      expect(samples.length, how).to.equal(width * height * channels);
      expect(
        samples.every((sample) => sample <= max),
        how,
      ).to.be.true;
    } catch (error) {
      expect(error, how).to.be.instanceOf(ImageError);
      expect((error as ImageError).code, how).to.be.oneOf(['IMAGE_INVALID', 'IMAGE_TOO_LARGE']);
      refused++;
    }
  }
  return refused;
}

function attempt(bytes: Uint8Array): unknown {
  try {
    return decodePng(bytes, 'a.png', ignore);
  } catch (error) {
    return (error as Error).message;
  }
}

/** The same files with the checksum that each chunk, where chunks can be made out, should have. */
function* withChecksums(files: Iterable<CorruptFile>): Generator<CorruptFile> {
  for (const { how, bytes } of files) {
    const repaired = bytes.slice();
    const view = new DataView(repaired.buffer);
    for (let at = 8; at + 12 <= repaired.length;) {
      const end = at + 8 + view.getUint32(at);
      if (end + 4 > repaired.length) break;
      view.setUint32(end, crc32(repaired.subarray(at + 4, end)));
      at = end + 4;
    }
    yield { how, bytes: repaired };
  }
}
