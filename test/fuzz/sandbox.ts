/**
 * The folder of a fuzzing process: models are written to `models`, the process runs in `work`. Around them lie files that
 * no model may read, the canaries, under every name that the fuzzed models give to external data.
 */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The content of a canary: a text that no model computes. */
const SECRET = 'canary: no model may read this file. ';

export const makeSandboxFolder = (): string =>
  mkdtempSync(join(realpathSync(tmpdir()), 'onnx-groupnorm-fuzz-'));

export class Sandbox {
  readonly models: string;
  readonly #canaries: readonly string[];
  readonly #files: number;

  /** @param root An empty folder. Whoever starts the process removes it, because the process may crash. */
  constructor(root: string) {
    this.models = join(root, 'models');
    const work = join(root, 'work');
    const secret = Buffer.from(SECRET.repeat(20));
    for (const folder of [this.models, join(this.models, 'sub'), work, join(work, 'sub')]) mkdirSync(folder);
    const beside = ['beside.bin', 'secret.bin', 'external', 'missing.bin', 'link.bin', 'sub/secret.bin'];
    this.#canaries = [join(root, 'secret.bin'), ...beside.map((name) => join(work, name))];
    for (const path of this.#canaries) writeFileSync(path, secret);
    writeFileSync(join(this.models, 'beside.bin'), new Uint8Array(64));
    symlinkSync(join('..', 'secret.bin'), join(this.models, 'link.bin'));
    this.#files = readdirSync(this.models).length;
    for (const path of this.#canaries) makeUnread(path);
    process.chdir(work);
  }

  /**
   * Returns the canaries that were read since the last call. A file system that does not keep the time of the last read
   * finds nothing; {@link holdsSecret} still does.
   */
  readCanaries(): string[] {
    return this.#canaries.filter((path) => {
      const wasRead = statSync(path).atimeMs !== UNREAD * 1000;
      if (wasRead) makeUnread(path);
      return wasRead;
    });
  }

  /** Returns the names of files in the folder of models that the fuzzer has not written, and removes them. */
  strayFiles(written: readonly string[]): string[] {
    const names = readdirSync(this.models);
    if (names.length === this.#files) return [];
    const own = ['beside.bin', 'sub', 'link.bin'];
    const others = names.filter((name) => !own.includes(name));
    for (const name of others) rmSync(join(this.models, name), { recursive: true, force: true });
    return others.filter((name) => !written.includes(name));
  }
}

/** Seconds since 1970 of a time of reading before the time of writing: only then do file systems write down a read. */
const UNREAD = 1000;
const makeUnread = (path: string): void => utimesSync(path, UNREAD, UNREAD + 1000);

/** Whether bytes hold a part of a canary. */
export function holdsSecret(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes('no model may read');
}
