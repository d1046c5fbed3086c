import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

interface PackageInfo {
  readonly version: string;
  readonly engines: { readonly node: string };
}

/** This package's own package.json: found by its name, from the sources and from `dist` alike. */
export function packageInfo(): PackageInfo {
  const path = createRequire(import.meta.url).resolve('onnx-groupnorm/package.json');
  return JSON.parse(readFileSync(path, 'utf8')) as PackageInfo;
}
