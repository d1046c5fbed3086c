import { expect } from 'chai';
import { describe, it } from 'mocha';
import { inOtherProcess, lastOf } from '../../../lib/runtime/ort-node/child-process.js';

describe('runtime/other-process', () => {
  it('takes out of what a process wrote what was wrong, and neither the stack nor the version of Node', () => {
    const wrote =
      'file.js:1\nthrow 1\n\nTypeError: the real reason\n    at main (file.js:1)\n\nNode.js v20.20.2\n';
    expect(lastOf(wrote)).to.equal(': TypeError: the real reason');
    expect(lastOf('Bus error (core dumped)')).to.equal(': Bus error (core dumped)');
    expect(lastOf('\n')).to.equal('');
  });

  it('gives what a program wrote of its arguments and its input, and how it ended', async () => {
    const program = `process.stdin.on('data', (data) => {
      console.log(process.argv[1] + data);
      process.exit(3);
    })`;
    const input = new TextEncoder().encode('b');
    const ended = await inOtherProcess(program, ['a'], { input, milliseconds: 30_000 });
    expect(ended).to.deep.equal({ stdout: 'ab\n', stderr: '', end: 'status 3' });
  });

  it('ends one that takes too long', async () => {
    const { end } = await inOtherProcess('setInterval(() => 0, 1000)', [], { milliseconds: 200 });
    expect(end).to.equal('SIGKILL');
  });
});
