import { expect } from 'chai';
import { describe, it } from 'mocha';
import { readArguments } from '../../../scripts/cuda/arguments.js';
import { planStages, type CaseJob } from '../../../scripts/cuda/jobs.js';

const plan = (...args: string[]) => planStages(readArguments(args)!.selection);
const SMALL = [
  '--cases',
  '^group-norm rank-4$|^unet five-classes$',
  '--opsets',
  '17,21',
  '--shapes',
  '1x64x8x8',
];

describe('scripts/cuda/jobs', () => {
  it('the plan begins with every case once, as its default model, and goes on in order of importance', () => {
    const stages = plan(...SMALL);
    expect(stages.map(({ name, jobs }) => `${name}: ${jobs.length}`)).to.deep.equal([
      'suite, every case once: 2',
      'timings, float32: 5',
      'candidates: 5',
      'timings, float16: 5',
      'suite, every opset and lowering: 12',
    ]);
    for (const { lowering, opset } of stages[0]!.jobs as CaseJob[]) {
      expect([lowering, opset]).to.deep.equal(['op', 21]);
    }
  });

  it('the plan has every case in every way exactly once', () => {
    const suite = plan().filter(({ name }) => name.startsWith('suite'));
    const jobs = suite.flatMap((stage) => stage.jobs as CaseJob[]);
    const keys = new Set(jobs.map(({ file, lowering, opset }) => `${file} ${lowering} ${opset}`));
    expect(keys.size).to.equal(jobs.length);
    expect(new Set(jobs.map(({ file }) => file)).size).to.equal(suite[0]!.jobs.length);
  });

  it('the plan times the default first, and accepts opsets at which networks do not run', () => {
    expect(plan(...SMALL)[1]!.jobs[0]).to.include({ groupNorm: 'reduce-mean', kind: 'timing' });
    const [once, , , , again] = plan(...SMALL, '--opsets', '13');
    expect([once!.jobs.length, again!.jobs.length]).to.deep.equal([1, 1]);
  });
});
