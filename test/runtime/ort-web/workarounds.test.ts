import { tmpdir } from 'node:os';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { explainMemory, withNamelessDims } from '../../../lib/runtime/ort-web/workarounds.js';
import { runProgram } from '../../support/program.js';

describe('runtime/ort-web/workarounds', () => {
  it("withNamelessDims takes onnxruntime-web's largest size for a dimension without a name", () => {
    const metadata = { isTensor: true, name: 'x', type: 'float32', shape: [2 ** 32 - 1, 3, 'H'] } as const;
    expect(withNamelessDims(metadata)).to.have.deep.property('shape', ['', 3, 'H']);
  });

  it('inputs that find no room in the memory of WebAssembly are refused, and overwrite nothing', async function () {
    this.timeout(60_000);
    const { stdout } = await runProgram(new URL('programs.ts', import.meta.url), 'fillMemory', {
      cwd: tmpdir(),
      timeout: 50_000,
      killSignal: 'SIGKILL',
    });
    const [[code, message], small] = JSON.parse(stdout) as [[string, string], number[]];
    expect([code, small]).to.deep.equal(['OUT_OF_MEMORY', [2, 4]]);
    expect(message).to.include('failed to allocate 4286578688 bytes for the inputs').and.not.include('spent');
  });

  it('after an abort of WebAssembly, its sessions say so and can be disposed of, and another provider takes over', async () => {
    const { stdout } = await runProgram(new URL('programs.ts', import.meta.url), 'divideByZero');
    const { divide, otherRun, load, dispose, next } = JSON.parse(stdout) as Record<string, string>;
    const remedy = 'a new worker or process has a fresh one';
    expect(divide)
      .to.match(/^RUN_FAILED: .*divide by zero/)
      .and.include(remedy);
    for (const later of [otherRun, load])
      expect(later)
        .to.match(/^PROVIDER_UNAVAILABLE: .*\(divide by zero\)/)
        .and.include(remedy);
    expect(dispose).to.equal('done');
    expect(next).to.be.oneOf(['native', 'cpu']);
  });

  it('explainMemory says after a failed allocation that the memory is spent, in every later error about memory', () => {
    const full = new Error('failed to allocate 9 bytes');
    const other = new Error('no kernel');
    expect(explainMemory(full)).to.equal(full);
    const spent = explainMemory(new Error('std::bad_alloc'));
    expect(spent)
      .to.have.property('message')
      .that.matches(/^std::bad_alloc\. The memory .* is spent/);
    expect(explainMemory(full)).to.have.property('message').that.includes('a new worker or process');
    expect(explainMemory(other)).to.equal(other);
  });
});
