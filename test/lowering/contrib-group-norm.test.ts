import { basename } from 'node:path';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { getGraph } from '../../graphs/registry.js';
import { GraphError, SessionError } from '../../lib/errors.js';
import { GraphBuilder } from '../../lib/graph/builder.js';
import * as op from '../../lib/graph/ops/index.js';
import { getLowering, getSessionLowering } from '../../lib/lowering/choose.js';
import { whyNotContrib } from '../../lib/lowering/contrib-group-norm.js';
import type { Fragment } from '../../lib/lowering/lower.js';
import { encodeModel } from '../../lib/onnx/encode.js';
import { Model } from '../../lib/onnx/model.js';
import type { ModelNode } from '../../lib/onnx/graph/node.js';
import { weightsOf } from '../../lib/parity/check.js';
import { compareTensors, defaultTolerance } from '../../lib/parity/compare.js';
import type { Fixture } from '../../lib/parity/fixture.js';
import { readFixture } from '../../lib/parity/node.js';
import { prepareModel } from '../../lib/runtime/model/prepare.js';
import { createSession } from '../../lib/runtime/node.js';
import { loadOnNode } from '../../lib/runtime/ort-node/model.js';
import { tensor, type TensorData } from '../../lib/tensor.js';
import { initializeWeights } from '../../lib/weights/initialize.js';
import { parityFixtures } from '../support/fixtures.js';
import { groupNormModel, randomTensor } from '../support/group-norm.js';
import { modelToLoad } from '../support/model-to-load.js';

const NAME = 'contrib-group-norm';
const CUDA = { provider: 'cuda', hasGroupNormKernel: false, takesBfloat16: false } as const;
const CASE = { x: randomTensor('float32', [2, 8, 6, 5]), numGroups: 4, eps: 1e-5 };

/** The committed cases that the kernel takes. */
const FITTING = (await Promise.all(parityFixtures('group-norm').map(readFixture)))
  .map((fixture) => ({
    fixture,
    x: fixture.inputs.get('x')!,
    numGroups: fixture.options['numGroups'] as number,
  }))
  .filter(
    ({ x, numGroups }) => whyNotContrib({ x: { dtype: x.dtype, shape: x.dims }, numGroups }) === undefined,
  );

/** As a session on cuda hands it to ONNX Runtime. */
const prepared = (model: Uint8Array): Uint8Array => prepareModel(model, 'model', undefined, NAME, CUDA).bytes;
const isContrib = ({ domain, opType }: ModelNode): boolean =>
  domain === 'com.microsoft' && opType === 'GroupNorm';

const failure = async (action: Promise<unknown>): Promise<Error & { code: string }> => {
  const error: unknown = await action.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  expect(error).to.be.instanceOf(Error);
  return error as Error & { code: string };
};

