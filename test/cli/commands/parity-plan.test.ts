import { expect } from 'chai';
import { describe, it } from 'mocha';
import { planCases, type PlanOptions } from '../../../lib/cli/commands/parity-plan.js';
import { GraphError } from '../../../lib/index.js';

const plan = (options: Partial<PlanOptions>) => planCases({ opset: [21], ...options }, ['native', 'cpu']);
/** What the sessions of a model are asked for on one provider. */
const asked = (options: Partial<PlanOptions>, opset = 21) =>
  planCases({ opset: [21], ...options }, ['cpu'])
    .dataSets(opset)
    .map(({ groupNorm }) => groupNorm);

describe('cli/parity-plan', () => {
  it('fixtures run at every opset, with every lowering, on every provider', () => {
    const { fixtures } = plan({ opset: [17, 21], atol: 1 });
    expect(
      fixtures.map(({ opset, lowering, provider, atol }) => [opset, lowering, provider, atol]),
    ).to.deep.equal([
      [17, 'reduce-mean', 'native', 1],
      [17, 'reduce-mean', 'cpu', 1],
      [21, 'op', 'native', 1],
      [21, 'op', 'cpu', 1],
    ]);
  });

  it('a lowering that an opset does not have is refused', () => {
    expect(() => plan({ opset: [17], lowering: 'op' })).to.throw(GraphError, "lowering 'op' needs opset");
  });

  it('data sets run once on every provider, whatever the opsets of fixtures', () => {
    expect(plan({ opset: [17, 21], rtol: 1 }).dataSets(15)).to.deep.equal(
      (['native', 'cpu'] as const).map((provider) => ({
        provider,
        groupNorm: undefined,
        rtol: 1,
        atol: undefined,
      })),
    );
  });

  it('sessions are asked for what is named, and for all as by default and as what the opset has', () => {
    expect(asked({ lowering: 'layer-norm,op' })).to.deep.equal(['layer-norm', 'op']);
    expect(asked({ lowering: 'all' }, 26)).to.deep.equal([undefined, 'op', 'reduce-mean', 'instance-norm', 'layer-norm']); // prettier-ignore
    expect(asked({ lowering: 'all' }, 17)).to.deep.equal([undefined, 'reduce-mean', 'instance-norm', 'layer-norm']); // prettier-ignore
    expect(asked({ lowering: 'all' }, 9)).to.deep.equal([undefined]);
  });

  it('--group-norm leaves one way', () => {
    expect(asked({ lowering: 'all', groupNorm: 'op' })).to.deep.equal(['op']);
    expect(asked({ groupNorm: 'contrib-group-norm' })).to.deep.equal(['contrib-group-norm']);
  });
});
