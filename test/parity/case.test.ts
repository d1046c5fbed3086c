import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ParityError } from '../../lib/errors.js';
import { attempt, runAndCompare } from '../../lib/parity/check.js';
import type { Session } from '../../lib/runtime/core/contract.js';
import { disposableResults } from '../../lib/runtime/core/owned.js';
import { tensor, type TensorData } from '../../lib/tensor.js';

const float = (value: number): TensorData => tensor('float32', [1], Float32Array.of(value));
const integer = (value: bigint): TensorData => tensor('int64', [1], BigInt64Array.of(value));
const session = (outputs: Record<string, TensorData>, groupNorm?: Session['groupNorm']): Session => ({
  inputs: [],
  outputs: Object.entries(outputs).map(([name, { dtype, dims }]) => ({ name, dtype, shape: dims })),
  provider: 'cpu',
  fallbacks: [],
  groupNorm,
  layout: 'plain',
  layoutReason: undefined,
  run: () => Promise.resolve(disposableResults(outputs, [], () => undefined) as never),
  allocate: () => expect.fail('a check allocates nothing'),
  dispose: () => Promise.resolve(),
  [Symbol.asyncDispose]: () => Promise.resolve(),
});
const expecting = (outputs: Record<string, TensorData>) => ({
  inputs: new Map(),
  outputs: new Map(Object.entries(outputs)),
});

describe('running a parity case', () => {
  it('a case applies a given tolerance to floats only: integers must be equal', async () => {
    const actual = session({ y: float(1.5), n: integer(2n) });
    const { outputs } = await runAndCompare(actual, expecting({ y: float(1), n: integer(1n) }), { atol: 1 });
    expect(outputs.map(({ name, passed, atol }) => [name, passed, atol])).to.deep.equal([
      ['y', true, 1],
      ['n', false, 0],
    ]);
  });

  it('a case has distances from float64 only for outputs with truth', async () => {
    const truth = new Map([['y', tensor('float64', [1], Float64Array.of(1.25))]]);
    const run = (known?: typeof truth) =>
      runAndCompare(session({ y: float(1) }), expecting({ y: float(1) }), {}, known);
    expect((await run(truth)).outputs[0]!.distanceToTruth).to.equal(0.25);
    expect((await run()).outputs[0]).not.to.have.property('distanceToTruth');
  });

  it('a case says how GroupNormalization ran if the session says so', async () => {
    expect((await runAndCompare(session({}, 'kernel'), expecting({}), {})).groupNorm).to.equal('kernel');
    expect(await runAndCompare(session({}), expecting({}), {})).not.to.have.property('groupNorm');
  });

  it('a case fails if an expected output is missing', async () => {
    const result = await attempt(() =>
      runAndCompare(session({ z: float(1) }), expecting({ y: float(1) }), {}),
    );
    expect(result).to.deep.include({ passed: false, outputs: [] });
    expect(result.error).to.deep.include({ code: 'OUTPUT_MISSING' });
  });

  it('a case fails and keeps the reason, whatever was thrown', async () => {
    const thrown = { OUTPUT_SHAPE: new ParityError('OUTPUT_SHAPE', 'no'), INTERNAL: new Error('no') };
    for (const [code, error] of Object.entries(thrown)) {
      const result = await attempt(() => Promise.reject(error));
      expect(result).to.deep.equal({ passed: false, outputs: [], error: { code, message: 'no' } });
    }
  });
});
