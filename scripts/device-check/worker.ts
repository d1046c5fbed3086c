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
  const result = await (job.kind === 'case' ? runCase(job) : measureTiming(job));
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
