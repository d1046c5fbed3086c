import { expect } from 'chai';
import { describe, it } from 'mocha';
import { probeProvider } from '../../../lib/cli/commands/doctor.js';

describe('cli/provider-probe', () => {
  it('the providers that every machine has pass', async () => {
    expect(await probeProvider('cpu')).to.deep.equal([]);
    expect(await probeProvider('wasm')).to.deep.equal([]);
  });

  it('a provider that cannot be had gives its reason and does not throw', async () => {
    const absent = process.platform === 'win32' ? 'coreml' : 'dml';
    const [problem] = await probeProvider(absent);
    expect(problem!.reason).to.match(new RegExp(`^onnxruntime-node has no ${absent} for `));
  });
});
