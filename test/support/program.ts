/** A module in a process of its own, for what a process can do once. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** @returns What it wrote. */
export async function outputOf(source: string, flags: readonly string[] = []): Promise<string> {
  const args = [...flags, '--import', 'tsx', '--input-type=module', '--eval', source];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return stdout.trim();
}

/** A module of this project as a program's text imports it. @param path From test/support. */
export const moduleUrl = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
