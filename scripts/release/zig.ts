/** Installs the compiler of the prebuilt binaries: zig, of one version, from PyPI, in a virtual environment. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './targets.js';

const REQUIREMENTS = join(ROOT, 'scripts/release/requirements.txt');

/** Where the compiler, its caches and the object files lie; ignored by git. */
export const WORK = join(ROOT, 'build/prebuild');

/** Returns the folder of zig: the compiler `zig`, and its headers and libraries in `lib`. Installs it once. */
export function installZig(): string {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error(
      `the prebuilt binaries are built on linux-x64; this is ${process.platform}-${process.arch}`,
    );
  }
  const requirements = readFileSync(REQUIREMENTS);
  const environment = join(
    WORK,
    `zig-${createHash('sha256').update(requirements).digest('hex').slice(0, 12)}`,
  );
  const python = join(environment, 'bin/python');
  if (!existsSync(join(environment, 'bin/python-zig'))) {
    console.log('installing zig in a virtual environment');
    rmSync(environment, { recursive: true, force: true });
    execFileSync('python3', ['-m', 'venv', environment], { stdio: 'inherit' });
    const pip = ['-m', 'pip', 'install', '--quiet', '--only-binary', ':all:', '--require-hashes'];
    execFileSync(python, [...pip, '--requirement', REQUIREMENTS], { stdio: 'inherit' });
  }
  const folder = 'import os, ziglang; print(os.path.dirname(ziglang.__file__))';
  return execFileSync(python, ['-c', folder], { encoding: 'utf8' }).trim();
}
