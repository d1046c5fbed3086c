/** native/prebuilt/manifest.json: the checksum of each binary, and of the sources that it was built from. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { binaryOf, nameOf, PREBUILT, ROOT, type Target } from './targets.js';

const MANIFEST = join(PREBUILT, 'manifest.json');

interface Entry {
  /** SHA-256 of the binary. */
  readonly sha256: string;
  /** SHA-256 of all that the binary depends on. */
  readonly sources: string;
}
type Manifest = Readonly<Record<string, Entry>>;

/** Writes the binary of a target into the manifest. */
export function record(target: Target): void {
  const entry: Entry = { sha256: sha256([readFileSync(binaryOf(target))]), sources: digestOfSources() };
  const entries = Object.entries({ ...read(), [nameOf(target)]: entry }).sort(([a], [b]) => (a < b ? -1 : 1));
  writeFileSync(MANIFEST, `${JSON.stringify(Object.fromEntries(entries), null, 2)}\n`);
}

/** Says why a target's binary cannot be released; `undefined` if it was built from the present sources. */
export function staleness(target: Target): string | undefined {
  if (!existsSync(binaryOf(target))) return 'is missing';
  const entry = read()[nameOf(target)];
  if (entry?.sha256 !== sha256([readFileSync(binaryOf(target))])) return 'is not the binary of the manifest';
  return entry.sources === digestOfSources() ? undefined : 'was built from other sources';
}

const read = (): Manifest =>
  existsSync(MANIFEST) ? (JSON.parse(readFileSync(MANIFEST, 'utf8')) as Manifest) : {};

const sha256 = (contents: readonly (string | Uint8Array)[]): string =>
  contents.reduce((hash, content) => hash.update(content), createHash('sha256')).digest('hex');

const FOLDERS = ['native/addon', 'native/buffers', 'native/kernel', 'native/onnxruntime'];
const FILES = [
  'native/binding.gyp',
  'scripts/release/compile.ts',
  'scripts/release/requirements.txt',
  'scripts/release/targets.ts',
  'node_modules/node-addon-api/napi-inl.h',
  'node_modules/node-addon-api/napi.h',
  'node_modules/node-api-headers/include/js_native_api.h',
  'node_modules/node-api-headers/include/node_api.h',
];

function digestOfSources(): string {
  const sources = FOLDERS.flatMap((folder) =>
    readdirSync(join(ROOT, folder)).map((name) => `${folder}/${name}`),
  );
  const paths = [...sources.filter((path) => !path.endsWith('_test.cc')), ...FILES].sort();
  return sha256(paths.flatMap((path) => [`${path}\0`, readFileSync(join(ROOT, path))]));
}
