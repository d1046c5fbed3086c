import { expect } from 'chai';
import { afterEach, describe, it } from 'mocha';
import { fileURLToPath } from 'node:url';
import { collect, Workers, type Findings, type Reply } from '../../../scripts/cuda/collect.js';
import type { CaseJob, Stage, TimingJob } from '../../../scripts/cuda/jobs.js';
import type { SessionLoweringName } from '../../../lib/index.js';

const FAKE_WORKER = fileURLToPath(new URL('../../support/fake-worker.ts', import.meta.url));

/** Seconds: a worker starts in one. */
const LIMIT = 3;

const job = (name: string, asked: SessionLoweringName | null = null): CaseJob => ({
  kind: 'case',
  name,
  file: '',
  provider: 'cuda',
  lowering: 'op',
  opset: 21,
  asked,
});
const TIMING: TimingJob = {
  kind: 'timing',
  provider: 'cuda',
  shape: [1, 64, 8, 8],
  dtype: 'float32',
  groupNorm: 'op',
  baseline: 'reduce-mean',
  rounds: 3,
  seconds: 1,
};
const stage = (name: string, ...jobs: Stage['jobs']): Stage => ({ name, jobs });
const outcomes = (rows: Findings['suite']) => rows.map(({ name, outcome }) => `${name}: ${outcome}`);

interface Settings {
  readonly stop?: AbortController;
  readonly saveEvery?: number;
  readonly save?: (findings: Findings) => Promise<void>;
  readonly ask?: (way: string) => Promise<Reply>;
}

describe('scripts/cuda/collect', function () {
  this.timeout(30_000);
  let workers = new Workers(FAKE_WORKER, LIMIT);
  afterEach(() => {
    workers.endAll();
    workers = new Workers(FAKE_WORKER, LIMIT);
  });

  const run = (plan: readonly Stage[], { stop, saveEvery, save, ask }: Settings = {}) =>
    collect(plan, {
      workers: ask ? { ask } : workers,
      baseline: 'reduce-mean',
      stop: (stop ?? new AbortController()).signal,
      saveEvery: saveEvery ?? 60_000,
      save: save ?? (() => Promise.resolve()),
      progress: () => undefined,
    });

  it('a crash becomes the row of its case, with the end of stderr, and the next case runs', async () => {
    const { suite, stopped } = await run([stage('suite', job('a'), job('crashes'), job('b'))]);
    expect(outcomes(suite)).to.deep.equal(['a: passed', 'crashes: crashed', 'b: passed']);
    expect(suite[1]!.reason).to.equal('its process ended with SIGKILL: illegal memory access');
    expect(stopped).to.be.null;
  });

  it('a case that takes too long is ended and recorded', async () => {
    const { suite } = await run([stage('suite', job('a'), job('hangs'), job('b'))]);
    expect(outcomes(suite)).to.deep.equal(['a: passed', 'hangs: timed out', 'b: passed']);
    expect(suite[1]!.reason).to.equal(`it took more than ${LIMIT} s`);
  });

  it('after a case that breaks the device, the next case gets a new process, and other ways are not affected', async () => {
    const plan = [stage('candidates', job('a', 'op'), job('breaks the device', 'contrib-group-norm'), job('b', 'contrib-group-norm'), job('c', 'op'))]; // prettier-ignore
    const { candidates } = await run(plan);
    expect(outcomes(candidates)).to.deep.equal(['a: passed', 'breaks the device: failed', 'b: passed', 'c: passed']); // prettier-ignore
  });

  it('the findings hold the libraries of every process, and the variables of the first', async () => {
    const { process: found } = await run([stage('suite', job('a'), job('b', 'op'))]);
    expect(found.libraries).to.deep.equal(['liba.so', 'libb.so']);
    expect(Number(found.environment['PID'])).to.be.above(1);
  });

  it('the findings are saved after each stage, within a stage, and at a stop, each time with what is missing', async () => {
    const stop = new AbortController();
    const saved: string[] = [];
    const save = ({ stages, stopped, suite }: Findings) => {
      saved.push(`${stages.map(({ done, total }) => `${done}/${total}`).join(' ')}; ${suite.length} rows; ${stopped}`); // prettier-ignore
      if (suite.length === 2) stop.abort('enough');
      return Promise.resolve();
    };
    const plan = [stage('once', job('a')), stage('again', job('b'), job('c'))];
    await run(plan, { stop, save, saveEvery: 0 });
    const underWay = 'it is still under way, or was killed';
    expect(saved).to.deep.equal([
      `1/1 0/2; 1 rows; ${underWay}`,
      `1/1 0/2; 1 rows; ${underWay}`,
      `1/1 1/2; 2 rows; ${underWay}`,
      '1/1 1/2; 2 rows; enough',
    ]);
  });

  it('a stop ends the current job without a row for it', async () => {
    const stop = new AbortController();
    setTimeout(() => stop.abort('enough'), 100);
    const { suite, stopped, stages } = await run([stage('suite', job('hangs'), job('a'))], { stop });
    expect([suite, stopped, stages[0]!.done]).to.deep.equal([[], 'enough', 0]);
  });

  it('a signal that ends a worker stops the check', async () => {
    const { suite, stopped } = await run([stage('suite', job('is ended'), job('a'))]);
    expect([suite, stopped]).to.deep.equal([[], 'a worker was ended by SIGTERM']);
  });

  it('a way is given up in a stage after five losses in a row, with a reason', async () => {
    const lost: Reply = { end: 'crashed', reason: 'gone' };
    const plan = [stage('timings', ...Array<TimingJob>(9).fill(TIMING))];
    const { untimed, stopped, stages } = await run(plan, { ask: () => Promise.resolve(lost) });
    expect(untimed).to.have.length(5);
    expect(untimed[0]).to.include({ outcome: 'crashed', reason: 'gone', groupNorm: 'op' });
    expect(stages).to.deep.equal([{ stage: 'timings', done: 5, total: 9 }]);
    expect(stopped).to.equal("op was given up in 'timings' behind 5 losses in a row");
  });

  it('a failed write does not stop the check, which writes the report at the end', async () => {
    let writings = 0;
    const save = () => (++writings < 3 ? Promise.reject(new Error('no space')) : Promise.resolve());
    const { suite } = await run([stage('suite', job('a'), job('b'))], { save });
    expect([outcomes(suite), writings]).to.deep.equal([['a: passed', 'b: passed'], 3]);
  });
});
