/** Workers, one for each way to run GroupNormalization, each started when it is first asked and again behind a crash. */
import { type ChildProcess, fork } from 'node:child_process';
import { lastOf } from '../../lib/runtime/ort-node/child-process.js';
import type { Job } from './jobs.js';
import type { Answer } from './worker.js';

export type Reply =
  | { readonly end: 'answered'; readonly answer: Answer }
  | { readonly end: 'crashed' | 'timed out'; readonly reason: string }
  /** The job was not finished, and nothing is known of it. */
  | { readonly end: 'stopped'; readonly reason: string };

/** What ends a process that is to stop, a worker as much as the check itself. */
export const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

interface Running {
  readonly child: ChildProcess;
  /** The end of what it wrote to stderr. */
  stderr: string;
}

export class Workers {
  readonly #running = new Map<string, Running>();

  /**
   * @param module What a worker runs: it answers each message with one.
   * @param seconds A job may take; the first of a process twice as long, since it starts the provider as well.
   */
  constructor(
    readonly module: string,
    readonly seconds: number,
  ) {}

  /** Has the worker of a way do one job. A signal ends it on the way. */
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
    const child = fork(this.module, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    const worker = { child, stderr: '' };
    this.#running.set(way, worker);
    child.stderr!.on('data', (chunk: Buffer) => {
      worker.stderr = (worker.stderr + chunk.toString()).slice(-MAX_STDERR);
    });
    // One that ends between two jobs is not asked for the next.
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
          : { end: 'crashed', reason: `its process ended with ${end}${lastOf(worker.stderr)}` },
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
    // One that has ended by now is told of by its end.
    child.send(job, () => undefined);
  });
}

const MAX_STDERR = 2000;

const isStop = (signal: NodeJS.Signals | null): boolean =>
  signal !== null && (STOP_SIGNALS as readonly string[]).includes(signal);
