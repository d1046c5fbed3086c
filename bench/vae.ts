/**
 * Times the decoder of Stable Diffusion's VAE, from latents to the picture: the graph `autoencoder-kl` on `native`, PyTorch's
 * own export on onnxruntime-node, and PyTorch itself. Each contestant has its own process.
 *
 *   npm run bench:vae -- --python PYTHON [--latent 64] [--rounds 3] [--only ort,eager,compile] [--keep FOLDER]
 *     [--json FILE]
 *
 * --keep leaves the two models in a folder, where the next call finds them.
 * The Python needs torch, onnxscript and diffusers (scripts/requirements.txt).
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { getGraph } from '../graphs/registry.js';
import { counterWeights } from '../lib/weights/counter.js';
import { writeModel } from '../lib/index.js';
import { startProgram } from './programs.js';
import { reportOf, writeReport } from './report.js';
import {
  formatRatio,
  machine,
  pairedTurns,
  quartiles,
  speedup,
  table,
  type Contestant,
  type Quartiles,
} from './statistics.js';

/** How long one contestant takes for a picture. */
export interface VaeRow {
  /** Width of the latents; the picture's is 8 times as large. */
  readonly latent: number;
  readonly contestant: string;
  readonly seconds: Quartiles;
  /** The time over that of `native`. */
  readonly overOurs: Quartiles;
}

const THREADS = availableParallelism();
const SESSION = fileURLToPath(new URL('vae-session.ts', import.meta.url));
const PYTORCH = fileURLToPath(new URL('vae.py', import.meta.url));
const OURS = 'native';
const SD_1 = { part: 'decoder', blockOutChannels: [128, 256, 512, 512], layersPerBlock: 2 } as const;

const { values } = parseArgs({
  options: {
    python: { type: 'string', default: 'python3' },
    latent: { type: 'string', default: '64' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', default: 'ort,eager,compile' },
    keep: { type: 'string' },
    json: { type: 'string' },
  },
});
const { python, latent } = values;
const folder = values.keep ?? mkdtempSync(join(tmpdir(), 'vae-'));
const [ours, theirs] = [join(folder, `ours${latent}.onnx`), join(folder, `export${latent}.onnx`)];

const session = (kind: 'native' | 'plain', model: string): Contestant => {
  const shape = `1x4x${latent}x${latent}`;
  return startProgram(process.execPath, ['--import', 'tsx', SESSION, kind, model, String(THREADS), shape]);
};
const pytorch = (kind: string): Contestant => startProgram(python, [PYTORCH, kind, String(THREADS), latent]);

const PEERS: Readonly<Record<string, readonly [name: string, start: () => Contestant]>> = {
  ort: ["onnxruntime-node, torch.onnx.export's file", () => session('plain', theirs)],
  eager: ['PyTorch', () => pytorch('eager')],
  compile: ['PyTorch, compile', () => pytorch('compile')],
};

try {
  if (!existsSync(ours)) {
    const graph = getGraph('autoencoder-kl').build(SD_1);
    await writeModel(ours, graph, counterWeights(graph, 1), { opset: 21 });
  }
  if (!existsSync(theirs)) {
    const made = spawnSync(python, [PYTORCH, 'export', theirs, latent], { encoding: 'utf8' });
    if (made.status !== 0) throw new Error(`${python} cannot export the decoder: ${made.stderr}`);
  }
  const peers = values.only.split(',').map((key) => PEERS[key]!);
  const contestants = new Map([
    [OURS, session('native', ours)],
    ...peers.map(([name, start]) => [name, start()] as const),
  ]);
  const turns = Object.fromEntries([...contestants].map(([name, { turn }]) => [name, turn]));
  const times = await pairedTurns(turns, Number(values.rounds), 1, 1);
  for (const contestant of contestants.values()) await contestant.end();
  const rows = [...contestants.keys()].map((contestant): VaeRow => ({
    latent: Number(latent),
    contestant,
    seconds: quartiles(times[contestant]!.map((ms) => ms / 1e3)),
    overOurs: speedup(times, OURS, contestant),
  }));
  console.log(`${machine()}, ${THREADS} threads, latents 1×4×${latent}×${latent}, ${values.rounds} rounds\n`);
  const cells = rows.map(({ contestant, seconds, overOurs }) => [
    contestant,
    `${seconds.median.toFixed(2)} s`,
    contestant === OURS ? '' : formatRatio(overOurs),
  ]);
  console.log(table(['contestant', 'median', 'how many times as fast native is'], cells));
  if (values.json !== undefined) {
    const report = reportOf('npm run bench:vae', rows, { python, peers: ['PyTorch'] });
    writeReport(values.json, report, (row) => String(row.latent));
  }
} finally {
  if (values.keep === undefined) rmSync(folder, { recursive: true });
}