describe('lowering/contrib-group-norm', () => {
  it('contrib-group-norm takes what the kernel takes, and says why it refuses other nodes', () => {
    const reason = (dtype: 'float32', shape: (number | string)[], numGroups = 4) =>
      whyNotContrib({ x: { dtype, shape }, numGroups });
    expect(reason('float32', ['N', 8, 'H', 'W'])).to.be.undefined;
    expect(reason('float16' as 'float32', [1, 2048, 4, 4])).to.be.undefined;
    expect(reason('float64' as 'float32', [1, 8, 4, 4])).to.include('not float64');
    expect(reason('float32', [1, 8, 4])).to.include('not [1, 8, 4]');
    expect(reason('float32', [1, 12, 4, 4])).to.include('not 3');
    expect(reason('float32', [1, 4 * 514, 4, 4])).to.include('not 514');
  });

  it('contrib-group-norm is for sessions and not for files', () => {
    expect(getSessionLowering(NAME, 13).name).to.equal(NAME);
    expect(() => getLowering(NAME, 21)).to.throw(GraphError, 'is for sessions').with.property('code', 'LOWERING_UNAVAILABLE'); // prettier-ignore
    const graph = getGraph('group-norm').build({ numGroups: 4, numChannels: 8 });
    expect(() => encodeModel(graph, initializeWeights(graph), { lowering: NAME as never })).to.throw(
      'is for sessions',
    );
  });

  it('contrib-group-norm is refused by providers without its kernel, with the name of a lowering that runs everywhere', async () => {
    const model = groupNormModel(CASE, { lowering: 'op', opset: 21 });
    for (const provider of ['cpu', 'wasm'] as const) {
      const error = await failure(createSession(model, { providers: [provider], groupNorm: NAME }));
      expect(error).to.be.instanceOf(SessionError).with.property('code', 'PROVIDER_UNAVAILABLE');
      expect(error.message)
        .to.include(`on cuda, but not on ${provider}`)
        .and.include("groupNorm: 'reduce-mean'");
    }
  });

  it('contrib-group-norm refuses a node that the kernel cannot run, and names the node', () => {
    const odd = { ...CASE, x: randomTensor('float32', [2, 9, 6, 5]), numGroups: 3 };
    expect(() => prepared(groupNormModel(odd, { lowering: 'op', opset: 21 })))
      .to.throw(
        SessionError,
        /com\.microsoft\.GroupNorm.*an even number of at most 512 channels per group, not 3/,
      )
      .with.property('code', 'MODEL_REJECTED');
  });

  it("contrib-group-norm passes ONNX Runtime's check of the operator, which then lacks only a kernel", async () => {
    for (const dtype of ['float32', 'float16'] as const) {
      const model = groupNormModel(
        { ...CASE, x: randomTensor(dtype, [2, 8, 6, 5]) },
        { lowering: 'op', opset: 21 },
      );
      expect(
        (await failure(loadOnNode('cpu', modelToLoad(prepared(model)), undefined, {}))).message,
      ).to.include('Could not find an implementation for GroupNorm(1)');
    }
    // The check does find what is wrong: the operator has to have its groups.
    const broken = Model.decode(prepared(groupNormModel(CASE, { lowering: 'op', opset: 21 })));
    broken.replaceNodes((node) => (isContrib(node) ? withoutAttributes(node) : undefined));
    const { message } = await failure(loadOnNode('cpu', modelToLoad(broken.encode()), undefined, {}));
    expect(message)
      .to.include('This is an invalid model')
      .and.not.include('Could not find an implementation');
  });

  it("the test of contrib-group-norm covers more than 80 of PyTorch's cases", () =>
    expect(FITTING).to.have.length.above(80));

  it('importDomain imports a domain once, also into a model that has the import', () => {
    const model = Model.decode(groupNormModel(CASE, { lowering: 'op', opset: 21 }));
    model.importDomain('com.microsoft', 1);
    const importing = model.encode();
    const again = Model.decode(importing);
    again.importDomain('com.microsoft', 1);
    expect(again.encode()).to.deep.equal(importing);
  });

  describe('with the kernel replaced by its formula in plain operators, E[x²] − E[x]² in float32', () => {
    for (const { fixture, x, numGroups } of FITTING) {
      it(`contrib-group-norm as its formula gives what PyTorch gives: ${basename(fixture.file, '.safetensors')}`, async () => {
        const y = await runSubstituted(fixture, x, numGroups);
        const expected = fixture.outputs.get('y')!;
        const tolerance = defaultTolerance(expected.dtype);
        const { passed, maxAbs } = compareTensors('y', y, expected, {
          rtol: fixture.rtol ?? tolerance.rtol,
          atol: fixture.atol ?? tolerance.atol,
        });
        expect(passed, `off by ${maxAbs}`).to.be.true;
      });
    }
  });
});

const withoutAttributes = ({ inputs, outputs }: ModelNode): Fragment => {
  const g = new GraphBuilder('broken');
  const [y] = g.node('GroupNorm', inputs.map((name) => g.input(name, 'float32', [1])), {}, [{ dtype: 'float32', shape: [1] }]); // prettier-ignore
  g.output(outputs[0]!, y!);
  return { nodes: g.build().nodes.map((node) => ({ ...node, domain: 'com.microsoft' })), constants: [] };
};

async function runSubstituted(fixture: Fixture, x: TensorData, numGroups: number): Promise<TensorData> {
  const graph = getGraph(fixture.graph).build(fixture.options, { dtype: x.dtype, shape: x.dims });
  const model = Model.decode(prepared(encodeModel(graph, weightsOf(fixture, graph), { opset: 21 })));
  expect(model.nodes.filter(isContrib)).to.have.length(1);
  model.replaceNodes((node) => (isContrib(node) ? formula(model, node, x.dims, numGroups) : undefined));
  const session = await createSession(model.encode(), { providers: ['cpu'], groupNorm: 'op' });
  try {
    return (await session.run({ x })).y!;
  } finally {
    await session.dispose();
  }
}

/** What the kernel computes, channels last. */
function formula(model: Model, node: ModelNode, dims: readonly number[], numGroups: number): Fragment {
  const [n, c, h, w] = dims as [number, number, number, number];
  const g = new GraphBuilder('formula', model.names());
  const [x, gamma, beta] = node.inputs.map((name, index) =>
    g.input(name, 'float32', index === 0 ? [n, h, w, c] : [c]),
  );
  expect([node.number('groups'), node.number('channels_last'), node.number('activation')]).to.deep.equal([numGroups, 1, 0]); // prettier-ignore
  const rows = op.reshape(g, x!, [n, h * w, numGroups, c / numGroups]);
  const mean = op.reduceMean(g, rows, { axes: [1, 3] });
  const squares = op.reduceMean(g, op.mul(g, rows, rows), { axes: [1, 3] });
  const variance = op.sub(g, squares, op.mul(g, mean, mean));
  const epsilon = g.constant(tensor('float32', [1], Float32Array.of(node.number('epsilon')!)));
  const normalized = op.div(g, op.sub(g, rows, mean), op.sqrt(g, op.add(g, variance, epsilon)));
  const y = op.reshape(g, normalized, [n, h, w, c]);
  g.output(node.outputs[0]!, op.add(g, op.mul(g, y, gamma!), beta!));
  const { nodes, constants } = g.build();
  return { nodes, constants };
}
