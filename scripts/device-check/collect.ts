/** Has workers do the jobs of a plan and keeps what they find, so that whatever ends on the way, that is there. */
import type { SessionLoweringName } from '../../lib/index.js';
import { describeJob, wayOf, type Job, type Stage } from './jobs.js';
import type { CaseRow, Device, StageCount, Timing, Untimed } from './report.js';
import type { Answer } from './worker.js';
import type { Reply, Workers } from './workers.js';

/** What is known so far. */
export interface Findings {
  readonly suite: CaseRow[];
  readonly candidates: CaseRow[];
  readonly timings: Timing[];
  readonly untimed: Untimed[];
  readonly stages: readonly StageCount[];
  /** Why there is not all; null when there is. */
  readonly stopped: string | null;
  /** What the workers' processes are and had loaded. */
  readonly process: Answer['process'];
}

export interface Collection {
  readonly workers: Pick<Workers, 'ask'>;
  readonly baseline: SessionLoweringName;
  /** Ends the work; its reason is told. */
  readonly stop: AbortSignal;
  /** Called behind each stage, and within one when `saveEvery` milliseconds have passed, and at the end. */
  save(findings: Findings): Promise<void>;
  readonly saveEvery: number;
  progress(text: string): void;
}

/** Where so many jobs of a way have crashed or timed out in a row, the rest of the stage would too, and takes long. */
const GIVE_UP_AFTER = 5;
const UNDER_WAY = 'it is still under way, or was killed';
const PROGRESS_MS = 5000;

export async function collect(plan: readonly Stage[], collection: Collection): Promise<Findings> {
  const collector = new Collector(plan, collection);
  await collector.run();
  return collector.findings;
}

class Collector {
  readonly #found = { suite: [] as CaseRow[], candidates: [] as CaseRow[], timings: [] as Timing[], untimed: [] as Untimed[] }; // prettier-ignore
  readonly #done: Map<Stage, number>;
  readonly #givenUp: string[] = [];
  #stopped: string | null = UNDER_WAY;
  #process: Answer['process'] = { libraries: [], packages: {}, environment: {} };
  #saved = performance.now();
  #told = -Infinity;

  constructor(
    readonly plan: readonly Stage[],
    readonly collection: Collection,
  ) {
    this.#done = new Map(plan.map((stage) => [stage, 0]));
  }

  get findings(): Findings {
    const stages = this.plan.map((stage) => ({
      stage: stage.name,
      done: this.#done.get(stage)!,
      total: stage.jobs.length,
    }));
    return { ...this.#found, stages, stopped: this.#stopped, process: this.#process };
  }

  async run(): Promise<void> {
    let stopped: string | undefined;
    for (const stage of this.plan) {
      stopped = await this.#runStage(stage);
      if (stopped !== undefined) break;
      await this.#save();
    }
    this.#stopped = stopped ?? (this.#givenUp.length > 0 ? this.#givenUp.join('; ') : null);
    // A signal stops a writing that is under way.
    if (!(await this.#save())) await this.collection.save(this.findings);
  }

  /** @returns Why the work is to end here; nothing if it goes on. */
  async #runStage(stage: Stage): Promise<string | undefined> {
    const { workers, baseline, stop } = this.collection;
    const lost = new Map<string, number>();
    const start = performance.now();
    for (const [index, job] of stage.jobs.entries()) {
      const way = wayOf(job, baseline);
      const inARow = lost.get(way) ?? 0;
      if (inARow >= GIVE_UP_AFTER) continue;
      this.#tell(stage, index, start);
      const reply = await workers.ask(way, job, stop);
      if (reply.end === 'stopped') return reply.reason;
      this.#keep(job, reply);
      this.#done.set(stage, this.#done.get(stage)! + 1);
      lost.set(way, reply.end === 'answered' ? 0 : inARow + 1);
      if (inARow + 1 === GIVE_UP_AFTER && reply.end !== 'answered') {
        this.#givenUp.push(`${way} was given up in '${stage.name}' behind ${GIVE_UP_AFTER} losses in a row`);
      }
      if (performance.now() - this.#saved >= this.collection.saveEvery) await this.#save();
    }
    return undefined;
  }

  #keep(job: Job, reply: Exclude<Reply, { end: 'stopped' }>): void {
    const found = reply.end === 'answered' ? reply.answer : lostJob(job, reply);
    const { suite, candidates, timings, untimed } = this.#found;
    if (found.row) (found.row.asked === null ? suite : candidates).push(found.row);
    if (found.timing) timings.push(found.timing);
    if (found.untimed) untimed.push(found.untimed);
    if (reply.end === 'answered') this.#process = merge(this.#process, reply.answer.process);
  }

  /** @returns Whether it was written: where it was not, the next may be. */
  async #save(): Promise<boolean> {
    try {
      await this.collection.save(this.findings);
      return true;
    } catch (error) {
      this.collection.progress(`the report was not written: ${(error as Error).message}`);
      return false;
    } finally {
      this.#saved = performance.now();
    }
  }

  #tell(stage: Stage, index: number, start: number): void {
    const now = performance.now();
    if (index > 0 && now - this.#told < PROGRESS_MS) return;
    this.#told = now;
    const total = stage.jobs.length;
    const left = index === 0 ? '' : `, about ${duration(((now - start) / index) * (total - index))} more`;
    const part = `${this.plan.indexOf(stage) + 1}/${this.plan.length} ${stage.name}`;
    this.collection.progress(`${part}: ${index} of ${total}${left}: ${describeJob(stage.jobs[index]!)}`);
  }
}

/** A row for a job that took its process along. */
function lostJob(
  job: Job,
  { end, reason }: { readonly end: 'crashed' | 'timed out'; readonly reason: string },
): Pick<Answer, 'row' | 'timing' | 'untimed'> {
  if (job.kind === 'timing') {
    const { shape, dtype, groupNorm } = job;
    return { untimed: { shape, dtype, groupNorm, outcome: end, reason } };
  }
  const { name, lowering, opset, asked } = job;
  return { row: { name, lowering, opset, asked, ranAs: null, outcome: end, error: null, reason } };
}

/** Some libraries are loaded only where an operator needs them; the variables are those behind the first session. */
const merge = (old: Answer['process'], more: Answer['process']): Answer['process'] => ({
  libraries: [...new Set([...old.libraries, ...more.libraries])].sort(),
  packages: { ...old.packages, ...more.packages },
  environment: { ...more.environment, ...old.environment },
});

/** The device with what the workers know of it. */
export const withProcess = (device: Device, process: Findings['process']): Device => ({
  ...device,
  ...process,
  packages: { ...device.packages, ...process.packages },
});

/** `12 s`, `3 min` */
export const duration = (ms: number): string =>
  ms < 90_000 ? `${Math.ceil(ms / 1000)} s` : `${Math.round(ms / 60_000)} min`;
