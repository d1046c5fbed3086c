/** Workers for the jobs of a plan, and the collection of their results, which survives crashes, time limits and signals. */
import { fork, type ChildProcess } from 'node:child_process';
import type { SessionLoweringName } from '../../lib/index.js';
import { lastMessage } from '../../lib/runtime/ort-node/child-process.js';
import { describeJob, wayOf, type Job, type Stage } from './jobs.js';
import type { CaseRow, Device, StageCount, Timing, Untimed } from './report.js';
import type { Answer } from './worker.js';

// --- Workers

export type Reply =
  | { readonly end: 'answered'; readonly answer: Answer }
  | { readonly end: 'crashed' | 'timed out'; readonly reason: string }
  /** The job did not finish, and its result is unknown. */
  | { readonly end: 'stopped'; readonly reason: string };

/** The signals that ask a worker or the check itself to stop. */
export const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

interface Running {
  readonly child: ChildProcess;
  /** The last characters of its stderr. */
  stderr: string;
}

/** One worker process for each way to run GroupNormalization, started at its first job and again after a crash. */
export class Workers {
  readonly #running = new Map<string, Running>();

  /**
   * @param module The program of a worker, which answers each message with one message.
   * @param seconds Time limit of a job. The first job of a process has twice as long, because it starts the provider.
   */
  constructor(
    readonly module: string,
    readonly seconds: number,
  ) {}

  /** Gives one job to the worker of a way. `stop` ends the job early. */
  async ask(way: string, job: Job, stop: AbortSignal): Promise<Reply> {
    if (stop.aborted) return { end: 'stopped', reason: String(stop.reason) };
    const running = this.#running.get(way);
    const worker = running ?? this.#start(way);
    const reply = await askOne(worker, job, running ? this.seconds : 2 * this.seconds, stop);
    if (reply.end !== 'answered' || reply.answer.spoiled) this.#end(way);
    return reply;
  }

  endAll(): void {
    for (const way of this.#running.keys()) this.#end(way);
  }

  #start(way: string): Running {
    const child = fork(this.module, {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      // CUDA rounds float32 otherwise, and reads the variable when it starts.
      env: { NVIDIA_TF32_OVERRIDE: '0', ...process.env },
    });
    const worker = { child, stderr: '' };
    this.#running.set(way, worker);
    child.stderr!.on('data', (chunk: Buffer) => {
      worker.stderr = (worker.stderr + chunk.toString()).slice(-MAX_STDERR);
    });
    // A worker that ends between two jobs gets no other job.
    child.once('exit', () => {
      if (this.#running.get(way) === worker) this.#running.delete(way);
    });
    child.on('error', () => undefined);
    return worker;
  }

  #end(way: string): void {
    this.#running.get(way)?.child.kill('SIGKILL');
    this.#running.delete(way);
  }
}

function askOne(worker: Running, job: Job, seconds: number, stop: AbortSignal): Promise<Reply> {
  const { child } = worker;
  return new Promise((resolve) => {
    const onMessage = (answer: Answer) => settle({ end: 'answered', answer });
    const onClose = (code: number | null, signal: NodeJS.Signals | null) => {
      const end = signal ?? `status ${code}`;
      settle(
        isStop(signal)
          ? { end: 'stopped', reason: `a worker was ended by ${signal}` }
          : { end: 'crashed', reason: `its process ended with ${end}${lastMessage(worker.stderr)}` },
      );
    };
    const onStop = () => settle({ end: 'stopped', reason: String(stop.reason) });
    const onTime = () => settle({ end: 'timed out', reason: `it took more than ${seconds} s` });
    const timer = setTimeout(onTime, 1000 * seconds);
    function settle(reply: Reply): void {
      clearTimeout(timer);
      child.off('message', onMessage).off('close', onClose);
      stop.removeEventListener('abort', onStop);
      resolve(reply);
    }
    child.on('message', onMessage).on('close', onClose);
    stop.addEventListener('abort', onStop);
    // If the worker has ended, its close event settles the job.
    child.send(job, () => undefined);
  });
}

const MAX_STDERR = 2000;

const isStop = (signal: NodeJS.Signals | null): boolean =>
  signal !== null && (STOP_SIGNALS as readonly string[]).includes(signal);

// --- Results

/** The results so far. */
export interface Findings {
  readonly suite: CaseRow[];
  readonly candidates: CaseRow[];
  readonly timings: Timing[];
  readonly untimed: Untimed[];
  readonly stages: readonly StageCount[];
  /** Why results are missing; null if all are there. */
  readonly stopped: string | null;
  /** The libraries, packages and variables of the workers' processes. */
  readonly process: Answer['process'];
}

export interface Collection {
  readonly workers: Pick<Workers, 'ask'>;
  readonly baseline: SessionLoweringName;
  /** Ends the work; the report gives its reason. */
  readonly stop: AbortSignal;
  /** Called after each stage, every `saveEvery` milliseconds within a stage, and at the end. */
  save(findings: Findings): Promise<void>;
  readonly saveEvery: number;
  progress(text: string): void;
}

/** After so many crashes or timeouts of a way in a row, the rest of the stage would most likely fail too, slowly. */
const GIVE_UP_AFTER = 5;
const UNDER_WAY = 'it is still under way, or was killed';
const PROGRESS_MS = 5000;

/** Does the jobs of a plan in order, and returns their results. */
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
    // A signal may have interrupted the last write.
    if (!(await this.#save())) await this.collection.save(this.findings);
  }

  /** Returns why the work must end here, or undefined to continue. */
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

  /** Returns whether the report was written. After a failure, the next save may succeed. */
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

/** Returns the row of a job whose process ended. */
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

/** Merges two processes. Some libraries load with the first operator that needs them; the variables are those of the first. */
const merge = (old: Answer['process'], more: Answer['process']): Answer['process'] => ({
  libraries: [...new Set([...old.libraries, ...more.libraries])].sort(),
  packages: { ...old.packages, ...more.packages },
  environment: { ...more.environment, ...old.environment },
});

/** Returns the device with the details that the workers found. */
export const withProcess = (device: Device, process: Findings['process']): Device => ({
  ...device,
  ...process,
  packages: { ...device.packages, ...process.packages },
});

/** `12 s`, `3 min` */
export const duration = (ms: number): string =>
  ms < 90_000 ? `${Math.ceil(ms / 1000)} s` : `${Math.round(ms / 60_000)} min`;
