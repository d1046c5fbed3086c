/**
 * Misuse that the type checker refuses, as a run does. `npm run types` fails if the line below an `@ts-expect-error` has
 * no type error.
 */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  attr,
  createSession,
  encodeModel,
  getGraph,
  GraphBuilder,
  GRAPHS,
  initializeWeights,
  OnnxGroupNormError,
  writeModel,
  type Attribute,
  type EncodeOptions,
  type Graph,
  type GraphDefinition,
  type GraphName,
  type OutputType,
  type Provider,
} from '../lib/index.js';

const refuses = async (code: string, action: () => unknown) => {
  const error: unknown = await Promise.resolve()
    .then(action)
    .catch((caught: unknown) => caught);
  expect(error).to.be.instanceOf(OnnxGroupNormError).with.property('code', code);
};

describe('the types of the public API', () => {
  const graph: Graph = getGraph('group-norm').build({ numGroups: 2, numChannels: 4 });
  const weights = initializeWeights(graph);

  it('the types know the providers of a session', async () => {
    const model = encodeModel(graph, weights);
    // @ts-expect-error: misspelt.
    await refuses('UNKNOWN_PROVIDER', () => createSession(model, { providers: ['cudaa'] }));
    // @ts-expect-error: no list.
    await refuses('UNKNOWN_PROVIDER', () => createSession(model, { providers: 'cpu' }));
    const providers: readonly Provider[] = ['cpu'];
    await (await createSession(model, { providers })).dispose();
  });

  it('the types know the lowerings of a file and of a session', async () => {
    const encode = (options: EncodeOptions) => encodeModel(graph, weights, options);
    // @ts-expect-error: misspelt.
    await refuses('UNKNOWN_LOWERING', () => encode({ lowering: 'redcue-mean' }));
    // @ts-expect-error: for sessions only.
    await refuses('LOWERING_UNAVAILABLE', () => encode({ lowering: 'contrib-group-norm' }));
    // @ts-expect-error: misspelt.
    await refuses('UNKNOWN_LOWERING', () => writeModel('no.onnx', graph, weights, { lowering: 'redcue' }));
    const model = encode({ lowering: 'reduce-mean' });
    // @ts-expect-error: misspelt.
    await refuses('UNKNOWN_LOWERING', () => createSession(model, { groupNorm: 'redcue-mean' }));
  });

  it('the types know the options of a network by its name', async () => {
    const norm = getGraph('group-norm');
    // @ts-expect-error: misspelt.
    await refuses('UNKNOWN_OPTION', () => norm.build({ numGruops: 8, numChannels: 32 }));
    // @ts-expect-error: text.
    await refuses('INVALID_ATTRIBUTE', () => norm.build({ numGroups: 8, numChannels: '32' }));
    // @ts-expect-error: no boolean.
    await refuses('INVALID_ATTRIBUTE', () => norm.build({ numGroups: 8, numChannels: 32, affine: 1 }));
    // @ts-expect-error: numChannels has no default.
    await refuses('INVALID_ATTRIBUTE', () => norm.build({ numGroups: 8 }));
    // @ts-expect-error: neither has numGroups.
    await refuses('INVALID_ATTRIBUTE', () => norm.build());
    // @ts-expect-error: the option of another network.
    await refuses('UNKNOWN_OPTION', () => getGraph('unet').build({ numChannels: 3 }));
    // @ts-expect-error: it has none.
    await refuses('UNKNOWN_OPTION', () => getGraph('norm-comparison').build({ numGroups: 4 }));
    // @ts-expect-error: no dtype.
    await refuses('INVALID_DTYPE', () => getGraph('unet').build({}, { dtype: 'float23' }));
    expect(norm.build({ numGroups: 8, numChannels: 32, eps: undefined }).parameters).to.have.length(2);
    expect(getGraph('unet').build().name).to.equal('unet');
    expect(getGraph('unet').build({ width: 8 }, { dtype: 'float16' }).inputs[0]!.dtype).to.equal('float16');
    expect(norm.options.eps.default).to.equal(1e-5);
  });

  it('the types leave a network whose name only the run knows to the run', async () => {
    const name: string = 'group-norm';
    const definition: GraphDefinition = getGraph(name);
    await refuses('UNKNOWN_OPTION', () => definition.build({ numGruops: 8 }));
    await refuses('INVALID_ATTRIBUTE', () => definition.build());
    await refuses('UNKNOWN_GRAPH', () => getGraph('no such' as string));
    const known: GraphName = 'unet';
    expect(GRAPHS.get(known)).to.equal(getGraph(known));
    const options: Record<string, unknown> = { numGroups: 2, numChannels: 4 };
    expect(getGraph(name).build(options, { dtype: 'float64' }).inputs[0]!.dtype).to.equal('float64');
  });

  it('the types include what Scope.node takes', async () => {
    const g = new GraphBuilder('elu');
    const x = g.input('x', 'float32', ['N']);
    const alpha: Attribute = attr.float(0.5);
    const type: OutputType = { dtype: x.dtype, shape: x.shape };
    g.output('y', g.node('Elu', [x], { alpha }, [type])[0]!);
    // @ts-expect-error: a number is not an attribute.
    await refuses('INVALID_ATTRIBUTE', () => g.node('Elu', [x], { alpha: 0.5 }, [type]));
    // @ts-expect-error: text is not a number.
    expect(attr.float('0.5').type).to.equal('FLOAT');
    expect([attr.int(1), attr.string('a'), attr.ints([1]), attr.floats([0.5])]).to.deep.equal([
      { type: 'INT', value: 1 },
      { type: 'STRING', value: 'a' },
      { type: 'INTS', value: [1] },
      { type: 'FLOATS', value: [0.5] },
    ]);
  });
});
