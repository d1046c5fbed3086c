/**
 * onnxruntime-node with CUDA's provider out of an npm package, for machines that cannot download it from where
 * onnxruntime-node's own install script does: a copy of this checkout's sources with a node_modules of its own, in
 * which nothing but onnxruntime-node is another than here.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The libraries were built for this version of ONNX Runtime, and for CUDA 13. */
export const RUNTIME_VERSION = '1.29.0';
/** Not Microsoft's: ONNX Runtime for Unity, whose author packs Microsoft's release. */
const PACKAGE = 'com.github.asus4.onnxruntime.linux-x64-gpu@0.4.9';
const INTEGRITY =
  'sha512-FopIhNE/Ng+v2X65wVc9clPCBCvhvA53Hxo2U0Kf5fGdVsC7iCA+mZ0KLWggcQAj7TIZ6pNidR4AC10g74Xo6w==';
const WITHIN = 'package/Plugins/Linux/x64';
const LIBRARIES = ['libonnxruntime_providers_shared.so', 'libonnxruntime_providers_cuda.so'];

/** What a check needs of the checkout; the rest of its packages are found in the checkout's node_modules above. */
const SOURCES = ['lib', 'graphs', 'scripts', 'bench', 'test/support', 'test/fixtures'];

/** Makes the copy, or brings its sources up to date. @param folder Within the checkout. */
export function prepareFolder(root: string, folder: string): void {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error(`the libraries are for linux-x64, and this is ${process.platform}-${process.arch}`);
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
    throw new Error(`${PACKAGE} is not what it was when this was written: ${packed!.integrity}`);
  }
  const archive = join(folder, packed!.filename);
  const files = LIBRARIES.map((file) => `${WITHIN}/${file}`);
  execFileSync('tar', ['-xzf', archive, '-C', folder, ...files]);
  for (const file of LIBRARIES) copyFileSync(join(folder, WITHIN, file), join(target, file));
  rmSync(archive);
  rmSync(join(folder, 'package'), { recursive: true });
}

/** This package under its own name, so that what it looks up of itself is found. */
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

/** 290 MB take some minutes at worst: a download that stands still is not to hold a rented machine. */
const NPM_MS = 600_000;

const npm = (cwd: string, args: readonly string[]): string =>
  execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], timeout: NPM_MS });
