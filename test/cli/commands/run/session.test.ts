import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  describeExecution,
  describeRun,
  describeTimes,
  runRepeatedly,
} from '../../../../lib/cli/commands/run/session.js';
import { Progress } from '../../../../lib/cli/shared/progress.js';
import type { Provider } from '../../../../lib/runtime/core/contract.js';
import { Sink } from '../../support.js';

describe('the session of run', () => {
  it('run --repeat runs the model so many times, and keeps the last result and every time', async () => {
    let count = 0;
    const action = () => Promise.resolve(++count);
    const { result, times } = await runRepeatedly({ provider: 'cpu' }, 3, new Progress(new Sink()), action);
    expect([result, count, times.length]).to.deep.equal([3, 3, 3]);
    expect(Math.min(...times)).to.be.at.least(0);
  });

  it('run --repeat does not count a run in which the session moves to another provider', async () => {
    const session: { provider: Provider } = { provider: 'cuda' };
    let count = 0;
    const action = () => {
      session.provider = 'cpu';
      return Promise.resolve(++count);
    };
    const { result, times } = await runRepeatedly(session, 2, new Progress(new Sink()), action);
    expect([result, times.length]).to.deep.equal([3, 2]);
  });

  it('run prints the time of one run, and the fastest and the median of several', () => {
    expect(describeTimes([12.34])).to.equal('12.3 ms');
    expect(describeTimes([30, 10, 20])).to.equal('3 runs, fastest 10 ms, median 20 ms');
    expect(describeTimes([4, 1, 2, 3])).to.equal('4 runs, fastest 1 ms, median 2.5 ms');
  });

  it('run prints the provider, and how GroupNormalization ran', () => {
    expect(describeExecution({ provider: 'cpu', groupNorm: undefined })).to.equal('cpu');
    expect(describeExecution({ provider: 'cpu', groupNorm: 'op' })).to.equal('cpu, GroupNormalization as op');
    expect(describeExecution({ provider: 'native', groupNorm: 'kernel' })).to.equal(
      'native, GroupNormalization by the native kernel',
    );
    expect(describeExecution({ provider: 'native', groupNorm: 'kernel', layout: 'blocked' })).to.equal(
      'native, GroupNormalization by the native kernel in blocked layout',
    );
  });

  it('run names each provider that did not work, with the reason', () => {
    const fallbacks = [{ provider: 'cuda', reason: 'no driver' }] as const;
    const session = { provider: 'cpu', groupNorm: undefined, layout: 'plain', fallbacks } as const;
    expect(describeRun('gn.onnx', session, [10])).to.deep.equal([
      'gn.onnx on cpu: 10 ms',
      '  not on cuda: no driver',
    ]);
  });
});
