/**
 * Writes the CommonJS build beside the ES modules, for Jest, which cannot `require` ES modules before Node 24.9, and for
 * bundles in CommonJS, which have no `import.meta.url`. Node itself takes the ES modules for `require` too, so that a
 * process has one copy. Each module of `dist` becomes a module of `dist/cjs`, with `require` in place of `import()`;
 * declarations and the programs of child processes are copied.
 */
import { build } from 'esbuild';
import { cpSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const DIST = fileURLToPath(new URL('../../dist', import.meta.url));
const BUILD = join(DIST, 'cjs');
/** The command line, and the entry for browsers. */
const LEFT_OUT = /^lib[\\/](cli[\\/]|(runtime[\\/])?browser\.)|\.map$/;

const files = ['lib', 'graphs']
  .flatMap((folder) =>
    readdirSync(join(DIST, folder), { recursive: true }).map((name) => join(folder, String(name))),
  )
  .filter((file) => !LEFT_OUT.test(file));

await build({
  entryPoints: files.filter((file) => file.endsWith('.js')).map((file) => join(DIST, file)),
  outbase: DIST,
  outdir: BUILD,
  format: 'cjs',
  platform: 'node',
  target: 'node20.19',
  supported: { 'dynamic-import': false },
  define: { 'import.meta.url': 'moduleUrl' },
  banner: { js: "const moduleUrl = require('node:url').pathToFileURL(__filename).href;" },
  logLevel: 'warning',
});
for (const file of files.filter((name) => /\.(d\.ts|cjs)$/.test(name)))
  cpSync(join(DIST, file), join(BUILD, file));
writeFileSync(join(BUILD, 'package.json'), '{ "type": "commonjs" }\n');
