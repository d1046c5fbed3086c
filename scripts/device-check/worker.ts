/** A process that does jobs one after another, so that a crash, or a device that has failed, ends it and no other. */
import { runCase } from './cases.js';
import { environment, loadedLibraries, nvidiaPackages } from './device.js';
import type { Job } from './jobs.js';
import type { CaseRow, Device, Timing, Untimed } from './report.js';
import { measureTiming } from './timings.js';

/** What a worker answers to a job. */
export interface Answer {
  readonly row?: CaseRow;
  readonly timing?: Timing;
  readonly untimed?: Untimed;
  /** Whether the process is not to be asked again. */
  readonly spoiled: boolean;
  /** The process by now. */
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

/** What should not fail, such as reading the case, and did. */
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
