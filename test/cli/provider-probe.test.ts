import { expect } from 'chai';
import { describe, it } from 'mocha';
import { probeProvider } from '../../lib/cli/provider-probe.js';
import type { Provider } from '../../lib/index.js';

describe('cli/provider-probe', () => {
  it('the cpu provider passes', async () => {
    expect(await probeProvider('cpu')).to.be.undefined;
  });

  it('a provider that cannot be had gives its reason and does not throw', async () => {
    expect(await probeProvider('abacus' as Provider)).to.match(/unknown execution provider 'abacus'/);
  });
});
