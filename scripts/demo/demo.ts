/**
 * The demos.
 *
 *   npm run demo [-- --out FOLDER]          a U-Net that PyTorch trained, from its weights to the cells in an image
 *   npm run demo -- norms [--out FOLDER]    four normalizations side by side, at five batch sizes
 *   npm run demo -- vae [--out FOLDER]      a VAE that PyTorch trained: a picture, its latents, and the picture from them
 */
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { OnnxGroupNormError } from '../../lib/index.js';
import { demoCells } from './cells.js';
import { demoNorms } from './norms.js';
import { demoVae } from './vae.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Runs a demo, and returns whether its figures are PyTorch's. */
async function main(): Promise<boolean> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      out: { type: 'string', default: join(ROOT, 'demo/out') },
      fixture: { type: 'string' },
      figures: { type: 'string', default: join(ROOT, 'demo/norms.json') },
    },
  });
  const [name, ...others] = positionals;
  const fixtureOr = (usual: string) => ({ ...values, fixture: values.fixture ?? join(ROOT, 'demo', usual) });
  if (name === undefined) return demoCells(ROOT, fixtureOr('unet-cells.safetensors'));
  if (name === 'norms' && others.length === 0) return demoNorms(values);
  if (name === 'vae' && others.length === 0) return demoVae(ROOT, fixtureOr('vae-cells.safetensors'));
  throw new Error(
    `there is no demo '${positionals.join(' ')}': write npm run demo, npm run demo -- norms, or npm run demo -- vae`,
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
