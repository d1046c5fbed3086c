import { expect } from 'chai';
import { describe, it } from 'mocha';
import { runProgram } from '../../support/program.js';

describe('onnxruntime-node whose library cannot be loaded, as on Alpine', function () {
  this.timeout(60_000);

  it('createSession passes over onnxruntime-node, and blames it and not the model', async () => {
    const { stdout } = await runProgram(new URL('programs.ts', import.meta.url), 'createWithoutLibrary', {
      env: { ONNX_GROUPNORM_ADDON: 'skip' },
    });
    const [code, message, provider, reason] = JSON.parse(stdout) as [string, string, string, string];
    expect([code, provider]).to.deep.equal(['PROVIDER_UNAVAILABLE', 'wasm']);
    for (const text of [message, reason]) {
      expect(text).to.include('onnxruntime-node cannot be loaded: Error loading shared library ld-linux');
      expect(text).to.include("providers: ['wasm'] needs no native library");
    }
  });
});
