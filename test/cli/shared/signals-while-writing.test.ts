import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { removeTemporaryFilesAtSignals } from '../../../lib/cli/shared/signals.js';
import { writeFileAtomic } from '../../../lib/files/atomic.js';
import { onWriting } from '../../../lib/files/temporary.js';
import { bundle } from '../../support/bundle.js';
import { rejection, temporaryFolder } from '../../support/temporary.js';

const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'];
const PROGRAM = await bundle(new URL('slow-writer.ts', import.meta.url));
const listeners = (): number[] => [...SIGNALS, 'exit'].map((event) => process.listenerCount(event));

describe('a signal while the command line writes a file', function () {
  this.timeout(30_000); // A process has to start, on a machine that may be busy.
  const path = temporaryFolder();

  describe('in this process', () => {
    before(removeTemporaryFilesAtSignals);
    after(() => onWriting({ begin: () => undefined, end: () => undefined }));

    it('the command line listens for signals only while it writes a file', async () => {
      const usual = listeners();
      async function* content() {
        yield Buffer.from('1');
        expect(listeners()).to.deep.equal(usual.map((count) => count + 1));
        await Promise.resolve();
      }
      async function* failing(): AsyncGenerator<Uint8Array> {
        await Promise.resolve();
        throw new Error();
      }
      await Promise.all([
        writeFileAtomic(path('a'), content()),
        rejection(writeFileAtomic(path('c'), failing())),
      ]);
      expect(listeners()).to.deep.equal(usual);
    });
  });

  for (const signal of SIGNALS) {
    it(`${signal} while the command line writes ends the process and leaves only the old file`, async () => {
      await writeFile(path('file'), 'old');
      const { child } = await startWriting(path('file'));
      expect(await readdir(path())).to.have.length(2);
      child.kill(signal);
      expect(await once(child, 'exit')).to.deep.equal([null, signal]);
      expect(await readdir(path())).to.deep.equal(['file']);
      expect(await readFile(path('file'), 'utf8')).to.equal('old');
    });

    it(`${signal} while the command line writes into new folders removes the folders too`, async () => {
      const { child } = await startWriting(path('new', 'folder', 'file'));
      child.kill(signal);
      expect(await once(child, 'exit')).to.deep.equal([null, signal]);
      expect(await readdir(path())).to.deep.equal([]);
    });
  }

  it('a write removes the temporary file that a killed process left, and no other', async () => {
    const { child } = await startWriting(path('file'));
    const other = await startWriting(path('other'));
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(await readdir(path())).to.have.length(2);
    await writeFile(path('.onnx-groupnorm.notes.tmp'), '');
    await writeFileAtomic(path('file'), 'new');
    const left = (await readdir(path())).filter((name) => !name.includes(`.${other.child.pid}.`));
    expect(left).to.have.members(['.onnx-groupnorm.notes.tmp', 'file']);
    expect(await readdir(path())).to.have.length(3);
    other.child.kill();
    await once(other.child, 'exit');
  });

  it("a write removes another machine's temporary file only after a day without a change", async () => {
    const [old, recent] = ['a', 'b'].map(
      (digit) => `.onnx-groupnorm.${digit.repeat(12)}.1.${digit.repeat(12)}.tmp`,
    );
    for (const name of [old!, recent!]) await writeFile(path(name), '');
    const yesterday = new Date(Date.now() - 25 * 3600 * 1000);
    await utimes(path(old!), yesterday, yesterday);
    await writeFileAtomic(path('file'), 'new');
    expect(await readdir(path())).to.have.members([recent, 'file']);
  });

  it('a signal while the command line writes fails the write, and another listener decides whether to exit', async () => {
    const { child, output } = await startWriting(path('file'), 'go-on');
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).to.deep.equal([0, null]);
    expect(output()).to.equal(
      `writing\ncannot write '${path('file')}': a signal stopped the writing; write it again\n`,
    );
    expect(await readdir(path())).to.deep.equal([]);
  });

  it('process.exit while the command line writes leaves no file behind', async () => {
    const { child } = await startWriting(path('file'), 'exit');
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).to.deep.equal([3, null]);
    expect(await readdir(path())).to.deep.equal([]);
  });
});

/** Starts slow-writer.ts and waits until it has written half of `target`. */
async function startWriting(target: string, atSignal = '') {
  const child = spawn(process.execPath, [PROGRAM, target, atSignal], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  await once(child.stdout, 'data');
  return { child, output: () => text };
}
