/** How to have the addon built: each package manager has its own way to approve and repeat an install script. */
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** What to do, in the words of a remedy. */
interface WaysToBuild {
  /** After a package manager that did not run the install script, as a rule because the user must approve it. */
  readonly notRun: string;
  /** After an install script that failed or was told to leave the addon out. */
  readonly again: string;
}

const NPM: WaysToBuild = {
  notRun:
    "run 'npm install-scripts approve onnx-groupnorm', which npm 12 needs, then 'npm rebuild onnx-groupnorm'",
  again: "run 'npm rebuild onnx-groupnorm'",
};
const PNPM: WaysToBuild = {
  notRun:
    "run 'pnpm approve-builds' and choose onnx-groupnorm, or where it is approved 'pnpm rebuild onnx-groupnorm'",
  again: "run 'pnpm rebuild onnx-groupnorm'",
};
const YARN: WaysToBuild = {
  notRun:
    'set "dependenciesMeta": { "onnx-groupnorm": { "built": true } } in package.json, then run ' +
    "'yarn rebuild onnx-groupnorm'",
  again: "run 'yarn rebuild onnx-groupnorm'",
};
const YARN_1: WaysToBuild = { notRun: "run 'yarn install --force'", again: "run 'yarn install --force'" };
const BUN: WaysToBuild = { notRun: "run 'bun pm trust onnx-groupnorm'", again: "run 'bun install --force'" };
const CLONE: WaysToBuild = { notRun: "run 'npm run build:addon'", again: "run 'npm run build:addon'" };

/** What each package manager leaves in the node_modules that it installs, or beside it. */
const TRACES: readonly (readonly [file: string, ways: WaysToBuild])[] = [
  ['.package-lock.json', NPM],
  ['.modules.yaml', PNPM],
  ['.yarn-state.yml', YARN],
  // The folder of packages of Yarn's nodeLinker 'pnpm'.
  ['.store', YARN],
  ['.yarn-integrity', YARN_1],
  ['.bun', BUN],
  ['../bun.lock', BUN],
];

/** The store that pnpm's projects share, outside any project. */
const PNPM_STORE = /[\\/]v\d+[\\/]links[\\/]/;

/**
 * Returns what to do to have the addon built.
 * @param folder A folder of this package.
 * @param ran Whether the install script ran.
 */
export function howToBuild(folder: string, ran: boolean): string {
  const { again, notRun } = waysFor(folder);
  return ran ? again : notRun;
}

function waysFor(folder: string): WaysToBuild {
  if (process.versions['pnp'] !== undefined) return YARN;
  if (PNPM_STORE.test(folder)) return PNPM;
  const installed = parentsOf(folder).filter((path) => basename(path) === 'node_modules');
  if (installed.length === 0) return CLONE;
  const traces = TRACES.find(([file]) => installed.some((path) => existsSync(join(path, file))));
  return traces?.[1] ?? NPM;
}

function parentsOf(path: string): string[] {
  const parent = dirname(path);
  return parent === path ? [] : [parent, ...parentsOf(parent)];
}
