/** `serve` in processes of their own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { bundle } from '../../../support/bundle.js';

/** The arguments of Node. */
export const ARGUMENTS = [await bundle(new URL('../../../../lib/cli/main.ts', import.meta.url)), 'serve'];

const started: ChildProcess[] = [];
/** Ends the processes of a test that failed. */
export const endAll = (): void => started.splice(0).forEach((process) => void process.kill('SIGKILL'));

/** `serve` in a process of its own. */
export class Serving {
  readonly process: ChildProcess;
  output = '';

  constructor(...argv: string[]) {
    this.process = spawn(process.execPath, [...ARGUMENTS, ...argv, '--port', '0'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    started.push(this.process);
    for (const stream of [this.process.stdout!, this.process.stderr!]) {
      stream.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    }
  }

  /** Waits until it has printed a text. */
  async printed(text: string): Promise<void> {
    while (!this.output.includes(text)) {
      if (this.process.exitCode !== null) throw new Error(`serve ended: ${this.output}`);
      await setTimeout(20);
    }
  }

  get url(): string {
    return /http:\/\/[\d.]+:\d+/.exec(this.output)![0];
  }

  /** Sends a signal, and returns the exit code. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    const exit = once(this.process, 'exit') as Promise<[number | null]>;
    this.process.kill(signal);
    return (await exit)[0];
  }
}
