/**
 * Runs the whole parity suite and the benchmarks on a machine with a GPU, and writes a report into docs/.
 *
 *   npm run cuda-check -- --help
 */
import { fileURLToPath } from 'node:url';
import { chooseBackend } from '../../lib/runtime/node.js';
import { HELP, readArguments, requireWritable, type Arguments } from './arguments.js';
import { collect, STOP_SIGNALS, withProcess, Workers, type Findings } from './collect.js';
import { describeDevice } from './device.js';
import { planStages } from './jobs.js';
import { runWithNpmLibraries } from './npm-libraries.js';
import { writeReport } from './render.js';
import { chooseWinners, type DeviceReport } from './report.js';

const WORKER = fileURLToPath(new URL('worker.ts', import.meta.url));
const SAVE_MS = 30_000;

async function main(): Promise<number> {
  const args = argumentsOrUsage();
  if (typeof args === 'number') return args;
  if (args.withNpmLibraries) return runWithNpmLibraries(args);
  const { provider } = args.selection;
  const { problems } = await chooseBackend(provider, true);
  if (problems) {
    console.error(`not run: ${provider} cannot be used on this machine. Solve these problems in this order:`);
    for (const { reason, remedy } of problems) {
      console.error(`  ${reason}${remedy === undefined ? '' : `\n    → ${remedy}`}`);
    }
    return 1;
  }
  return check(args);
}

/** Returns the arguments, or the exit code after printing help or an error. */
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

/** Returns what ends the work: a signal, which npm may send twice, or the end of the allowed time. */
function stopAfter(minutes: number | undefined): AbortSignal {
  const stop = new AbortController();
  for (const signal of STOP_SIGNALS) process.on(signal, () => stop.abort(`it was ended by ${signal}`));
  if (minutes !== undefined) {
    const left = 60_000 * minutes - performance.now();
    setTimeout(() => stop.abort(`the time of --minutes ${minutes} was over`), left).unref();
  }
  return stop.signal;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error);
  process.exitCode = 1;
}
