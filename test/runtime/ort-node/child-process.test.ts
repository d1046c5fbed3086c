import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { lastMessage, runInChild } from '../../../lib/runtime/ort-node/child-process.js';
import { temporaryFolder } from '../../support/temporary.js';

describe('runtime/ort-node/child-process', () => {
  const at = temporaryFolder();
  async function program(text: string): Promise<URL> {
    const path = join(at(), 'program.cjs');
    await writeFile(path, text);
    return pathToFileURL(path);
  }

  it('lastMessage finds the error in the output of a process, not the stack or the version of Node', () => {
    const output =
      'file.js:1\nthrow 1\n\nTypeError: the real reason\n    at main (file.js:1)\n\nNode.js v20.20.2\n';
    expect(lastMessage(output)).to.equal(': TypeError: the real reason');
    expect(lastMessage('Bus error (core dumped)')).to.equal(': Bus error (core dumped)');
    expect(lastMessage('\n')).to.equal('');
  });

  it('runInChild passes arguments and input to the program, and returns its output and its end', async () => {
    const file = await program(`process.stdin.on('data', (data) => {
      console.log(process.argv.at(-1) + data);
      process.exit(3);
    })`);
    const input = new TextEncoder().encode('b');
    const result = await runInChild(file, ['a'], { input, milliseconds: 30_000 });
    expect(result).to.deep.equal({ stdout: 'ab\n', stderr: '', end: 'status 3' });
  });

  it('runInChild kills a program that takes too long', async () => {
    const { end } = await runInChild(await program('setInterval(() => 0, 1000)'), [], { milliseconds: 200 });
    expect(end).to.equal('SIGKILL');
  });
});
