/**
 * The whole parity suite and the benchmarks on a machine with a GPU, as a report in docs/.
 *
 *   npm run cuda-check -- --help
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chooseBackend } from '../lib/runtime/node.js';
import { type Arguments, HELP, readArguments, requireWritable } from './device-check/arguments.js';
import { collect, type Findings, withProcess } from './device-check/collect.js';
import { describeDevice } from './device-check/device.js';
import { writeReport } from './device-check/files.js';
import { planStages } from './device-check/jobs.js';
import { prepareFolder } from './device-check/npm-libraries.js';
import type { DeviceReport } from './device-check/report.js';
import { chooseWinners } from './device-check/winners.js';
import { STOP_SIGNALS, Workers } from './device-check/workers.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FOLDER = join(ROOT, '.cuda-runtime');
const WORKER = fileURLToPath(new URL('device-check/worker.ts', import.meta.url));
const SAVE_MS = 30_000;

async function main(): Promise<number> {
  const args = argumentsOrUsage();
  if (typeof args === 'number') return args;
  if (args.withNpmLibraries) return runWithNpmLibraries(args);
  const { provider } = args.selection;
  const { problems } = await chooseBackend(provider, true);
  if (problems) {
    console.error(`not run: ${provider} cannot be used on this machine, in the order in which to see to it:`);
    for (const { reason, remedy } of problems) {
      console.error(`  ${reason}${remedy === undefined ? '' : `\n    → ${remedy}`}`);
    }
    return 1;
  }
  return check(args);
}

/** The exit code where there is nothing to be done. */
function argumentsOrUsage(): Arguments | number {
  try {
    const args = readArguments();
    if (args) requireWritable(args.out);
    if (args) return args;
    process.stdout.write(HELP);
    return 0;
  } catch (error) {
    console.error((error as Error).message);
    return 2;
  }
}

async function check({ selection, out, minutes, narrowedBy }: Arguments): Promise<number> {
  const { provider, baseline, rounds, seconds } = selection;
  const device = describeDevice(provider);
  const reportOf = ({ process: found, stages, stopped, ...rows }: Findings): DeviceReport => ({
    provider,
    date: new Date().toISOString().slice(0, 10),
    complete: stopped === null,
    stopped,
    stages,
    narrowedBy,
    device: withProcess(device, found),
    defaultGroupNorm: baseline,
    rounds,
    ...rows,
    winners: chooseWinners(rows.timings, baseline),
  });
  const workers = new Workers(WORKER, seconds);
  let path = '';
  try {
    const findings = await collect(planStages(selection), {
      workers,
      baseline,
      stop: stopAfter(minutes),
      saveEvery: SAVE_MS,
      save: async (found) => void (path = await writeReport(reportOf(found), out)),
      progress: (text) => process.stderr.write(`${text}\n`),
    });
    const { suite, stopped } = findings;
    const failed = suite.filter(({ outcome }) => outcome !== 'passed').length;
    if (stopped !== null) console.error(`not complete: ${stopped}`);
    console.log(`${suite.length - failed} of ${suite.length} cases passed on ${device.name}: ${path}`);
    return failed === 0 && stopped === null ? 0 : 1;
  } finally {
    workers.endAll();
  }
}

/** Ends the work at a signal, of which npm may pass on a second, and when the time since the start is over. */
function stopAfter(minutes: number | undefined): AbortSignal {
  const stop = new AbortController();
  for (const signal of STOP_SIGNALS) process.on(signal, () => stop.abort(`it was ended by ${signal}`));
  if (minutes !== undefined) {
    const left = 60_000 * minutes - performance.now();
    setTimeout(() => stop.abort(`the time of --minutes ${minutes} was over`), left).unref();
  }
  return stop.signal;
}

/** The same again, by the copy, in the time that is left. */
async function runWithNpmLibraries({ out, minutes }: Arguments): Promise<number> {
  prepareFolder(ROOT, FOLDER);
  const args = process.argv.slice(2).filter((text) => text !== '--with-npm-libraries');
  const left =
    minutes === undefined ? [] : ['--minutes', String(Math.max(0.1, minutes - performance.now() / 60_000))];
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', join(FOLDER, 'scripts/cuda-check.ts'), ...args, '--out', out, ...left],
    { cwd: FOLDER, stdio: 'inherit' },
  );
  // The copy writes its report and ends.
  for (const signal of STOP_SIGNALS) process.on(signal, () => child.kill(signal));
  const [status] = (await once(child, 'exit')) as [number | null];
  return status ?? 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error);
  process.exitCode = 1;
}
