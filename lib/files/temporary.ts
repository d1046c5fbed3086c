/**
 * Temporary files and folders: their names, what becomes of them when a process is killed, and a private folder for the time
 * of a call.
 */
import { createHash, randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { mkdir, readdir, realpath, rm, stat } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemCode } from './system-error.js';

/**
 * Runs `action` with a new folder that only this user may look into, and removes the folder afterwards. If the process is
 * killed meanwhile, the next call on this machine removes it.
 * @throws The system's error if the folder cannot be made.
 */
export async function withTemporaryFolder<Result>(
  action: (folder: string) => Promise<Result>,
): Promise<Result> {
  const parent = await realpath(tmpdir());
  await removeLeftovers(parent);
  const folder = temporaryName(parent);
  track(folder);
  try {
    await mkdir(folder, { mode: 0o700 });
    return await action(folder);
  } finally {
    await rm(folder, { recursive: true, force: true }).catch(() => undefined);
    untrack(folder);
  }
}

/** Process numbers mean something on one machine, or in one container, only. */
const MACHINE = createHash('sha256').update(hostname()).digest('hex').slice(0, 12);

/** Returns a new name for a file or folder: independent of the target's name, which may be as long as the file system allows. */
export const temporaryName = (folder: string): string =>
  join(folder, `.onnx-groupnorm.${MACHINE}.${process.pid}.${randomBytes(6).toString('hex')}.tmp`);

const TEMPORARY_NAME = /^\.onnx-groupnorm\.([\da-f]{12})\.(\d+)\.[\da-f]{12}\.tmp$/;

/** Milliseconds. A process of another machine may write to the folder: it has then changed its file more recently. */
const ABANDONED = 24 * 60 * 60 * 1000;

/** Removes the temporary files and folders of processes that were killed before they could. */
export async function removeLeftovers(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names) {
    const [, machine, pid] = TEMPORARY_NAME.exec(name) ?? [];
    if (machine === undefined || Number(pid) === process.pid) continue;
    const path = join(folder, name);
    const found = await stat(path).catch(() => undefined);
    const isAbandoned = found !== undefined && Date.now() - found.mtimeMs > ABANDONED;
    // Another user's file stays.
    if (isAbandoned || (machine === MACHINE && !isRunning(Number(pid))))
      await rm(path, { recursive: true, force: true }).catch(() => undefined);
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return systemCode(error) !== 'ESRCH';
  }
}

const temporaryFiles = new Set<string>();
let listener: WritingListener | undefined;

/** Hears when temporary files exist. */
interface WritingListener {
  /** Called before the first temporary file is made. */
  begin(): void;
  /** Called after the last temporary file is gone. */
  end(): void;
}

/** Tells `next` when temporary files exist, in place of the listener before it: the process has one command line. */
export function onWriting(next: WritingListener): void {
  listener = next;
}

/** Removes the temporary files and folders that exist. Synchronous, for signal handlers. */
export function removeTracked(): void {
  for (const temporary of temporaryFiles) rmSync(temporary, { recursive: true, force: true });
  temporaryFiles.clear();
}

/** Says that a temporary file or folder is about to exist. */
export function track(temporary: string): void {
  if (temporaryFiles.size === 0) listener?.begin();
  temporaryFiles.add(temporary);
}

/** Says that a temporary file or folder is gone. */
export function untrack(temporary: string): void {
  if (temporaryFiles.delete(temporary) && temporaryFiles.size === 0) listener?.end();
}

/** Returns whether a temporary file or folder exists still: a signal may have removed it. */
export const isTracked = (temporary: string): boolean => temporaryFiles.has(temporary);
