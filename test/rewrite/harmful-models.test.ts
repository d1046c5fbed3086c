import { expect } from 'chai';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, it } from 'mocha';
import { runProgram } from '../support/program.js';
import { HARMFUL, mostSeconds, type Outcome } from './harmful-models.js';

const MiB = 2 ** 20;
const NAMES = Object.keys(HARMFUL);

describe('convertModel takes memory and time in proportion to the file', () => {
  const sizes: number[] = [];
  let outcomes: readonly Outcome[];

  before(async function () {
    this.timeout(120_000); // The program takes 5 seconds of processor time.
    const folder = mkdtempSync(join(tmpdir(), 'onnx-groupnorm-test-'));
    try {
      for (const [index, make] of Object.values(HARMFUL).entries()) {
        const bytes = make();
        sizes.push(bytes.length);
        writeFileSync(join(folder, `${index}.onnx`), bytes);
      }
      const { stdout } = await runProgram(new URL('harmful-models.ts', import.meta.url), 'convertAll', {
        args: [folder, String(NAMES.length)],
        flags: ['--expose-gc', '--max-old-space-size=512'],
        timeout: 110_000,
      });
      outcomes = JSON.parse(stdout) as Outcome[];
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  for (const [index, name] of NAMES.entries()) {
    it(`convertModel takes no more for ${name}`, () => {
      const { result, seconds, bytes } = outcomes[index]!;
      // The peak is that of the process so far, so that an earlier model may have raised it.
      const largest = Math.max(...sizes.slice(0, index + 1));
      expect(bytes, 'bytes').to.be.below(64 * MiB + 8 * largest);
      expect(seconds, 'seconds').to.be.below(mostSeconds(sizes[index]!));
      expect(result).to.be.oneOf(['ok', 'LIMIT_EXCEEDED', 'MODEL_INVALID', 'MODEL_UNSUPPORTED']);
    });
  }
});
