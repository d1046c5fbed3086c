import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { explainMemory, withNamelessDims } from '../../../lib/runtime/ort-web/workarounds.js';

const url = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);

/**
 * Runs two inputs, and the module has room for one of them. Both are the same zeros, whose pages stay untouched unless
 * the second input is copied to address 0. It is a program of its own because it may then never end.
 */
const PROGRAM = `(async () => {
  const { createSession, encodeModel, GraphBuilder, op } = await import(${url('../../../lib/index.ts')});
  const g = new GraphBuilder('sum');
  g.output('y', op.add(g, g.input('a', 'float32', ['N']), g.input('b', 'float32', ['N'])));
  const session = await createSession(encodeModel(g.build(), new Map()), { providers: ['wasm'] });
  const run = async (data) => {
    const x = { dtype: 'float32', dims: [data.length], data };
    return session.run({ a: x, b: x }).then(({ y }) => [...y.data], ({ code, message }) => [code, message]);
  };
  console.log(JSON.stringify([await run(new Float32Array(2 ** 29 - 2 ** 20)), await run(Float32Array.of(1, 2))]));
})();`;

describe('runtime/ort-web/workarounds', () => {
  it("withNamelessDims takes onnxruntime-web's largest size for a dimension without a name", () => {
    const metadata = { isTensor: true, name: 'x', type: 'float32', shape: [2 ** 32 - 1, 3, 'H'] } as const;
    expect(withNamelessDims(metadata)).to.have.deep.property('shape', ['', 3, 'H']);
  });

  it('inputs that find no room in the memory of WebAssembly are refused, and overwrite nothing', async function () {
    this.timeout(60_000);
    const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
    const options = { cwd: tmpdir(), timeout: 50_000, killSignal: 'SIGKILL' } as const;
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--import', loader, '-e', PROGRAM],
      options,
    );
    const [[code, message], small] = JSON.parse(stdout) as [[string, string], number[]];
    expect([code, small]).to.deep.equal(['OUT_OF_MEMORY', [2, 4]]);
    expect(message).to.include('failed to allocate 4286578688 bytes for the inputs').and.not.include('spent');
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
