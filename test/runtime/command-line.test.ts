import { expect } from 'chai';
import { describe, it } from 'mocha';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { whyNotToStart } from '../../lib/runtime/command-line.js';
import { moduleUrl } from '../support/program.js';

describe('runtime/command-line', () => {
  it('names the length and the way out, beyond what is safe', () => {
    expect(whyNotToStart(100, 100)).to.equal(undefined);
    expect(whyNotToStart(101, 100)).to.match(/101 bytes long.*more than about 100: .*a folder in the place/);
  });

  it('of 40,000 bytes is refused where ONNX Runtime would end the process, and wasm runs', async function () {
    if (process.platform !== 'linux') return this.skip();
    const source = `
      const { createSession } = await import(${moduleUrl('../../lib/index.ts')});
      const { groupNormModel, randomTensor } = await import(${moduleUrl('group-norm.ts')});
      const model = groupNormModel(
        { x: randomTensor('float32', [2, 8, 6, 5]), numGroups: 4, eps: 1e-5 },
        { lowering: 'op', opset: 21 },
      );
      const refusal = await createSession(model).catch((error) => error);
      const { provider } = await createSession(model, { providers: ['cpu', 'wasm'] });
      console.log(JSON.stringify([refusal.code, refusal.message, provider]));
      process.exit();
    `;
    const args = ['--import', 'tsx', '--input-type=module', '--eval', source, 'x'.repeat(40_000)];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    const [code, message, provider] = JSON.parse(stdout) as [string, string, string];
    expect([code, provider]).to.deep.equal(['PROVIDER_UNAVAILABLE', 'wasm']);
    expect(message).to.match(/command line of this process is 4\d,?\d+ bytes long/);
  }).timeout(60_000);
});
