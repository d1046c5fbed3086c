import { expect } from 'chai';
import { describe, it } from 'mocha';
import { outputOf, SMALL_MODEL } from '../../support/program.js';

/** Node's own name for it, and what the loader says on a system without glibc. */
const HOOKS = `
  export const resolve = (name, context, next) =>
    name === 'onnxruntime-node'
      ? { url: 'data:text/javascript,throw new Error("Error loading shared library ld-linux-x86-64.so.2")', shortCircuit: true }
      : next(name, context);
`;

describe('onnxruntime-node whose library cannot be loaded, as on Alpine', function () {
  this.timeout(60_000);

  it('createSession passes over onnxruntime-node, and blames it and not the model', async () => {
    const said = await outputOf(`
      import { register } from 'node:module';
      register('data:text/javascript,' + encodeURIComponent(${JSON.stringify(HOOKS)}));
      process.env.ONNX_GROUPNORM_ADDON = 'skip';
      ${SMALL_MODEL}
      const refusal = await createSession(model).catch((error) => error);
      const { provider, fallbacks } = await createSession(model, { providers: ['cpu', 'wasm'] });
      console.log(JSON.stringify([refusal.code, refusal.message, provider, fallbacks[0].reason]));
      process.exit();
    `);
    const [code, message, provider, reason] = JSON.parse(said) as [string, string, string, string];
    expect([code, provider]).to.deep.equal(['PROVIDER_UNAVAILABLE', 'wasm']);
    for (const text of [message, reason]) {
      expect(text).to.include('onnxruntime-node cannot be loaded: Error loading shared library ld-linux');
      expect(text).to.include("providers: ['wasm'] needs no native library");
    }
  });
});
