/** The program of a worker process, which does one job after another. A crash or a failed device ends no other worker. */
import { environment, loadedLibraries, nvidiaPackages } from './device.js';
import type { Job } from './jobs.js';
import { measureTiming, runCase } from './measure.js';
import type { CaseRow, Device, Timing, Untimed } from './report.js';

/** The answer of a worker to a job. */
export interface Answer {
  readonly row?: CaseRow;
  readonly timing?: Timing;
  readonly untimed?: Untimed;
  /** Whether the process must get no other job. */
  readonly spoiled: boolean;
  /** The libraries, packages and variables of the process after the job. */
  readonly process: Pick<Device, 'libraries' | 'packages' | 'environment'>;
}

process.on('message', (job: Job) => {
  void answer(job).then((message) => process.send!(message));
});

async function answer(job: Job): Promise<Answer> {
  const result = await (job.kind === 'case' ? runCase(job) : measureTiming(job)).catch((error: unknown) =>
    failed(job, error),
  );
  const libraries = loadedLibraries();
  return {
    ...result,
    process: {
      libraries: libraries.names,
      packages: nvidiaPackages(libraries.paths),
      environment: environment(),
    },
  };
}

/** Returns the answer for an unexpected error, such as one of reading the case. */
function failed(job: Job, error: unknown): Pick<Answer, 'row' | 'untimed' | 'spoiled'> {
  const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  if (job.kind === 'timing') {
    const { shape, dtype, groupNorm } = job;
    return { untimed: { shape, dtype, groupNorm, outcome: 'failed', reason }, spoiled: true };
  }
  const { name, lowering, opset, asked } = job;
  const row = { name, lowering, opset, asked, ranAs: null, outcome: 'failed', error: null, reason } as const;
  return { row, spoiled: true };
}
