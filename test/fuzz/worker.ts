/** One child process under limits, and what its end means. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { bundle } from '../support/bundle.js';
import type { CaseEnd, Reply, Request } from './child.js';
import type { Finding } from './probe.js';
import { makeSandboxFolder } from './sandbox.js';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
const CHILD = await bundle(new URL('child.ts', import.meta.url));

/** Bytes of data that a child may have. A model of some kilobytes needs a fraction of it. */
const DATA = 2 * 2 ** 30;
/** Seconds of processor time after which a case counts as a hang. */
const HANG = 15;
/** Seconds of processor time after which a run is ended: a model may compute for as long as it likes. */
const RUN = 4;
/** A child that has this much memory after a case is replaced. */
const MOST_RESIDENT = 512 * 2 ** 20;

/** Whether the limits of Linux are there. Without them only V8's heap is limited. */
export const hasLimits = process.platform === 'linux' && spawnSync('prlimit', ['--version']).status === 0;

export interface Outcome extends CaseEnd {
  /** Whether the run of the model was ended. */
  readonly isRunEnded: boolean;
}

export class Worker {
  #child: ChildProcess | undefined;

  /** Runs one case, in a new process if the last one has ended. Never throws. */
  run(request: Request): Promise<Outcome> {
    const child = (this.#child ??= startChild());
    return new Promise((resolve) => {
      let [format, way] = ['', 'starting'];
      // Read by the watch alone: there are many calls, and few last until it comes.
      let used: number | undefined;
      let errors = '';
      let killed: 'hang' | 'run' | undefined;
      const keep = (chunk: Buffer): void => void (errors = (errors + chunk.toString('latin1')).slice(-2000));
      const watch = setInterval(() => {
        const now = processorSeconds(child);
        const seconds = now - (used ??= now);
        if (way === 'starting' || seconds < (way === 'run' ? RUN : HANG)) return;
        killed = way === 'run' ? 'run' : 'hang';
        child.kill('SIGKILL');
      }, 200);
      const end = (outcome: Omit<Outcome, 'isRunEnded' | 'format'>): void => {
        clearInterval(watch);
        child.removeAllListeners('message').removeAllListeners('exit');
        child.stderr!.off('data', keep);
        if (outcome.resident > MOST_RESIDENT) this.stop();
        resolve({ ...outcome, format, isRunEnded: killed === 'run' });
      };
      child.stderr!.on('data', keep);
      child.on('message', (reply: Reply) => {
        format = reply.format;
        if (!('way' in reply)) return end(reply);
        way = reply.way;
        used = undefined;
      });
      child.once('exit', (code, signal) => {
        this.#child = undefined;
        const kind = killed === 'hang' ? 'hang' : 'crash';
        const what =
          killed === 'hang' ? `${HANG} s of processor time` : `${signal ?? `exit code ${code}`}\n${errors}`;
        const findings: Finding[] = killed === 'run' ? [] : [{ kind, way, what }];
        end({ findings, accepted: 0, refused: 0, peak: 0, resident: 0 });
      });
      child.send(request);
    });
  }

  /** Ends the process; the next case starts another. */
  stop(): void {
    this.#child?.disconnect();
    this.#child = undefined;
  }
}

function startChild(): ChildProcess {
  const folder = makeSandboxFolder();
  const node = [process.execPath, '--expose-gc', CHILD, folder];
  const limits = ['prlimit', `--data=${DATA}`, '--core=0', `--fsize=${2 ** 28}`];
  const [command = '', ...args] = hasLimits
    ? [...limits, ...node]
    : [process.execPath, '--max-old-space-size=1024', ...node.slice(1)];
  const child = spawn(command, args, { cwd: PROJECT, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  child.once('close', () => rmSync(folder, { recursive: true, force: true }));
  return child;
}

/** Returns the processor time of a process; of systems other than Linux the time of the clock. */
function processorSeconds({ pid }: ChildProcess): number {
  if (process.platform !== 'linux') return performance.now() / 1000;
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
    // In hundredths of a second: the USER_HZ of every Linux that Node supports.
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return 0;
  }
}
