/** Two versions of onnxruntime-node in one process: the dynamic loader of Linux loads one library of one name. */
import { dirname, join } from 'node:path';
import { existsSync, readFileSync } from 'node:fs';
import type { ProviderProblem } from '../core/contract.js';

/** The loader has found the library that another version has loaded, and misses the version's mark in it. */
const OTHER_VERSION = /(\S.*): version `VERS_([\d.]+)' not found/;

/** The oldest version of onnxruntime-node that this package's dependencies allow. */
const OLDEST: readonly [number, number] = [1, 24];

/** Returns what an error of loading onnxruntime-node means if the process has loaded another version of it. */
export function otherVersionProblem(message: string): ProviderProblem | undefined {
  const match = OTHER_VERSION.exec(message);
  if (!match) return undefined;
  const [, library, wanted] = match as unknown as [string, string, string];
  const loaded = versionAbove(library);
  const which = loaded === undefined ? 'another version' : `version ${loaded}`;
  const fits = loaded !== undefined && isAtLeast(loaded, OLDEST);
  const overrides = fits
    ? `"overrides": { "onnx-groupnorm": { "onnxruntime-node": "${loaded}" } }`
    : `"overrides": { "onnxruntime-node": "${wanted}", "onnxruntime-common": "${wanted}" }`;
  return {
    reason:
      `onnxruntime-node ${wanted} cannot be loaded, because this process has loaded ${which} of it (${library}), and a ` +
      'process can have one',
    remedy:
      `install one version: add ${overrides} to the package.json of your application, and run npm install; or use ` +
      'the provider native, which runs on the loaded version',
  };
}

/** Returns the version of the package that a file belongs to. */
function versionAbove(file: string): string | undefined {
  for (let folder = dirname(file); folder !== dirname(folder); folder = dirname(folder)) {
    const path = join(folder, 'package.json');
    if (existsSync(path)) return (JSON.parse(readFileSync(path, 'utf8')) as { version?: string }).version;
  }
  return undefined;
}

function isAtLeast(version: string, [major, minor]: readonly [number, number]): boolean {
  const [a = 0, b = 0] = version.split('.').map(Number);
  return a > major || (a === major && b >= minor);
}
