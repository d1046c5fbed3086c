/** `npm run build:prebuilt`: builds the addon for every platform, or for the platforms that are named. */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readBinary } from './binary.js';
import { compile, place } from './compile.js';
import { faultsOf } from './gate.js';
import { record } from './manifest.js';
import { nameOf, type Target, TARGETS, targetsNamed } from './targets.js';
import { installZig, WORK } from './zig.js';

const HELP = `Builds the addon into native/prebuilt with zig, which it installs from PyPI into build/prebuild.

  npm run build:prebuilt -- [--twice] [TARGET...]

  --twice  build a second time with empty caches, and fail if a byte differs
  TARGET   ${TARGETS.map(nameOf).join(', ')}; all by default

Exit codes: 0 all is built; 1 a build fails; 3 zig cannot be installed here.

darwin-arm64 needs LLVM's linker for macOS: ld64.lld-19 (Debian's package lld-19), or the program that LD64 names.`;

interface Built {
  readonly path: string;
  readonly bytes: Buffer;
}

async function build(target: Target, zig: string, work: string): Promise<Built> {
  const started = performance.now();
  const path = await compile(target, { zig, objects: join(work, 'objects'), cache: join(work, 'cache') });
  const bytes = readFileSync(path);
  const faults = faultsOf(readBinary(bytes), target);
  if (faults.length > 0) throw new Error(`${path}:\n${faults.join('\n')}`);
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  console.log(`${nameOf(target)}: ${(bytes.length / 1000).toFixed(0)} kB, built in ${seconds} s`);
  return { path, bytes };
}

async function buildAgain(target: Target, zig: string, first: Buffer): Promise<void> {
  const again = join(WORK, 'again');
  rmSync(again, { recursive: true, force: true });
  const { bytes } = await build(target, zig, again);
  if (!bytes.equals(first)) throw new Error(`${nameOf(target)}: two builds differ`);
  rmSync(again, { recursive: true });
  console.log(`${nameOf(target)}: both builds have the same bytes`);
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { twice: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } },
  });
  if (values.help) {
    console.log(HELP);
    return;
  }
  const targets = targetsNamed(positionals);
  let zig: string;
  try {
    zig = installZig();
  } catch (error) {
    fail(error, 3);
    return;
  }
  for (const target of targets) {
    const { path, bytes } = await build(target, zig, WORK);
    if (values.twice) await buildAgain(target, zig, bytes);
    place(target, path);
    record(target);
  }
}

function fail(error: unknown, exitCode: number): void {
  console.error(`build:prebuilt: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = exitCode;
}

try {
  await main();
} catch (error) {
  fail(error, 1);
}
