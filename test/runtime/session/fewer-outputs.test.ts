/** Runs that ask for some of the outputs. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { unlink, writeFile } from 'node:fs/promises';
import { Model } from '../../../lib/onnx/model.js';
import { keepOutputs } from '../../../lib/rewrite/analysis/dead-code.js';
import type { Session, SessionOptions } from '../../../lib/runtime/core/contract.js';
import { createSession } from '../../../lib/runtime/node.js';
import { tensor } from '../../../lib/tensor.js';
import { NATIVE_REASON } from '../../support/native.js';
import { runProgram } from '../../support/program.js';
import { rejection, temporaryFolder } from '../../support/temporary.js';
import { TWO_HEADS_FEEDS as FEEDS, twoHeads } from '../../support/two-heads.js';

const BACKENDS: Record<string, SessionOptions> = {
  ...(NATIVE_REASON === undefined && { native: { providers: ['native'] } }),
  'onnxruntime-node': { providers: ['cpu'], groupNorm: 'reduce-mean' },
  'onnxruntime-web': { providers: ['wasm'] },
};

const EXPECTED = { sum: [3, 4], product: [6, 9], call: [-2, -3], branch: [2, 3] };

async function outputsOf(
  session: Session,
  fetches: readonly string[],
  feeds = {},
): Promise<Record<string, number[]>> {
  const results = await session.run({ ...FEEDS, ...feeds }, { fetches });
  return Object.fromEntries(
    Object.entries(results).map(([name, { data }]) => [name, [...(data as Float32Array)]]),
  );
}

/** Fails because `chosen`, which cannot be computed, is not computed. */
async function requireComputesAll(session: Session, fetches?: readonly string[]): Promise<void> {
  const error = await rejection(session.run(FEEDS, { fetches }));
  expect(error).to.have.property('code', 'RUN_FAILED');
}

for (const [backend, options] of Object.entries(BACKENDS)) {
  describe(`runs with fetches on ${backend}`, () => {
    it('run computes only what the outputs of fetches need', async () => {
      await using session = await createSession(twoHeads(), options);
      await requireComputesAll(session);
      for (const [name, expected] of Object.entries(EXPECTED)) {
        expect(await outputsOf(session, [name])).to.deep.equal({ [name]: expected });
        expect(await outputsOf(session, [name])).to.deep.equal({ [name]: expected });
      }
      await requireComputesAll(session, ['chosen']);
      await requireComputesAll(session);
      const { chosen } = await session.run({ ...FEEDS, index: tensor('int64', [1], BigInt64Array.of(1n)) });
      expect([...(chosen!.data as Float32Array)]).to.deep.equal([2]);
    });

    it('run takes optional inputs and given outputs together with fetches', async () => {
      await using session = await createSession(twoHeads(), options);
      const one = tensor('float32', [1], Float32Array.of(10));
      expect(await outputsOf(session, ['product', 'sum'], { one })).to.deep.equal({
        product: [33, 36],
        sum: [12, 13],
      });
      const sum = session.allocate('float32', [2]);
      await session.run(FEEDS, { fetches: ['sum'], outputs: { sum } });
      expect([...sum.data]).to.deep.equal(EXPECTED.sum);
    });

    it('first runs with fetches may be under way at once while the caller changes the inputs, and dispose waits for them', async () => {
      const session = await createSession(twoHeads(), options);
      const x = tensor('float32', [2], Float32Array.of(1, 2));
      const runs = [['sum'], ['sum'], ['product'], ['product', 'sum']].map((fetches) =>
        outputsOf(session, fetches, { x }),
      );
      x.data.fill(0);
      await session.dispose();
      const { sum, product } = EXPECTED;
      expect(await Promise.all(runs)).to.deep.equal([{ sum }, { sum }, { product }, { product, sum }]);
    });

    it('run computes all outputs for the fifth set of outputs and further ones, which bounds the memory', async () => {
      await using session = await createSession(twoHeads(), options);
      for (const name of Object.keys(EXPECTED)) await outputsOf(session, [name]);
      await requireComputesAll(session, ['sum', 'product']);
      expect(await outputsOf(session, ['sum'])).to.deep.equal({ sum: EXPECTED.sum });
    });
  });
}

describe('runs with fetches of a model in a file', () => {
  const path = temporaryFolder();

  it('run reads the file again, from wherever the process is', async () => {
    await writeFile(path('m.onnx'), twoHeads());
    await using session = await createSession(path('m.onnx'));
    expect(await outputsOf(session, ['sum'])).to.deep.equal({ sum: EXPECTED.sum });
  });

  it('a session of a file does not keep the bytes for such runs', async () => {
    const programs = new URL('programs.ts', import.meta.url);
    const options = { flags: ['--expose-gc'], args: [path('large.onnx')] };
    const { stdout } = await runProgram(programs, 'printWhatIsKeptOfFile', options);
    expect(stdout.trim()).to.equal('freed');
  }).timeout(60_000);

  it('run computes all outputs of the loaded model if the file has changed or is gone', async () => {
    for (const change of [
      (file: string) => writeFile(file, 'another model'),
      (file: string) => unlink(file),
    ]) {
      await writeFile(path('m.onnx'), twoHeads());
      await using session = await createSession(path('m.onnx'));
      await change(path('m.onnx'));
      await requireComputesAll(session, ['sum']);
      const index = tensor('int64', [1], BigInt64Array.of(0n));
      expect(await outputsOf(session, ['sum'], { index })).to.deep.equal({ sum: EXPECTED.sum });
    }
  });
});

describe('rewrite/analysis/dead-code: keepOutputs', () => {
  it('keepOutputs keeps the nodes and weights that the outputs need, and every input', () => {
    const kept = (...names: string[]) => {
      const model = Model.decode(twoHeads());
      expect(keepOutputs(model, new Set(names))).to.equal(true);
      const again = Model.decode(model.encode());
      expect(again.inputNames).to.deep.equal(['x', 'index', 'yes']);
      expect(again.outputNames).to.deep.equal(names);
      return [
        again.nodes.map(({ opType }) => opType),
        ['one', 'other', 'three'].filter((name) => again.names().has(name)),
      ];
    };
    expect(kept('sum')).to.deep.equal([
      ['Add', 'Add'],
      ['one', 'other'],
    ]);
    expect(kept('branch')).to.deep.equal([['Add', 'If'], ['one']]);
    expect(kept('product', 'call')).to.deep.equal([
      ['Add', 'Mul', 'Negate'],
      ['one', 'three'],
    ]);
  });
});
