import { expect } from 'chai';
import { describe, it } from 'mocha';
import { whyNotToStart } from '../../../lib/runtime/ort-node/installation.js';
import { outputOf, SMALL_MODEL } from '../../support/program.js';

describe('runtime/command-line', () => {
  it('names the length and the way out, beyond what is safe', () => {
    expect(whyNotToStart(100, 100)).to.equal(undefined);
    expect(whyNotToStart(101, 100)).to.match(/101 bytes long.*more than about 100: .*a folder in the place/);
  });

  it('of 40,000 bytes is refused on Linux, where ONNX Runtime would end the process, and wasm runs', async function () {
    if (process.platform !== 'linux') return this.skip();
    const source = `
      ${SMALL_MODEL}
      const refusal = await createSession(model).catch((error) => error);
      const { provider } = await createSession(model, { providers: ['cpu', 'wasm'] });
      console.log(JSON.stringify([refusal.code, refusal.message, provider]));
      process.exit();
    `;
    const said = await outputOf(source, ['x'.repeat(40_000)]);
    const [code, message, provider] = JSON.parse(said) as [string, string, string];
    expect([code, provider]).to.deep.equal(['PROVIDER_UNAVAILABLE', 'wasm']);
    expect(message).to.match(/command line of this process is 4\d,?\d+ bytes long/);
  }).timeout(60_000);
});
