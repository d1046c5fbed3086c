/** This package's own package.json. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

interface PackageInfo {
  readonly version: string;
  readonly engines: { readonly node: string };
}

/** Reads package.json. The package resolves its own name, so this works from the sources and from `dist`. */
export function packageInfo(): PackageInfo {
  const path = createRequire(import.meta.url).resolve('onnx-groupnorm/package.json');
  return JSON.parse(readFileSync(path, 'utf8')) as PackageInfo;
}
