/**
 * Packs the package once for all test files, which mocha runs in other processes: `mocha --require test/support/pack-once.ts`.
 * Packing builds the package, which takes half a minute.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pack, PACKED } from './packed-package.js';

let folder: string | undefined;

export async function mochaGlobalSetup(): Promise<void> {
  folder = await mkdtemp(join(tmpdir(), 'onnx-groupnorm-packed-'));
  process.env[PACKED] = await pack(folder);
}

export async function mochaGlobalTeardown(): Promise<void> {
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
}
