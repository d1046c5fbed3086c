/**
 * The demos.
 *
 *   npm run demo [-- --out FOLDER]          a U-Net that PyTorch trained, from its weights to the cells in an image
 *   npm run demo -- norms [--out FOLDER]    four normalizations side by side, at five batch sizes
 */
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { OnnxGroupNormError } from '../../lib/index.js';
import { demoCells } from './cells.js';
import { demoNorms } from './norms.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Runs a demo, and returns whether its figures are PyTorch's. */
async function main(): Promise<boolean> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      out: { type: 'string', default: join(ROOT, 'demo/out') },
      fixture: { type: 'string', default: join(ROOT, 'demo/unet-cells.safetensors') },
      figures: { type: 'string', default: join(ROOT, 'demo/norms.json') },
    },
  });
  const [name, ...others] = positionals;
  if (name === undefined) return demoCells(ROOT, values);
  if (name === 'norms' && others.length === 0) return demoNorms(values);
  throw new Error(
    `there is no demo '${positionals.join(' ')}': write npm run demo, or npm run demo -- norms`,
  );
}

try {
  process.exitCode = (await main()) ? 0 : 1;
} catch (error) {
  const isOwn =
    error instanceof OnnxGroupNormError || (error instanceof Error && error.constructor === Error);
  console.error(isOwn ? `error: ${error.message}` : error);
  process.exitCode = 2;
}
