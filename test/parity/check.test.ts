import { expect } from 'chai';
import { describe, it } from 'mocha';
import { declareInputs } from '../../graphs/shared/input.js';
import { getGraph } from '../../graphs/registry.js';
import { GraphBuilder } from '../../lib/graph/builder.js';
import * as op from '../../lib/graph/ops/index.js';
import type { BuildGraph } from '../../lib/parity/check.js';
import type { Fixture } from '../../lib/parity/fixture.js';
import { checkFixture } from '../../lib/parity/node.js';
import { describeFailure, makeReport, reportToJson } from '../../lib/parity/report.js';
import { tensor, type TensorData } from '../../lib/tensor.js';
import { randomTensor, referenceGroupNorm } from '../support/group-norm.js';

const SPEC = { lowering: 'reduce-mean', opset: 21, provider: 'cpu' } as const;
const build: BuildGraph = (name, options, input) => getGraph(name).build(options, input);

function makeFixture(change: Partial<Fixture> = {}): Fixture {
  const x = randomTensor('float32', [2, 8, 3, 3]);
  const y = referenceGroupNorm({ x, numGroups: 2, eps: 1e-5 });
  return {
    file: 'case.safetensors',
    graph: 'group-norm',
    options: { numGroups: 2, numChannels: 8, affine: false },
    framework: 'float64',
    description: '',
    rtol: undefined,
    atol: undefined,
    inputs: new Map([['x', x]]),
    stateDict: new Map(),
    weightsSeed: undefined,
    outputs: new Map([['y', tensor('float32', x.dims, Float32Array.from(y))]]),
    truth: new Map([['y', tensor('float64', x.dims, y)]]),
    activations: new Map(),
    ...change,
  };
}

/** The same fixture with one element of the output moved by `amount`. */
function moved(amount: number): Fixture {
  const fixture = makeFixture();
  const { dims, data } = fixture.outputs.get('y')!;
  const values = Float32Array.from(data as Float32Array);
  values[17]! += amount;
  return { ...fixture, outputs: new Map([['y', tensor('float32', dims, values)]]) };
}

