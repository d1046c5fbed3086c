/**
 * Compares building the full-size U-Net (31 M parameters, 124 MB) from a state_dict with reading and writing the same
 * bytes, which is the lower bound. Both flush to the disk (fsync), so that the file survives a power cut. Each round
 * runs both in alternating order, in child processes, so that each has its own peak memory. The ratio is the median of
 * the ratios round by round, with their quartiles.
 *
 *   npm run bench:build -- [rounds]
 */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
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

type Mode = 'copy' | 'build';
type Round = Readonly<Record<Mode, Measurement>>;

interface Measurement {
  readonly milliseconds: number;
  readonly peakBytes: number;
}

async function main(): Promise<void> {
  const [mode, source = '', target = ''] = process.argv.slice(2);
  if (mode === 'copy') return measure(() => copy(source, target));
  if (mode === 'build') return measure(() => build(source, target));
  await compare(Number(mode ?? 11));
}

async function compare(count: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-build-'));
  try {
    const source = join(folder, 'state_dict.safetensors');
    await writeSafetensors(source, { tensors: initializeWeights(getGraph('unet').build({})) });
    const weights = statSync(source).size;
    const rounds: Round[] = [];
    // The first round does not count, because the disk cache and the compiler cache are cold.
    for (let round = 0; round <= count; round++) rounds.push(runRound(round, source, folder));
    report(rounds.slice(1), weights);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function runRound(round: number, source: string, folder: string): Round {
  const run = (mode: Mode) => child(mode, source, folder);
  if (round % 2 === 1) return { copy: run('copy'), build: run('build') };
  const build = run('build');
  return { copy: run('copy'), build };
}

function report(rounds: readonly Round[], weights: number): void {
  const times = (mode: Mode) =>
    quartiles(
      rounds.map((round) => round[mode].milliseconds),
      0,
    );
  const ratios = rounds.map(({ copy, build }) => build.milliseconds / copy.milliseconds);
  const peak = Math.max(...rounds.map(({ build }) => build.peakBytes));
  const idle = Math.min(...rounds.map(({ copy }) => copy.peakBytes)) - weights;
  console.log(`weights                      ${(weights / 1e6).toFixed(0)} MB`);
  console.log(`read and write               ${times('copy')} ms`);
  console.log(`build unet                   ${times('build')} ms`);
  console.log(`build / read and write       ${quartiles(ratios, 2)} × of ${rounds.length} paired rounds`);
  console.log(`peak memory of build         ${(peak / 1e6).toFixed(0)} MB`);
  console.log(`  above a process that idles ${((peak - idle) / weights).toFixed(2)} × the weights`);
}

function child(mode: Mode, source: string, folder: string): Measurement {
  const target = join(folder, `${mode}.out`);
  const args = ['--import', 'tsx', SELF, mode, source, target];
  try {
    return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as Measurement;
  } finally {
    // Writes a new file each time, because truncating an old file takes time.
    rmSync(target, { force: true });
  }
}

function copy(source: string, target: string): void {
  const bytes = readFileSync(source);
  const file = openSync(target, 'w');
  writeFileSync(file, bytes);
  fsyncSync(file);
  closeSync(file);
}

async function build(source: string, target: string): Promise<void> {
  const graph = getGraph('unet').build({});
  await using file = await openSafetensors(source);
  await writeModel(target, graph, matchStateDict(graph, await file.readAll()));
}

/** Prints the time of `action`, and the peak resident size of the process. */
async function measure(action: () => void | Promise<void>): Promise<void> {
  const start = performance.now();
  await action();
  const milliseconds = performance.now() - start;
  console.log(JSON.stringify({ milliseconds, peakBytes: process.resourceUsage().maxRSS * 1024 }));
}

/** Returns the median and the quartiles, such as `1.02 (0.95 to 1.10)`. */
function quartiles(values: readonly number[], digits: number): string {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))]!.toFixed(digits);
  return `${at(0.5)} (${at(0.25)} to ${at(0.75)})`;
}

await main();
