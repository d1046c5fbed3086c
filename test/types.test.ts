/**
 * Misuse that the type checker refuses, as a run does. `npm run types` fails if the line below an `@ts-expect-error` has
 * no type error.
 */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  attr,
  castTensor,
  createSession,
  type ElementArray,
  encodeModel,
  getGraph,
  GraphBuilder,
  GRAPHS,
  initializeWeights,
  OnnxGroupNormError,
  tensor,
  TensorError,
  toFloat64Array,
  writeModel,
  type AnyTensor,
  type Attribute,
  type DType,
  type EncodeOptions,
  type Feeds,
  type FloatDType,
  type Graph,
  type GraphDefinition,
  type GraphName,
  type HalfArray,
  type OutputType,
  type Provider,
  type StringTensor,
  type TensorData,
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

  it('the types know the array of a tensor by its dtype', () => {
    const made = tensor('float32', [1], Float32Array.of(1));
    made.data satisfies Float32Array;
    castTensor(made, 'float64').data satisfies Float64Array;
    castTensor(made, 'bfloat16').data satisfies Uint16Array;
    tensor('int64', [], BigInt64Array.of(1n)).data satisfies BigInt64Array;
    tensor('bool', [1], Uint8Array.of(1)).data satisfies Uint8Array;
    tensor('string', [1], ['a']).data satisfies readonly string[];
    // @ts-expect-error: the elements are float32.
    made.data satisfies Float64Array;
    // @ts-expect-error: a tensor of another dtype.
    made satisfies TensorData<'float64'>;
    made satisfies TensorData<FloatDType> satisfies TensorData satisfies AnyTensor;
    // @ts-expect-error: an array of another dtype.
    expect(() => tensor('float32', [1], Float64Array.of(1))).to.throw(TensorError, 'as Float32Array');
    // @ts-expect-error: bigints are of int64 and uint64.
    expect(() => tensor('int32', [1], BigInt64Array.of(1n))).to.throw(TensorError, 'as Int32Array');
    // @ts-expect-error: misspelt.
    expect(() => tensor('flaot32', [1], Float32Array.of(1))).to.throw(TensorError, 'unknown dtype');
    // @ts-expect-error: sizes, not names.
    expect(() => tensor('float32', ['N'], Float32Array.of(1))).to.throw(TensorError, 'integers');
    // @ts-expect-error: dtype and data contradict each other.
    const byHand: TensorData = { dtype: 'int8', dims: [1], data: Uint8Array.of(1) };
    expect(() => toFloat64Array(byHand)).to.throw(TensorError, 'as Int8Array');
  });

  it('the types hold the 16 bits of float16, and take a Float16Array where a caller gives the data', () => {
    const half = (data: HalfArray) => tensor('float16', [1], data).data satisfies Uint16Array;
    const feed = (data: HalfArray): Feeds => ({ x: { dtype: 'float16', dims: [1], data } });
    // @ts-expect-error: a Float16Array is of float16 alone.
    const other = (data: HalfArray) => tensor('bfloat16', [1], data);
    expect([half, feed, other]).to.have.length(3);
  });

  it('the types take a dtype that only the run knows, and narrow the data behind a comparison', () => {
    const make = (dtype: DType, data: ElementArray): TensorData => tensor(dtype, [data.length], data);
    const generic = <D extends DType>(value: TensorData<D>): Float64Array => toFloat64Array(value);
    const first = (value: AnyTensor): number | bigint | string | undefined => {
      if (value.dtype === 'string') return value.data[0] satisfies string | undefined;
      if (value.dtype === 'float32') return (value.data satisfies Float32Array)[0];
      return 0;
    };
    const { dtype, data } = make('int64', BigInt64Array.of(3n));
    if (dtype !== 'int64') throw new Error('of another dtype');
    data satisfies BigInt64Array;
    // @ts-expect-error: not the array of int64.
    data satisfies Float32Array;
    expect([...generic(make('float32', Float32Array.of(2)))]).to.deep.equal([2]);
    expect(first(tensor('string', [1], ['a']))).to.equal('a');
  });

  it('the types of results narrow by their dtype, can be named, and session.allocate knows its array', async () => {
    await using session = await createSession(encodeModel(graph, weights));
    using x = session.allocate('float32', [1, 4, 1, 2]);
    x.data satisfies Float32Array;
    x.data.set([1, 3, 1, 3, 2, 6, 2, 6]);
    const { y } = await session.run({ x });
    // @ts-expect-error: of any dtype before a comparison.
    y!.data satisfies Float32Array;
    if (y?.dtype !== 'float32') throw new Error('of another dtype');
    expect(y.data.map(Math.round) satisfies Float32Array).to.deep.equal(
      Float32Array.of(-1, 1, -1, 1, -1, 1, -1, 1),
    );
    const named = await session.run<{ y: TensorData<'float32'> }>({ x });
    named.y.data satisfies Float32Array;
    const texts = (await session.run<{ y: StringTensor }>({ x })).y;
    texts.data satisfies readonly string[];
    // @ts-expect-error: misspelt.
    await refuses('TENSOR_INVALID', () => session.allocate('flaot32', [1]));
    // @ts-expect-error: numbers are not a tensor.
    await refuses('INPUT_DTYPE', () => session.run({ x: [1, 2, 3] }));
  });
});