describe('checkFixture', () => {
  it('a fixture passes with the right output, and the result has its distance from float64', async () => {
    const result = await checkFixture(makeFixture(), SPEC, build);
    expect(result).to.include({
      passed: true,
      lowering: 'reduce-mean',
      opset: 21,
      provider: 'cpu',
      file: 'case.safetensors',
    });
    expect(result.outputs[0]).to.include({ name: 'y', mismatched: 0, elements: 144 });
    expect(result.outputs[0]!.distanceToTruth).to.be.below(1e-6);
  });

  it('a fixture has a tensor for every input of its graph', async () => {
    const { inputs } = makeFixture();
    const result = await checkFixture(
      makeFixture({ inputs: new Map([['input', inputs.get('x')!]]) }),
      SPEC,
      build,
    );
    expect(result.error?.message).to.include(
      "case.safetensors has no 'input.x', an input of graph 'group-norm'; it has 'input.input'",
    );
  });

  it('a fixture of several inputs runs with the shapes that the graph gives them, and with sizes', async () => {
    const inputs = new Map<string, TensorData>([
      ['a', tensor('float32', [1, 3], Float32Array.of(1, 2, 3))],
      ['t', tensor('int64', [1], BigInt64Array.of(4n))],
    ]);
    const outputs = new Map([['y', tensor('float32', [1, 3], Float32Array.of(5, 6, 7))]]);
    const shapes: unknown[] = [];
    const sum: BuildGraph = (_, __, { dtype, shape }) => {
      const g = new GraphBuilder('sum');
      const { a, t } = declareInputs(
        g,
        { dtype, shape },
        { a: { layout: ['N', 3] }, t: { layout: ['N'], dtype: 'int64' } },
      );
      shapes.push(a.shape, t.shape);
      g.output('y', op.add(g, a, op.cast(g, t, dtype)));
      return g.build();
    };
    for (const staticShapes of [false, true]) {
      const result = await checkFixture(
        makeFixture({ inputs, outputs, truth: new Map() }),
        { ...SPEC, staticShapes },
        sum,
      );
      expect(result).to.include({ passed: true });
    }
    expect(shapes).to.deep.equal([['N', 3], ['N'], [1, 3], [1]]);
  });

  it('a fixture fails if a single element is off by a little more than the tolerance', async () => {
    const result = await checkFixture(moved(3e-5), SPEC, build);
    expect(result).to.include({ passed: false });
    expect(result.outputs[0]).to.deep.include({ mismatched: 1, worstIndex: [0, 1, 2, 2] });
    expect(describeFailure(result))
      .to.include('1 of 144 elements are beyond the tolerance')
      .and.include('[0, 1, 2, 2]');
  });

  it('a failure message writes tolerances as PyTorch does, and names NaN and infinity', async () => {
    const failure = async (amount: number) => describeFailure(await checkFixture(moved(amount), SPEC, build));
    expect(await failure(1))
      .to.include('1.0e+0 absolute')
      .and.include('(allowed: atol 1e-5, rtol 1.3e-6)');
    expect(await failure(NaN))
      .to.include('one value is NaN and the other is not')
      .and.not.include('Infinity');
    expect(await failure(Infinity)).to.include('one value is infinite and the other differs');
  });

  it('the caller’s tolerance comes before the fixture’s, and the fixture’s before the default', async () => {
    expect(await checkFixture({ ...moved(3e-5), atol: 1e-4 }, SPEC, build)).to.include({ passed: true });
    expect(await checkFixture({ ...moved(3e-5), atol: 1e-4 }, { ...SPEC, atol: 1e-6 }, build)).to.include({
      passed: false,
    });
  });

  const failures: [what: string, fixture: () => Fixture, code: string, word: string][] = [
    [
      'its graph is unknown',
      () => makeFixture({ graph: 'grup-norm' }),
      'UNKNOWN_GRAPH',
      "did you mean 'group-norm'?",
    ],
    [
      'an option is missing',
      () => makeFixture({ options: { numChannels: 8 } }),
      'INVALID_ATTRIBUTE',
      "'numGroups' must be given",
    ],
    [
      'groups do not divide the channels',
      () => makeFixture({ options: { numChannels: 8, numGroups: 3, affine: false } }),
      'NUM_GROUPS_MISMATCH',
      'not divisible',
    ],
    [
      'a weight is missing',
      () => makeFixture({ options: { numChannels: 8, numGroups: 2 } }),
      'STATE_DICT_MISMATCH',
      "missing 'weight'",
    ],
    [
      'an output is not the graph’s',
      () => makeFixture({ outputs: new Map([['z', randomTensor('float32', [1])]]) }),
      'OUTPUT_MISSING',
      "'z'",
    ],
    [
      'an output has another shape',
      () => makeFixture({ outputs: new Map([['y', randomTensor('float32', [2, 8, 9])]]) }),
      'OUTPUT_SHAPE',
      '[2, 8, 9]',
    ],
  ];
  for (const [what, fixture, code, word] of failures) {
    it(`a fixture counts as failed if ${what}`, async () => {
      const result = await checkFixture(fixture(), SPEC, build);
      expect(result.passed).to.equal(false);
      expect(result.error?.code).to.equal(code);
      expect(describeFailure(result)).to.include(word);
      expect(makeReport([result])).to.include({ passed: 0, failed: 1 });
    });
  }
});

describe('reportToJson', () => {
  it('the JSON report has the documented fields', async () => {
    const report = makeReport([
      await checkFixture(makeFixture(), SPEC, build),
      await checkFixture(moved(1), SPEC, build),
    ]);
    const json = JSON.parse(reportToJson(report)) as { cases: Record<string, unknown>[] };
    expect(json).to.include({ passed: 1, failed: 1 });
    expect(json.cases[0]).to.include.keys(
      'file',
      'graph',
      'lowering',
      'opset',
      'provider',
      'passed',
      'outputs',
    );
    expect((json.cases[0]!.outputs as object[])[0]).to.include.keys(
      ...['name', 'maxAbs', 'maxRel', 'maxUlp', 'worstIndex', 'mismatched', 'elements'],
      ...['distanceToTruth', 'referenceDistanceToTruth'],
    );
  });
});
