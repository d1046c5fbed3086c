/**
 * Building the full-size U-Net (31 M parameters, 124 MB) from a state_dict, against reading and writing the
 * same bytes: the floor. Each round does both, in child processes so that peak memory is each one's own, and
 * the ratio is the median of the rounds' own ratios.
 *
 *   npm run bench:build -- [rounds]
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  initializeWeights,
  getGraph,
  matchStateDict,
  openSafetensors,
  writeModel,
  writeSafetensors,
} from '../lib/index.js';

const SELF = fileURLToPath(import.meta.url);

interface Measurement {
  readonly milliseconds: number;
  readonly peakBytes: number;
}

async function main(): Promise<void> {
  const [mode, source = '', target = ''] = process.argv.slice(2);
  if (mode === 'copy') return measure(() => writeFileSync(target, readFileSync(source)));
  if (mode === 'build') return measure(() => build(source, target));
  await compare(Number(mode ?? 5));
}

async function compare(rounds: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-build-'));
  try {
    const source = join(folder, 'state_dict.safetensors');
    await writeSafetensors(source, { tensors: initializeWeights(getGraph('unet').build({})) });
    const weights = statSync(source).size;
    const times: { copy: Measurement; build: Measurement }[] = [];
    for (let round = -1; round < rounds; round++) {
      const pair = { copy: child('copy', source, folder), build: child('build', source, folder) };
      if (round >= 0) times.push(pair);
    }
    const ratio = median(times.map(({ copy, build }) => build.milliseconds / copy.milliseconds));
    const peak = Math.max(...times.map(({ build }) => build.peakBytes));
    const idle = Math.min(...times.map(({ copy }) => copy.peakBytes)) - weights;
    const fastest = (which: 'copy' | 'build') => Math.min(...times.map((pair) => pair[which].milliseconds));
    console.log(`weights                     ${(weights / 1e6).toFixed(0)} MB`);
    console.log(`read and write              ${fastest('copy').toFixed(0)} ms`);
    console.log(`build unet                  ${fastest('build').toFixed(0)} ms`);
    console.log(`build / read and write      ${ratio.toFixed(2)} × (median of ${rounds} paired rounds)`);
    console.log(`peak memory of build        ${(peak / 1e6).toFixed(0)} MB`);
    console.log(`  above a process that idles ${((peak - idle) / weights).toFixed(2)} × the weights`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function child(mode: 'copy' | 'build', source: string, folder: string): Measurement {
  const args = ['--import', 'tsx', SELF, mode, source, join(folder, `${mode}.out`)];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as Measurement;
}

async function build(source: string, target: string): Promise<void> {
  const graph = getGraph('unet').build({});
  const file = await openSafetensors(source);
  await writeModel(target, graph, matchStateDict(graph, await file.readAll()));
  await file.close();
}

/** Prints the time of `action`, and the largest resident size that the process has had. */
async function measure(action: () => void | Promise<void>): Promise<void> {
  const start = performance.now();
  await action();
  const milliseconds = performance.now() - start;
  console.log(JSON.stringify({ milliseconds, peakBytes: process.resourceUsage().maxRSS * 1024 }));
}

function median(values: number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

await main();
