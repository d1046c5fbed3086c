/** The addon in processes and workers that end when they please. Each case is a process of its own. */
import { expect } from 'chai';
import { it } from 'mocha';
import type { ExecFileException } from 'node:child_process';
import { describeNative } from '../../support/native.js';
import { type ProgramOptions, runProgram } from '../../support/program.js';
import type * as programs from './programs.js';

/** Runs a program of programs.ts to its end, however it ends. */
async function runProcess(name: keyof typeof programs, options?: ProgramOptions) {
  const { code, signal, stdout, stderr } = await runProgram(PROGRAMS, name, options).then(
    (written) => ({ code: 0, signal: null, ...written }),
    (failure: ExecFileException) => failure,
  );
  return { code, signal, output: `${stdout}${stderr}`.trim() };
}

const PROGRAMS = new URL('programs.ts', import.meta.url);
/** Flags to measure memory: V8's young generation would grow by 9 MiB at once at a time that it chooses. */
const MEASURED = ['--expose-gc', '--max-semi-space-size=1'];

describeNative('the native addon in processes that end', function () {
  this.timeout(60_000);

  it('the native addon runs 64 sessions at once on a thread pool of one thread', async () => {
    const ended = await runProcess('runManyAtOnce', { env: { UV_THREADPOOL_SIZE: '1' } });
    expect(ended).to.deep.equal({ code: 0, signal: null, output: '64' });
  });

  it('the native addon lets a process exit in a run', async () => {
    const ended = await runProcess('exitInRun');
    expect(ended).to.deep.equal({ code: 3, signal: null, output: '' });
  });

  it('the native addon lets a process end without disposing of its session, and while a model loads', async () => {
    const ended = await runProcess('endWhileModelLoads');
    expect(ended).to.deep.equal({ code: 0, signal: null, output: '' });
  });

  it('the native addon survives the end of a worker in a run, and runs on in the main thread', async () => {
    const ended = await runProcess('terminateWorkerInRun');
    expect(ended).to.deep.equal({ code: 0, signal: null, output: 'true' });
  });

  it('the native addon runs in several workers at once, and when only workers have loaded it', async () => {
    const ended = await runProcess('runInWorkersOnly');
    expect(ended).to.deep.equal({ code: 0, signal: null, output: '[ 0, 0, 0, 0 ]' });
  });

  it('the native addon runs in a worker, and then in the main thread, after the only worker that had loaded it has ended', async () => {
    const ended = await runProcess('runAfterWorkersHaveEnded');
    expect(ended).to.deep.equal({ code: 0, signal: null, output: 'true' });
  });

  it('the native addon creates, runs and disposes of 1,000 sessions in memory that stays flat', async () => {
    const ended = await runProcess('createManySessions', { flags: MEASURED });
    expect({ ...ended, output: '' }).to.deep.equal({ code: 0, signal: null, output: '' });
    // MiB. A session that leaked would be at least 20 KiB, 14 MiB in all.
    expect(Number(ended.output)).to.be.below(10);
  });

  const kinds = {
    'plain calls': 'plainCalls',
    using: 'usingCalls',
    'allocated inputs and outputs': 'callsWithAllocatedTensors',
    'ordinary given outputs': 'callsWithGivenOutputs',
    sync: 'syncCalls',
  } as const;
  for (const [kind, program] of Object.entries(kinds)) {
    it(`resident memory is flat over 2,000 runs: ${kind}`, async () => {
      const ended = await runProcess(program, { flags: MEASURED });
      expect({ ...ended, output: '' }).to.deep.equal({ code: 0, signal: null, output: '' });
      // MiB. Results that leaked would be 250 MiB.
      expect(Number(ended.output)).to.be.below(10);
    });
  }

  it('a worker can be terminated while it has results, allocated tensors and a run in progress', async () => {
    const ended = await runProcess('terminateWorkerWithResults');
    expect(ended).to.deep.equal({ code: 0, signal: null, output: 'true 0' });
  });
});
