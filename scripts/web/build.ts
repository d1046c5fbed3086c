/** Builds the page: static files for any server. */
import { build } from 'esbuild';
import { cp, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readFixture } from '../../lib/index.js';
import type { Manifest } from '../../web/protocol.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const WEB = join(ROOT, 'web');
const FIXTURES = join(ROOT, 'test/fixtures');
const DEMO = ['demo/unet-cells.safetensors', 'demo/cells.png'];

/** Bytes of the largest fixture on the page: about 90 % of the fixtures, 4 MB in total. */
const LARGEST_FIXTURE = 2 ** 17;

/** ONNX Runtime's own files for WebAssembly and WebGPU, which the page loads at the first run of a model. */
const RUNTIME = ['', '.asyncify'].flatMap((name) =>
  ['mjs', 'wasm'].map((extension) => `ort-wasm-simd-threaded${name}.${extension}`),
);

/** Writes the page into `target`, and deletes the earlier content of that folder. */
export async function buildWeb(target: string): Promise<void> {
  await rm(target, { recursive: true, force: true });
  await mkdir(target, { recursive: true });
  await bundle(target);
  await copyRuntime(target);
  for (const name of ['index.html', 'style.css', 'icon.svg']) await cp(join(WEB, name), join(target, name));
  for (const path of DEMO) await cp(join(ROOT, path), join(target, path));
  await copyFixtures(target);
  await bundleOffline(target);
}

/** Copies ONNX Runtime's own files into `ort/`. */
export async function copyRuntime(target: string): Promise<void> {
  const runtime = dirname(createRequire(import.meta.url).resolve('onnxruntime-web'));
  for (const name of RUNTIME) await cp(join(runtime, name), join(target, 'ort', name));
}

/** Bundles the service worker with the list of the files that it keeps: all but the fixtures and the build for WebGPU. */
async function bundleOffline(target: string): Promise<void> {
  const isLarge = (path: string) => path.startsWith('fixtures/') || path.includes('.asyncify.');
  const paths = (await readdir(target, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => relative(target, join(entry.parentPath, entry.name)).replaceAll('\\', '/'));
  const files = ['./', ...paths.filter((path) => !isLarge(path)).sort()];
  await build({
    entryPoints: [join(WEB, 'offline.ts')],
    outdir: target,
    bundle: true,
    platform: 'browser',
    target: 'es2022',
    minify: true,
    define: { FILES: JSON.stringify(files) },
    logLevel: 'warning',
  });
}

async function bundle(outdir: string): Promise<void> {
  await build({
    entryPoints: { main: join(WEB, 'page/main.ts'), worker: join(WEB, 'worker/main.ts') },
    outdir,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    minify: true,
    chunkNames: 'chunks/[name]-[hash]',
    // Makes onnxruntime-web load its files from `ort/`, and leaves other ways to load them out of the bundle.
    conditions: ['onnxruntime-web-use-extern-wasm'],
    logLevel: 'warning',
  });
}

async function copyFixtures(target: string): Promise<void> {
  const all = (await readdir(FIXTURES, { recursive: true }))
    .filter((path) => path.endsWith('.safetensors'))
    .map((path) => path.replaceAll('\\', '/'))
    .sort();
  const fixtures: string[] = [];
  for (const path of all) {
    const { size } = await stat(join(FIXTURES, path));
    if (size > LARGEST_FIXTURE) continue;
    await cp(join(FIXTURES, path), join(target, 'fixtures', path));
    fixtures.push(path);
  }
  const { graph, options } = await readFixture(join(ROOT, DEMO[0]!));
  const manifest: Manifest = {
    demo: { graph, options },
    fixtures,
    leftOut: { count: all.length - fixtures.length, reason: `larger than ${LARGEST_FIXTURE / 1024} KiB` },
  };
  await writeFile(join(target, 'fixtures.json'), JSON.stringify(manifest));
}
