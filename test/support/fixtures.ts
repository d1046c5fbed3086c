import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const FIXTURES = fileURLToPath(new URL('../fixtures', import.meta.url));

/** The committed parity cases below a folder of `test/fixtures`, sorted. */
export const parityFixtures = (folder: string): string[] =>
  readdirSync(join(FIXTURES, folder))
    .filter((name) => name.endsWith('.safetensors'))
    .sort()
    .map((name) => join(FIXTURES, folder, name));

/** One committed case. */
export const fixturePath = (folder: string, name: string): string =>
  join(FIXTURES, folder, `${name}.safetensors`);
