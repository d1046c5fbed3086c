/** Runs exported functions of a module in processes of their own, for what a process can do once. */
import { execFile, type ExecFileOptions } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { bundle } from './bundle.js';

const MAIN = new URL('program.mjs', import.meta.url);

export interface ProgramOptions extends Pick<ExecFileOptions, 'cwd' | 'timeout' | 'killSignal'> {
  /** Node's flags. */
  readonly flags?: readonly string[];
  /** The arguments of the function. */
  readonly args?: readonly string[];
  /** Environment variables in addition to those of this process. */
  readonly env?: NodeJS.ProcessEnv;
}

/**
 * Runs the function `name` of `module` in a process, until the process ends by itself.
 * @returns What the process wrote.
 * @throws ExecFileException if the process ends in another way than with exit code 0.
 */
export async function runProgram(
  module: URL,
  name: string,
  { flags = [], args = [], env, ...options }: ProgramOptions = {},
): Promise<{ readonly stdout: string; readonly stderr: string }> {
  const argv = [...flags, fileURLToPath(MAIN), await bundle(module), name, ...args];
  return promisify(execFile)(process.execPath, argv, { ...options, env: { ...process.env, ...env } });
}
