/**
 * Runs the check with CUDA's provider from an npm package, for machines that cannot download it from the address in
 * onnxruntime-node's install script. The check runs in a copy of this checkout's sources, whose node_modules holds
 * another onnxruntime-node and no other package.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Arguments } from './arguments.js';
import { STOP_SIGNALS } from './collect.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FOLDER = join(ROOT, '.cuda-runtime');

/** The libraries were built for this version of ONNX Runtime, and for CUDA 13. */
const RUNTIME_VERSION = '1.29.0';
/** A third-party package, ONNX Runtime for Unity, which contains Microsoft's release. */
const PACKAGE = 'com.github.asus4.onnxruntime.linux-x64-gpu@0.4.9';
const INTEGRITY =
  'sha512-FopIhNE/Ng+v2X65wVc9clPCBCvhvA53Hxo2U0Kf5fGdVsC7iCA+mZ0KLWggcQAj7TIZ6pNidR4AC10g74Xo6w==';
const WITHIN = 'package/Plugins/Linux/x64';
const LIBRARIES = ['libonnxruntime_providers_shared.so', 'libonnxruntime_providers_cuda.so'];

/** The folders that the check needs. It finds the other packages in the checkout's node_modules, above the copy. */
const SOURCES = ['lib', 'graphs', 'scripts', 'bench', 'test/support', 'test/fixtures'];

/** Runs the check again in a copy of this checkout, in the time that is left, and returns its exit code. */
export async function runWithNpmLibraries({ out, minutes }: Arguments): Promise<number> {
  prepareFolder(ROOT, FOLDER);
  const args = process.argv.slice(2).filter((text) => text !== '--with-npm-libraries');
  const left =
    minutes === undefined ? [] : ['--minutes', String(Math.max(0.1, minutes - performance.now() / 60_000))];
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', join(FOLDER, 'scripts/cuda/check.ts'), ...args, '--out', out, ...left],
    { cwd: FOLDER, stdio: 'inherit' },
  );
  // The check in the copy writes its report and ends.
  for (const signal of STOP_SIGNALS) process.on(signal, () => child.kill(signal));
  const [status] = (await once(child, 'exit')) as [number | null];
  return status ?? 1;
}

/** Makes the copy in a folder within the checkout, or updates its sources. */
function prepareFolder(root: string, folder: string): void {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error(`--with-npm-libraries needs linux-x64; this is ${process.platform}-${process.arch}`);
  }
  mkdirSync(folder, { recursive: true });
  for (const source of SOURCES) {
    rmSync(join(folder, source), { recursive: true, force: true });
    cpSync(join(root, source), join(folder, source), { recursive: true });
  }
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest(root), null, 2));
  const runtime = join(folder, 'node_modules/onnxruntime-node');
  if (versionOf(runtime) !== RUNTIME_VERSION)
    npm(folder, ['install', '--ignore-scripts', '--no-audit', '--no-fund']);
  const target = join(runtime, 'bin/napi-v6/linux/x64');
  if (!LIBRARIES.every((file) => existsSync(join(target, file)))) layLibraries(folder, target);
}

function layLibraries(folder: string, target: string): void {
  const [packed] = JSON.parse(npm(folder, ['pack', '--json', PACKAGE])) as {
    filename: string;
    integrity: string;
  }[];
  if (packed!.integrity !== INTEGRITY) {
    throw new Error(`${PACKAGE} has changed: expected ${INTEGRITY}, got ${packed!.integrity}`);
  }
  const archive = join(folder, packed!.filename);
  const files = LIBRARIES.map((file) => `${WITHIN}/${file}`);
  execFileSync('tar', ['-xzf', archive, '-C', folder, ...files]);
  for (const file of LIBRARIES) copyFileSync(join(folder, WITHIN, file), join(target, file));
  rmSync(archive);
  rmSync(join(folder, 'package'), { recursive: true });
}

/** Returns a manifest with this package's own name, which its modules look up at run time. */
function manifest(root: string): object {
  const { name, version, type, engines, exports } = JSON.parse(
    readFileSync(join(root, 'package.json'), 'utf8'),
  ) as Record<string, unknown>;
  const dependencies = { 'onnxruntime-node': RUNTIME_VERSION };
  return { private: true, name, version, type, engines, exports, dependencies };
}

function versionOf(folder: string): string | undefined {
  const file = join(folder, 'package.json');
  return existsSync(file)
    ? (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
    : undefined;
}

/** 290 MB take some minutes at worst. A stalled download must not keep a rented machine busy. */
const NPM_MS = 600_000;

const npm = (cwd: string, args: readonly string[]): string =>
  execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], timeout: NPM_MS });
