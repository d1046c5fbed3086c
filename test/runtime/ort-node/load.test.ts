import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { otherVersionProblem } from '../../../lib/runtime/ort-node/load.js';
import { temporaryFolder } from '../../support/temporary.js';

describe('runtime/ort-node/load', () => {
  const at = temporaryFolder();

  /** glibc's message, when the package of 1.30.0 finds the library of another version. */
  function messageWith(version: string): string {
    const library = at('onnxruntime-node', 'bin', 'libonnxruntime.so.1');
    mkdirSync(dirname(library), { recursive: true });
    writeFileSync(at('onnxruntime-node', 'package.json'), JSON.stringify({ version }));
    return `${library}: version \`VERS_1.30.0' not found (required by /app/onnxruntime_binding.node)`;
  }

  it('otherVersionProblem names both versions, and the overrides that make this package take the loaded version', () => {
    const { reason, remedy } = otherVersionProblem(messageWith('1.24.3'))!;
    expect(reason).to.match(
      /^onnxruntime-node 1\.30\.0 cannot be loaded, .* has loaded version 1\.24\.3 of it/,
    );
    expect(reason).to.include(at('onnxruntime-node'));
    expect(remedy).to.include('"overrides": { "onnx-groupnorm": { "onnxruntime-node": "1.24.3" } }');
  });

  it('otherVersionProblem advises the newer version for all, where the loaded version is too old for sessions', () => {
    expect(otherVersionProblem(messageWith('1.19.2'))!.remedy).to.include(
      '"overrides": { "onnxruntime-node": "1.30.0", "onnxruntime-common": "1.30.0" }',
    );
  });

  it('otherVersionProblem leaves other errors of the loader alone', () => {
    expect(otherVersionProblem('libstdc++.so.6: cannot open shared object file')).to.equal(undefined);
    expect(otherVersionProblem("/lib/libc.so.6: version `GLIBC_2.38' not found")).to.equal(undefined);
  });
});
