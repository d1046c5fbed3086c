/** Programs in TypeScript as one file of JavaScript: a process starts it in a fifth of the time that tsx takes. */
import { build, type Plugin } from 'esbuild';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** In the repository, where packages that stay outside of the file are found. */
const PROGRAMS = fileURLToPath(new URL('../../build/programs/', import.meta.url));

let folder: string | undefined;
const bundles = new Map<string, Promise<string>>();

/** Packages that load files of their own. All others are in the file too, because each that Node looks for takes time. */
const EXTERNAL = ['onnxruntime-node', 'onnxruntime-web', 'typescript', 'prettier', 'esbuild'];

/** What CommonJS packages call to load modules of Node. */
const REQUIRE = `import { createRequire as makeRequire } from 'node:module';
const require = makeRequire(import.meta.url);`;

/** Returns the path of a module and all that it imports, as one file; it lies there until this process ends. */
export function bundle(module: URL): Promise<string> {
  const known = bundles.get(module.href);
  if (known) return known;
  const made = makeBundle(module, join(folderOfBundles(), `${bundles.size}.mjs`));
  bundles.set(module.href, made);
  return made;
}

function folderOfBundles(): string {
  if (folder === undefined) {
    mkdirSync(PROGRAMS, { recursive: true });
    const made = mkdtempSync(PROGRAMS);
    process.once('exit', () => rmSync(made, { recursive: true, force: true }));
    folder = made;
  }
  return folder;
}

async function makeBundle(module: URL, outfile: string): Promise<string> {
  await build({
    entryPoints: [fileURLToPath(module)],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
    external: EXTERNAL,
    banner: { js: REQUIRE },
    keepNames: true,
    plugins: [ownAddresses],
  });
  return outfile;
}

/** Keeps the address that each module has in the repository, by which it finds files beside it. */
const ownAddresses: Plugin = {
  name: 'own addresses',
  setup: (builder) => {
    builder.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, 'utf8');
      if (!source.includes('import.meta.url')) return undefined;
      const address = JSON.stringify(pathToFileURL(path).href);
      return { contents: source.replaceAll('import.meta.url', address), loader: 'ts' };
    });
  },
};
