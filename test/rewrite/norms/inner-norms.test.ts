import { expect } from 'chai';
import { describe, it } from 'mocha';
import * as ort from 'onnxruntime-node';
import { ModelError, SessionError } from '../../../lib/errors.js';
import { delimited, joinChunks } from '../../../lib/onnx/protobuf/chunks.js';
import { Model } from '../../../lib/onnx/model.js';
import {
  ATTRIBUTE_TYPE,
  type ModelMessage,
  ModelProto,
  type NodeMessage,
  NodeProto,
} from '../../../lib/onnx/protobuf/proto.js';
import { FUNCTION, MODEL, NODE } from '../../../lib/onnx/protobuf/schema.js';
import { encodeValueInfo } from '../../../lib/onnx/graph/value-info.js';
import { WireReader } from '../../../lib/onnx/protobuf/wire.js';
import { toFloat64Array } from '../../../lib/half.js';
import { convertModel, type ConvertOptions } from '../../../lib/rewrite/convert.js';
import { ValueTypes } from '../../../lib/rewrite/analysis/value-types.js';
import { createSession } from '../../../lib/runtime/node.js';
import { int64Vector, tensor, type TensorData } from '../../../lib/tensor.js';
import { maxAbsDifference, randomTensor, referenceGroupNorm } from '../../support/group-norm.js';
import { describeNative } from '../../support/native.js';
import {
  body,
  call,
  constant,
  float,
  graph,
  groupNorm,
  int,
  localFunction,
  model,
  node,
  reference,
} from '../../support/nested-norms.js';

const X: TensorData = randomTensor('float32', [2, 8, 3, 5], { mean: 1000, deviation: 0.1 });
const SCALE: TensorData = randomTensor('float32', [8], { stream: 'scale' });
const BIAS: TensorData = randomTensor('float32', [8], { stream: 'bias' });
const WEIGHTS = { scale: SCALE, bias: BIAS };
const EPS = Math.fround(1e-5);
/** As far as ONNX Runtime's float32 is off where results are up to 5. */
const TOLERANCE = 2e-5;

interface Affine {
  readonly scale?: TensorData;
  readonly bias?: TensorData;
  readonly eps?: number;
}

const normalized = (
  x: TensorData,
  numGroups: number,
  { scale = SCALE, bias = BIAS, eps = EPS }: Affine = {},
) => referenceGroupNorm({ x, scale, bias, numGroups, eps });
const float32 = (dims: readonly number[], values: ArrayLike<number>): TensorData =>
  tensor('float32', dims, Float32Array.from(values));

/** Runs a model by onnxruntime-node's own API. */
async function run(bytes: Uint8Array, feeds: Readonly<Record<string, TensorData>>): Promise<TensorData[]> {
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3 });
  try {
    const given = Object.entries(feeds).map(([name, { dtype, data, dims }]) => [
      name,
      new ort.Tensor(dtype as 'float32', data as Float32Array, dims),
    ]);
    const results = await session.run(Object.fromEntries(given) as Record<string, ort.Tensor>);
    return session.outputNames.map((name) => {
      const { dims, data } = results[name]!;
      return tensor('float32', dims, data as Float32Array);
    });
  } finally {
    await session.release();
  }
}

const bool = (value: boolean) => tensor('bool', [], Uint8Array.of(Number(value)));

/** Every node of a model, those of bodies and functions too. */
function allNodes({ graph: main, functions }: ModelMessage): NodeMessage[] {
  const within = (nodes: NodeMessage[] | null | undefined): NodeMessage[] =>
    (nodes ?? []).flatMap((one) => [one, ...(one.attribute ?? []).flatMap(({ g }) => within(g?.node))]);
  return [...within(main!.node), ...(functions ?? []).flatMap((one) => within(one.node))];
}

const operators = (bytes: Uint8Array): Set<string> =>
  new Set(allNodes(ModelProto.decode(bytes)).map(({ opType }) => opType!));

/** Converts a model, and checks that the standard operator is gone. */
function converted(bytes: Uint8Array, count: number, options?: ConvertOptions): Uint8Array {
  const { bytes: result, replaced } = convertModel(bytes, options);
  expect(replaced.groupNormalization).to.equal(count);
  expect([...operators(result)]).not.to.include('GroupNormalization');
  return result;
}

function refusal(bytes: Uint8Array, code = 'MODEL_UNSUPPORTED', options?: ConvertOptions): string {
  try {
    convertModel(bytes, { where: 'a.onnx', ...options });
  } catch (error) {
    expect(error).to.be.instanceOf(ModelError).with.property('code', code);
    return (error as Error).message;
  }
  throw new Error('the model was converted');
}

const DIMS = ['N', 8, 'H', 'W'];

/** An If: one branch reads weights of the graph, the other has its own. */
const branches = (opset = 21, [scale, bias] = [SCALE, BIAS]) => {
  const own = { initializer: [constant('own', bias).attribute![0]!.t!] };
  return model(
    [
      node(
        'If',
        ['c'],
        ['y'],
        graph('then_branch', body([groupNorm(['x', 'scale', 'bias'], 'a', 4)], [], ['a'])),
        graph(
          'else_branch',
          body([constant('one', scale), groupNorm(['x', 'one', 'own'], 'b', 2)], [], ['b'], own),
        ),
      ),
    ],
    { x: DIMS, c: [] },
    { y: 4 },
    { weights: { scale, bias }, opset, dtypes: { c: 'bool' } },
  );
};

/** A Loop of three iterations, whose body makes `next` out of `carried`, both without types. */
const loop = (nodes: NodeMessage[], weights: Record<string, TensorData> = WEIGHTS) => {
  const inner = [...nodes, node('Identity', ['go'], ['again']), node('Identity', ['next'], ['each'])];
  const carrying = body(inner, ['go', 'carried'], ['again', 'next', 'each']);
  carrying.input!.unshift(encodeValueInfo({ name: 'i', dtype: 'int64', shape: [] }));
  return model(
    [node('Loop', ['times', 'yes', 'x'], ['y', 'all'], graph('body', carrying))],
    { x: [2, 8, 3, 5] },
    { y: 4, all: 5 },
    { weights: { times: tensor('int64', [], BigInt64Array.of(3n)), yes: bool(true), ...weights } },
  );
};

describe('convertModel, where GroupNormalization is in a body', () => {
  for (const lowering of ['reduce-mean', 'instance-norm', 'layer-norm'] as const) {
    it(`convertModel writes GroupNormalization as ${lowering} in both branches of an If, which read weights of the graph and their own`, async () => {
      const bytes = converted(branches(), 2, { lowering });
      const x = lowering === 'instance-norm' ? randomTensor('float32', [2, 8, 3, 5]) : X;
      for (const [c, groups] of [
        [true, 4],
        [false, 2],
      ] as const) {
        // prettier-ignore
        const [y] = await run(bytes, { x, c: bool(c) });
        expect(maxAbsDifference(y!, normalized(x, groups))).to.be.below(TOLERANCE);
      }
    });
  }

  it('convertModel reads scale and bias of opset 18 in a body as one number for each group', async () => {
    const [scale, bias] = [float32([4], [1, -2, 3, 4]), float32([4], [0, 5, 0, -1])];
    const inner = body([groupNorm(['x', 'scale', 'bias'], 'a', 4)], [], ['a']);
    const bytes = converted(
      model([node('If', ['c'], ['y'], graph('then_branch', inner), graph('else_branch', inner))], { x: DIMS, c: [] }, { y: 4 }, { weights: { scale, bias }, opset: 18, dtypes: { c: 'bool' } }), // prettier-ignore
      2,
    );
    const each = (data: TensorData) => float32([8], Float32Array.from({ length: 8 }, (_, i) => data.data[i >> 1] as number)); // prettier-ignore
    const [y] = await run(bytes, { x: X, c: bool(true) });
    expect(maxAbsDifference(y!, normalized(X, 4, { scale: each(scale), bias: each(bias) }))).to.be.below(
      1e-4,
    );
  });

  it('convertModel takes the shape that a Loop carries without a type from the first iteration, if the body keeps it', async () => {
    const nodes = [groupNorm(['carried', 'scale', 'bias'], 'norm', 2), node('Relu', ['norm'], ['next'])];
    const [y, all] = await run(converted(loop(nodes), 1), { x: X });
    let state: TensorData = X;
    const expected: number[] = [];
    for (let i = 0; i < 3; i++) {
      state = float32(
        X.dims,
        normalized(state, 2).map((value) => Math.max(value, 0)),
      );
      expected.push(...(state.data as Float32Array));
    }
    expect(all!.dims).to.deep.equal([3, ...X.dims]);
    expect(maxAbsDifference(all!, Float64Array.from(expected))).to.be.below(TOLERANCE);
    expect(maxAbsDifference(y!, Float64Array.from(state.data as Float32Array))).to.be.below(TOLERANCE);
  });

  it('convertModel takes the sizes at run time that a Loop changes with every iteration', async () => {
    const nodes = [
      { ...node('Concat', ['carried', 'carried'], ['twice'], int('axis', 3)) },
      groupNorm(['twice', 'scale', 'bias'], 'next', 4),
    ];
    const bytes = ModelProto.decode(loop(nodes));
    // The results of the iterations cannot be stacked.
    bytes.graph!.node![0]!.output!.pop();
    bytes.graph!.node![0]!.attribute![0]!.g!.output!.pop();
    bytes.graph!.output!.pop();
    const [y] = await run(converted(ModelProto.encode(bytes).finish(), 1), { x: X });
    let state: TensorData = X;
    for (let i = 0; i < 3; i++) {
      const [n, c, h, w] = state.dims as [number, number, number, number];
      const rows = Array.from({ length: n * c * h }, (_, row) => [...(state.data as Float32Array).subarray(row * w, row * w + w)]); // prettier-ignore
      const twice = float32(
        [n, c, h, 2 * w],
        rows.flatMap((row) => [...row, ...row]),
      );
      state = float32(twice.dims, normalized(twice, 4));
    }
    expect(y!.dims).to.deep.equal(state.dims);
    expect(maxAbsDifference(y!, Float64Array.from(state.data as Float32Array))).to.be.below(TOLERANCE);
  });

  it('convertModel knows the slices and the states of a Scan, and the values behind the Scan', async () => {
    const nodes = [groupNorm(['slice', 'scale', 'bias'], 'norm', 4), node('Add', ['state', 'norm'], ['sum'])];
    const typed = (name: string, shape: number[]) => ({ name, type: { tensorType: { elemType: 1, shape: { dim: shape.map((dimValue) => ({ dimValue })) } } } }); // prettier-ignore
    const inner = body(nodes, ['state', 'slice'], [], { output: [typed('sum', [2, 8, 5]), typed('norm', [2, 8, 5])] }); // prettier-ignore
    const scan = node('Scan', ['zero', 'x'], ['total', 'each'], graph('body', inner), int('num_scan_inputs', 1), { name: 'scan_input_axes', type: 7, ints: [2] }); // prettier-ignore
    const bytes = converted(
      model([scan, groupNorm(['total', 'scale', 'bias'], 'y', 1)], { x: [2, 8, 3, 5] }, { y: 3 }, { weights: { ...WEIGHTS, zero: float32([2, 8, 5], new Float32Array(80)) } }), // prettier-ignore
      2,
    );
    const x = randomTensor('float32', [2, 8, 3, 5]);
    const sum = new Float64Array(80);
    for (let h = 0; h < 3; h++) {
      const slice = float32([2, 8, 5], Array.from({ length: 80 }, (_, i) => x.data[(Math.floor(i / 5) * 3 + h) * 5 + (i % 5)] as number)); // prettier-ignore
      normalized(slice, 4).forEach((value, i) => (sum[i]! += value));
    }
    const [y] = await run(bytes, { x });
    expect(maxAbsDifference(y!, normalized(float32([2, 8, 5], sum), 1))).to.be.below(1e-4);
  });

  it('convertModel reaches bodies within bodies, and gives every value a name of its own in all graphs', async () => {
    // Both branches have the names of the other, and names that the lowering would make.
    const branch = (groups: number) => body([{ ...groupNorm(['carried', 'scale', 'bias'], `b${groups}`, groups), name: '/same' }], [], [`b${groups}`]); // prettier-ignore
    const condition = node('If', ['c'], ['next'], graph('then_branch', branch(4)), graph('else_branch', branch(2))); // prettier-ignore
    const taken = { ...node('Neg', ['carried'], ['/same/ReduceMean_output_0']), name: '/same/Reshape' };
    const message = ModelProto.decode(loop([taken, condition]));
    const declared = ModelProto.decode(branches()).graph!.input![1]!;
    message.graph!.input!.push(declared);
    const bytes = converted(ModelProto.encode(message).finish(), 2);
    const outputs = allNodes(ModelProto.decode(bytes)).flatMap(({ output }) => output!);
    expect(new Set(outputs).size).to.equal(outputs.length);
    const [y] = await run(bytes, { x: X, c: bool(false) });
    let state: TensorData = X;
    for (let i = 0; i < 3; i++) state = float32(X.dims, normalized(state, 2));
    expect(maxAbsDifference(y!, Float64Array.from(state.data as Float32Array))).to.be.below(TOLERANCE);
  });

  it('convertModel knows the type of a value behind a Loop in a Loop, and within both', async () => {
    const inner = (nodes: NodeMessage[], state: string, next: string) => {
      const carrying = body([...nodes, node('Identity', [`${state}_go`], [`${state}_again`])], [`${state}_go`, state], [`${state}_again`, next]); // prettier-ignore
      carrying.input!.unshift(encodeValueInfo({ name: `${state}_i`, dtype: 'int64', shape: [] }));
      return graph('body', carrying);
    };
    const innermost = inner([groupNorm(['v', 'scale', 'bias'], 'v_next', 2)], 'v', 'v_next');
    const outer = inner([
      node('Loop', ['times', 'yes', 'u'], ['w'], innermost),
      groupNorm(['w', 'scale', 'bias'], 'u_next', 4),
    ], 'u', 'u_next'); // prettier-ignore
    const nodes = [node('Loop', ['times', 'yes', 'x'], ['z'], outer), groupNorm(['z', 'scale', 'bias'], 'y', 1)]; // prettier-ignore
    const weights = { times: tensor('int64', [], BigInt64Array.of(2n)), yes: bool(true), ...WEIGHTS };
    const bytes = model(nodes, { x: DIMS }, { y: 4 }, { weights });
    let expected: TensorData = X;
    for (const groups of [2, 2, 4, 2, 2, 4, 1]) expected = float32(X.dims, normalized(expected, groups));
    const [y] = await run(converted(bytes, 3), { x: X });
    expect(maxAbsDifference(y!, toFloat64Array(expected))).to.be.below(TOLERANCE);
  });

  it('convertModel describes GroupNormalization in bounded time where 30 Loops lie in each other', () => {
    const nest = (depth: number): NodeMessage[] => {
      const names = ['again', 'next'].map((name) => `${name}${depth}`);
      const grown = node('Concat', [`v${depth}`, `v${depth}`], [`g${depth}`], int('axis', depth % 4));
      const inside = depth === 30 ? groupNorm(['v30', 'scale', 'bias'], 'next30', 2) : nest(depth + 1)[0]!;
      const carrying = body([grown, inside, node('Identity', [`go${depth}`], [names[0]!])], [`go${depth}`, `v${depth}`], names); // prettier-ignore
      carrying.input!.unshift(encodeValueInfo({ name: `i${depth}`, dtype: 'int64', shape: [] }));
      return [node('Loop', ['times', 'yes', depth === 1 ? 'x' : `g${depth - 1}`], [depth === 1 ? 'y' : `next${depth - 1}`], graph('body', carrying))]; // prettier-ignore
    };
    const weights = { times: tensor('int64', [], BigInt64Array.of(2n)), yes: bool(true), ...WEIGHTS };
    expect(refusal(model(nest(1), { x: [2, 8, 3, 5] }, { y: 4 }, { weights }))).to.include(
      'in the body of Loop',
    );
  });

  it('convertModel keeps all other bytes of a body', () => {
    const before = node('Elu', ['x'], ['h'], float('alpha', 0.5));
    const after = node('Softplus', ['n'], ['a']);
    const inner = body([before, groupNorm(['h', 'scale', 'bias'], 'n', 4), after], [], ['a'], {
      docString: 'kept',
    });
    const bytes = model([node('If', ['c'], ['y'], graph('then_branch', inner), graph('else_branch', inner))], { x: DIMS, c: [] }, { y: 4 }, { weights: WEIGHTS, dtypes: { c: 'bool' } }); // prettier-ignore
    const result = Buffer.from(converted(bytes, 2));
    for (const kept of [before, after]) {
      const encoded = Buffer.from(NodeProto.encode(kept).finish());
      expect(result.indexOf(encoded)).to.be.above(0);
      expect(result.lastIndexOf(encoded)).to.be.above(result.indexOf(encoded));
    }
    expect(result.toString('latin1').split('kept')).to.have.length(3);
    // What the rewriting adds are the nodes of two lowerings, and nothing is declared or listed anew.
    const { graph: main } = ModelProto.decode(result);
    expect(main!.initializer!.map(({ name }) => name)).to.deep.equal(['scale', 'bias']);
    expect(main!.node).to.have.length(1);
  });

  it("convertModel takes a value of the body for the body's own, and not for the outer value of the same name", () => {
    const inner = body([node('Transpose', ['x'], ['h'], { name: 'perm', type: 7, ints: [1, 0] })], [], ['h']);
    const types = new ValueTypes(
      Model.decode(model([node('Relu', ['x'], ['h']), node('If', ['c'], ['y'], graph('then_branch', inner))], { x: [2, 8], c: [] }, { y: 2 })), // prettier-ignore
    );
    const [within] = types.within(types.model.nodes[1]!);
    expect(types.typeOf('h').shape).to.deep.equal([2, 8]);
    expect(within!.typeOf('h').shape).to.deep.equal([8, 2]);
    expect(within!.typeOf('x').shape).to.deep.equal([2, 8]);
  });

  it('convertModel does not trust the sizes that a body declares of a value whose size depends on an optional input', () => {
    const shape = { weights: { to: int64Vector([2, 8, -1]) } };
    const declared = { name: 'r', type: { tensorType: { elemType: 1, shape: { dim: [2, 8, 15].map((dimValue) => ({ dimValue })) } } } }; // prettier-ignore
    const inner = body([node('Reshape', ['x', 'to'], ['r'])], [], ['r'], { valueInfo: [declared] });
    const bytes = model([node('If', ['c'], ['y'], graph('then_branch', inner))], { x: DIMS, to: [3], c: [] }, { y: 3 }, { ...shape, dtypes: { to: 'int64' } }); // prettier-ignore
    const types = new ValueTypes(Model.decode(bytes));
    expect(types.within(types.model.nodes[0]!)[0]!.typeOf('r').shape).to.deep.equal(['?', '?', '?']);
  });

  it('convertModel gives a state of a Scan its rank, which ONNX Runtime needs and does not infer below opset 15', async () => {
    const nodes = [groupNorm(['s', 'scale', 'bias'], 'h', 4), node('Add', ['h', 'v'], ['next'])];
    const inner = body([...nodes, node('Identity', ['next'], ['each'])], ['s', 'v'], ['next', 'each']);
    const scan = node('Scan', ['first', 'x'], ['last', 'y'], int('num_scan_inputs', 1), graph('body', inner));
    const ones = (value: number) => float32([4], new Float32Array(4).fill(value));
    const bytes = model([scan], { first: ['N', 8, 'H'], x: ['T', 'N', 8, 'H'] }, { last: 3 }, { opset: 13, weights: { scale: ones(1), bias: ones(0) } }); // prettier-ignore
    const first = randomTensor('float32', [3, 8, 5]);
    const x = randomTensor('float32', [2, 3, 8, 5], { stream: 'x' });
    const values = toFloat64Array(x);
    let state: TensorData = first;
    for (let i = 0; i < 2; i++) {
      const sum = referenceGroupNorm({ x: state, numGroups: 4, eps: EPS }).map(
        (one, at) => one + values[i * 120 + at]!,
      );
      state = float32(first.dims, sum);
    }
    const [last] = await run(converted(bytes, 1, { lowering: 'instance-norm' }), { first, x });
    expect(maxAbsDifference(last!, toFloat64Array(state))).to.be.below(TOLERANCE);
  });

  it('convertModel refuses GroupNormalization in a body with its place and a way out, if its rank is not known', () => {
    const nodes = [node('Unknown', ['carried'], ['next']), groupNorm(['next', 'scale', 'bias'], 'norm', 2)];
    expect(refusal(loop(nodes))).to.match(
      /^a\.onnx: GroupNormalization '\/norm\/GroupNormalization' in the body of Loop '\/y\/Loop': the model does not declare the rank of the node's input; run onnx\.shape_inference/,
    );
  });

  it('convertModel refuses GroupNormalization in a body if the node breaks a rule, and refuses a cycle in the body', () => {
    const short = [node('GroupNormalization', ['carried'], ['next'])];
    expect(refusal(loop(short))).to.include(
      "in the body of Loop '/y/Loop': has 1 inputs, and the operator takes 3",
    );
    const cycle = [groupNorm(['b', 'scale', 'bias'], 'next', 2), node('Neg', ['next'], ['b'])];
    expect(refusal(loop(cycle), 'MODEL_INVALID')).to.include('the nodes form a cycle');
  });
});

/** y = Block(x), or a chain of calls. */
const block = (attributes = [reference('epsilon', 'FLOAT', 'eps')], more = {}) =>
  localFunction(
    'Block',
    [
      {
        ...node(
          'GroupNormalization',
          ['v', 's', 'b'],
          ['h'],
          reference('num_groups', 'INT', 'groups'),
          ...attributes,
        ),
      },
      node('Relu', ['h'], ['r']),
    ],
    ['v', 's', 'b'],
    ['r'],
    { attribute: ['groups', 'eps'], ...more },
  );

const relu = (values: Float64Array) => values.map((value) => Math.max(value, 0));

describe('convertModel, where GroupNormalization is in a local function', () => {
  it('convertModel writes a local function once for calls that need the same nodes, and keeps its name', async () => {
    const bytes = converted(
      model(
        [
          call('Block', ['x', 'scale', 'bias'], ['a'], int('groups', 4), float('eps', 1e-3)),
          // No type of `a` is declared: it follows from the function.
          call('Block', ['a', 'bias', 'scale'], ['y'], int('groups', 4), float('eps', 1e-3)),
        ],
        { x: DIMS },
        { y: 4 },
        { weights: WEIGHTS, functions: [block()] },
      ),
      1,
    );
    const { functions } = ModelProto.decode(bytes);
    expect(functions.map(({ name, opsetImport }) => [name, opsetImport!.length])).to.deep.equal([
      ['Block', 2],
    ]);
    const eps = Math.fround(1e-3);
    const first = float32(X.dims, relu(normalized(X, 4, { eps })));
    const [y] = await run(bytes, { x: X });
    expect(maxAbsDifference(y!, relu(normalized(first, 4, { scale: BIAS, bias: SCALE, eps })))).to.be.below(
      TOLERANCE,
    );
  });

  it('convertModel writes a version of a local function for each number of channels, groups and epsilon, and takes default attributes', async () => {
    const bytes = joinChunks([
      model(
        [
          call('Block', ['x', 'scale', 'bias'], ['a'], int('groups', 4)),
          node('Reshape', ['a', 'to'], ['r']),
          call('Block', ['r', 's4', 'b4'], ['b'], int('groups', 4)),
          call('Block', ['b', 's4', 'b4'], ['y'], int('groups', 2), float('eps', 0.5)),
        ],
        { x: [2, 8, 3, 5] },
        { y: 3 },
        {
          weights: { ...WEIGHTS, to: int64Vector([2, 4, 30]), s4: float32([4], [1, 2, 3, 4]), b4: float32([4], [0, 0, 1, 1]) }, // prettier-ignore
        },
      ),
      // The schema of this library's messages is older than default values.
      ...delimited(MODEL.functions, [
        ModelProto.encode({ functions: [block()] })
          .finish()
          .subarray(0, 0),
        ...withDefault(),
      ]),
    ]);
    const result = converted(bytes, 3);
    expect(ModelProto.decode(result).functions.map(({ name }) => name)).to.deep.equal(['Block', 'Block_2', 'Block_3']); // prettier-ignore
    const [s4, b4] = [float32([4], [1, 2, 3, 4]), float32([4], [0, 0, 1, 1])];
    const eps = 0.25;
    const a = float32([2, 4, 30], relu(normalized(X, 4, { eps })));
    const b = float32([2, 4, 30], relu(normalized(a, 4, { scale: s4, bias: b4, eps })));
    const [y] = await run(result, { x: X });
    expect(maxAbsDifference(y!, relu(normalized(b, 2, { scale: s4, bias: b4, eps: 0.5 })))).to.be.below(
      TOLERANCE,
    );
  });

  it('convertModel follows attributes through calls in functions and in bodies', async () => {
    const outer = localFunction(
      'Outer',
      [
        constant('s', SCALE),
        constant('b', BIAS),
        node('ReduceSum', ['v'], ['sum'], int('keepdims', 0)),
        constant('zero', tensor('float32', [], Float32Array.of(0))),
        node('Greater', ['sum', 'zero'], ['c']),
        node(
          'If',
          ['c'],
          ['r'],
          graph(
            'then_branch',
            body([call('Block', ['v', 's', 'b'], ['t'], reference('groups', 'INT', 'n'), float('eps', 1e-5))], [], ['t']), // prettier-ignore
          ),
          graph('else_branch', body([groupNorm(['v', 's', 'b'], 'e', 1)], [], ['e'])),
        ),
      ],
      ['v'],
      ['r'],
      { attribute: ['n'] },
    );
    const bytes = converted(
      model(
        [call('Outer', ['x'], ['a'], int('n', 4)), call('Outer', ['a'], ['y'], int('n', 2))],
        { x: DIMS },
        { y: 4 },
        { functions: [outer, block()] },
      ),
      // Two versions of the norm of Block, and two of the norm of Outer, which calls them.
      4,
    );
    const first = float32(X.dims, relu(normalized(X, 4)));
    const [y] = await run(bytes, { x: X });
    expect(maxAbsDifference(y!, relu(normalized(first, 2)))).to.be.below(TOLERANCE);
  });

  it('convertModel reads an attribute for each norm of a function that refers to it', async () => {
    const norm = (x: string, y: string) =>
      node('GroupNormalization', [x, 's', 'b'], [y], reference('num_groups', 'INT', 'groups'), reference('epsilon', 'FLOAT', 'eps')); // prettier-ignore
    const twice = localFunction('Twice', [norm('v', 'h'), norm('h', 'r')], ['v', 's', 'b'], ['r'], { attribute: ['groups', 'eps'] }); // prettier-ignore
    const nodes = [call('Twice', ['x', 'scale', 'bias'], ['y'], int('groups', 4), float('eps', 0.5))];
    const [y] = await run(converted(model(nodes, { x: DIMS }, { y: 4 }, { weights: WEIGHTS, functions: [twice] }), 2), { x: X }); // prettier-ignore
    const first = float32(X.dims, normalized(X, 4, { eps: 0.5 }));
    expect(maxAbsDifference(y!, normalized(first, 4, { eps: 0.5 }))).to.be.below(TOLERANCE);
  });

  it('convertModel leaves a function that no node calls, and a function that has the name of the operator', () => {
    const unused = model([node('Relu', ['x'], ['y'])], { x: DIMS }, { y: 4 }, { functions: [block()] });
    expect(convertModel(unused).bytes).to.equal(unused);
    const own = localFunction('GroupNormalization', [node('Neg', ['v'], ['r'])], ['v', 's', 'b'], ['r'], { domain: '' }); // prettier-ignore
    const inner = body([groupNorm(['x', 'scale', 'bias'], 'a', 4)], [], ['a']);
    const redefined = model([node('If', ['c'], ['y'], graph('then_branch', inner), graph('else_branch', inner))], { x: DIMS, c: [] }, { y: 4 }, { weights: WEIGHTS, functions: [own] }); // prettier-ignore
    expect(convertModel(redefined).bytes).to.equal(redefined);
  });

  it('convertModel writes the operator sets that a local function needs into the function', () => {
    const opsetImport = [{ domain: '', version: 21 }];
    const bytes = model([call('Block', ['x', 'scale', 'bias'], ['y'], int('groups', 1))], { x: [2, 8, 3, 5] }, { y: 4 }, { weights: WEIGHTS, functions: [block([], { opsetImport })], opset: 23 }); // prettier-ignore
    const imports = (result: Uint8Array) =>
      ModelProto.decode(result).functions[0]!.opsetImport!.map(({ domain, version }) => [
        domain,
        Number(version),
      ]);
    expect(imports(converted(bytes, 1))).to.deep.equal([['', 23]]);
    expect(imports(convertModel(bytes, { lowering: 'contrib-group-norm' }).bytes)).to.deep.equal([['', 23], ['com.microsoft', 1]]); // prettier-ignore
  });

  it('convertModel refuses a local function if a call does not tell the rank, or if calls are nested too deep', () => {
    const inputs = { scale: [8], bias: [8], x: [2, 8, 3, 5] };
    const unknown = [
      node('Unknown', ['x'], ['u']),
      call('Block', ['u', 'scale', 'bias'], ['y'], int('groups', 1)),
    ];
    expect(refusal(model(unknown, inputs, { y: 4 }, { functions: [block()] }))).to.include("' in function my.Block: the model does not declare the rank of the node's input"); // prettier-ignore
    const chain = Array.from(
      { length: 70 },
      (_, i) =>
      localFunction(`F${i}`, [i === 0 ? groupNorm(['v', 'v', 'v'], 'r', 1) : call(`F${i - 1}`, ['v'], ['r'])], ['v'], ['r']), // prettier-ignore
    );
    expect(refusal(model([call('F69', ['x'], ['y'])], inputs, { y: 4 }, { functions: chain }))).to.include('more than 64 functions and bodies'); // prettier-ignore
  });

  it('convertModel counts a local function once for the limits, however many calls need the same nodes', () => {
    const calls = Array.from({ length: 1024 }, (_, i) => call('Block', [`v${i}`, 'scale', 'bias'], [`v${i + 1}`], int('groups', 4))); // prettier-ignore
    const bytes = model(
      calls,
      { v0: [2, 8, 3, 5] },
      { v1024: 4 },
      { weights: WEIGHTS, functions: [block()] },
    );
    // The calls themselves take 10,240 parts, and the nodes of one version about 100.
    expect(convertModel(bytes, { limits: { modelParts: 2 ** 14 } }).replaced.groupNormalization).to.equal(1);
  });

  it('convertModel gives a node other names in the version of a function in which a node before it takes them', async () => {
    const first = node(
      'GroupNormalization',
      ['v', 's', 'b'],
      ['h'],
      reference('num_groups', 'INT', 'groups'),
    );
    const second = { ...groupNorm(['h', 's', 'b'], 'r', 2), name: first.name! };
    const twice = localFunction('Twice', [first, second], ['v', 's', 'b'], ['r'], { attribute: ['groups'] });
    const calls = [4, 8, 4].map((groups, i) => call('Twice', [`v${i}`, 'scale', 'bias'], [`v${i + 1}`], int('groups', groups))); // prettier-ignore
    const bytes = converted(model(calls, { v0: DIMS }, { v3: 4 }, { weights: WEIGHTS, functions: [twice] }), 4); // prettier-ignore
    let expected: TensorData = X;
    for (const groups of [4, 2, 8, 2, 4, 2]) expected = float32(X.dims, normalized(expected, groups));
    const [y] = await run(bytes, { v0: X });
    expect(maxAbsDifference(y!, toFloat64Array(expected))).to.be.below(TOLERANCE);
  });

  it('convertModel refuses a large function whose versions exceed the limit', () => {
    const large = constant('k', float32([4096], new Float32Array(4096).fill(2)));
    const nodes = block().node!;
    const functions = [{ ...block(), node: [large, ...nodes] }];
    const calls = [1, 2, 4, 8].map((groups) => call('Block', ['x', 'scale', 'bias'], [`y${groups}`], int('groups', groups))); // prettier-ignore
    const bytes = model(
      calls,
      { x: [2, 8, 3, 5] },
      { y1: 4, y2: 4, y4: 4, y8: 4 },
      { weights: WEIGHTS, functions },
    );
    expect(refusal(bytes, 'LIMIT_EXCEEDED', { limits: { modelAddedBytes: 2 ** 14 } })).to.match(
      /^a\.onnx: it has more than .* constants and functions/,
    );
    expect(refusal(bytes, 'LIMIT_EXCEEDED', { limits: { modelParts: 160 } })).to.match(
      /^a\.onnx: it has more/,
    );
    expect(convertModel(bytes).replaced.groupNormalization).to.equal(4);
  });

  it('convertModel refuses a local function that imports another opset, between which a node of the function changes', () => {
    const of = (version: number, opset: number, nodes = block().node!) => {
      const functions = [block([], { node: nodes, opsetImport: [{ domain: '', version }] })];
      const called = call('Block', ['x', 'scale', 'bias'], ['y'], int('groups', 4));
      return model([called], { x: [2, 8, 3, 5] }, { y: 4 }, { weights: WEIGHTS, functions, opset });
    };
    const text = 'the function my.Block imports opset 18 and the model opset 21, between which GroupNormalization changes'; // prettier-ignore
    expect(refusal(of(18, 21))).to.include(text);
    const mean = node('ReduceMean', ['v'], ['m'], { name: 'axes', type: ATTRIBUTE_TYPE.INTS, ints: [1] });
    expect(refusal(of(21, 17, [mean, ...block().node!]))).to.include(
      'imports opset 21 and the model opset 17',
    );
    expect(convertModel(of(21, 23)).replaced.groupNormalization).to.equal(1);
  });

  it('convertModel names the model if rewriting the graph exceeds the limit', () => {
    const nodes = [groupNorm(['x', 'scale', 'bias'], 'y', 4)];
    const bytes = model(nodes, { x: DIMS }, { y: 4 }, { weights: WEIGHTS });
    expect(refusal(bytes, 'LIMIT_EXCEEDED', { limits: { modelParts: 40 } })).to.match(
      /^a\.onnx: it has more than/,
    );
  });
});

/** The content of `Block` with a default value for `eps`, 0.25. */
function withDefault(): Uint8Array[] {
  const { attribute, ...head } = block();
  const content = (tag: number, bytes: Uint8Array): Uint8Array => {
    const reader = WireReader.of(bytes);
    while (reader.next()) if (reader.tag === tag) return reader.bytes;
    throw new Error('there is no such field');
  };
  const own = ModelProto.encode({ functions: [{ ...head, attribute: attribute!.slice(0, 1) }] }).finish();
  const eps = NodeProto.encode({ attribute: [float('eps', 0.25)] }).finish();
  return [
    content(MODEL.functions, own),
    ...delimited(FUNCTION.attributeProto, [content(NODE.attribute, eps)]),
  ];
}

/** GroupNorm as PyTorch exports it below opset 21, of values (N, 8, …); scale and bias are named for (8, 1, 1). */
const exportedNorm = (x: string, output: string, groups: number, scale = 'scale_c', bias = 'bias_c') => {
  const at = (what: string) => `${output}_${what}`;
  return [
    constant(at('ones'), float32([groups], new Float32Array(groups).fill(1))),
    constant(at('zeros'), float32([groups], new Float32Array(groups))),
    constant(at('split'), int64Vector([0, groups, -1])),
    node('Reshape', [x, at('split')], [at('rows')]),
    node('InstanceNormalization', [at('rows'), at('ones'), at('zeros')], [at('n')], float('epsilon', 1e-5)),
    node('Shape', [x], [at('shape')]),
    node('Reshape', [at('n'), at('shape')], [at('joined')]),
    node('Mul', [at('joined'), scale], [at('scaled')]),
    node('Add', [at('scaled'), bias], [output]),
  ];
};

/** The textbook: view, mean, variance, division, view, scale and bias. */
const writtenNorm = (x: string, output: string, groups: number) => {
  const at = (what: string) => `${output}_${what}`;
  const mean = (of: string, to: string) =>
    node('ReduceMean', [of], [to], { name: 'axes', type: ATTRIBUTE_TYPE.INTS, ints: [2] });
  return [
    constant(at('split'), int64Vector([0, groups, -1])),
    constant(at('eps'), float32([], [1e-5])),
    node('Reshape', [x, at('split')], [at('rows')]),
    mean(at('rows'), at('mean')),
    node('Sub', [at('rows'), at('mean')], [at('centred')]),
    node('Mul', [at('centred'), at('centred')], [at('squares')]),
    mean(at('squares'), at('variance')),
    node('Add', [at('variance'), at('eps')], [at('sum')]),
    node('Sqrt', [at('sum')], [at('deviation')]),
    node('Div', [at('centred'), at('deviation')], [at('n')]),
    node('Shape', [x], [at('shape')]),
    node('Reshape', [at('n'), at('shape')], [at('joined')]),
    node('Mul', [at('joined'), 'scale_c'], [at('scaled')]),
    node('Add', [at('scaled'), 'bias_c'], [output]),
  ];
};

const PER_CHANNEL = {
  scale_c: tensor('float32', [8, 1, 1], SCALE.data),
  bias_c: tensor('float32', [8, 1, 1], BIAS.data),
};

/** An If with other nodes in each branch, of opset 17. */
const choice = (yes: NodeMessage[], no: NodeMessage[], weights: Record<string, TensorData> = PER_CHANNEL) =>
  model(
    [
      node('If', ['c'], ['y'], graph('then_branch', body(yes, [], ['a'])), graph('else_branch', body(no, [], ['b']))), // prettier-ignore
    ],
    { x: DIMS, c: [] },
    { y: 4 },
    { weights, opset: 17, dtypes: { c: 'bool' } },
  );

/** A Scan over the height, whose body adds a normalization of each slice to its state. */
const scanned = (norm: NodeMessage[]) => {
  const typed = (name: string) => ({ ...encodeValueInfo({ name, dtype: 'float32', shape: [2, 8, 5] }) });
  const inner = body([...norm, node('Add', ['state', 'norm'], ['sum'])], ['state', 'slice'], [], { output: [typed('sum')] }); // prettier-ignore
  const axes = { name: 'scan_input_axes', type: ATTRIBUTE_TYPE.INTS, ints: [2] };
  const scan = node('Scan', ['zero', 'x'], ['y'], graph('body', inner), int('num_scan_inputs', 1), axes);
  const weights = {
    scale_c: tensor('float32', [8, 1], SCALE.data),
    bias_c: tensor('float32', [8, 1], BIAS.data),
    zero: float32([2, 8, 5], new Float32Array(80)),
  };
  return model([scan], { x: [2, 8, 3, 5] }, { y: 3 }, { weights, opset: 17 });
};

describe('normalizations that are written out in a body or a local function', () => {
  const expectRight = async (bytes: Uint8Array) => {
    for (const [c, groups] of [
      [true, 4],
      [false, 2],
    ] as const) {
      const [y] = await run(bytes, { x: X, c: bool(c) });
      expect(maxAbsDifference(y!, normalized(X, groups))).to.be.below(TOLERANCE);
    }
  };

  it('convertModel merges GroupNorm that PyTorch exported, and the textbook, in the branches of an If', async () => {
    const { bytes, replaced } = convertModel(choice(exportedNorm('x', 'a', 4), writtenNorm('x', 'b', 2)));
    expect(replaced).to.include({ exported: 1, inlined: 1, groupNormalization: 0, rows: 0 });
    const left = allNodes(ModelProto.decode(bytes)).flatMap(({ output }) => output!);
    expect(left).to.include.members(['a', 'b']);
    for (const gone of ['a_rows', 'a_n', 'a_joined', 'b_n', 'b_mean']) expect(left).to.not.include(gone);
    await expectRight(bytes);
  });

  it('convertModel --merge writes the operator in the branches of an If, and removes every node of the export', () => {
    const both = choice(exportedNorm('x', 'a', 4), exportedNorm('x', 'b', 2));
    const { bytes, replaced } = convertModel(both, { merge: true });
    expect(replaced.exported).to.equal(2);
    expect([...operators(bytes)].sort()).to.deep.equal([
      'Constant',
      'GroupNormalization',
      'If',
      // Of the weights (8, 1, 1).
      'Reshape',
    ]);
  });

  it('convertModel merges GroupNorm that PyTorch exported in a Loop', async () => {
    const bytes = ModelProto.decode(loop(exportedNorm('carried', 'next', 2), PER_CHANNEL));
    bytes.opsetImport[0]!.version = 17;
    const { bytes: result, replaced } = convertModel(ModelProto.encode(bytes).finish());
    expect(replaced.exported).to.equal(1);
    let state: TensorData = X;
    for (let i = 0; i < 3; i++) state = float32(X.dims, normalized(state, 2));
    const [y] = await run(result, { x: X });
    expect(maxAbsDifference(y!, toFloat64Array(state))).to.be.below(TOLERANCE);
  });

  it('convertModel merges GroupNorm that PyTorch exported in a Scan', async () => {
    const { bytes, replaced } = convertModel(scanned(exportedNorm('slice', 'norm', 4)));
    expect(replaced.exported).to.equal(1);
    const sum = new Float64Array(80);
    for (let h = 0; h < 3; h++) {
      const slice = float32([2, 8, 5], Array.from({ length: 80 }, (_, i) => X.data[(Math.floor(i / 5) * 3 + h) * 5 + (i % 5)] as number)); // prettier-ignore
      normalized(slice, 4).forEach((value, i) => (sum[i]! += value));
    }
    const [y] = await run(bytes, { x: X });
    expect(maxAbsDifference(y!, sum)).to.be.below(3 * TOLERANCE);
  });

  it('convertModel keeps a value of an export in a body that another node reads', async () => {
    const nodes = [
      ...exportedNorm('x', 'h', 4),
      node('Relu', ['h_rows'], ['r']),
      node('Shape', ['r'], ['s']),
    ];
    const branch = [...nodes, node('Size', ['s'], ['size']), node('Cast', ['size'], ['f'], int('to', 1)), node('Add', ['h', 'f'], ['a'])]; // prettier-ignore
    const { bytes, replaced } = convertModel(choice(branch, exportedNorm('x', 'b', 2)));
    expect(replaced.exported).to.equal(2);
    const [y] = await run(bytes, { x: X, c: bool(true) });
    // The rows have three dimensions.
    expect(
      maxAbsDifference(
        y!,
        normalized(X, 4).map((value) => value + 3),
      ),
    ).to.be.below(TOLERANCE);
  });

  it('convertModel writes a function with an export once for calls that need the same nodes', async () => {
    const own = localFunction('Norm', exportedNorm('v', 'r', 4, 's', 'b'), ['v', 's', 'b'], ['r'], {
      opsetImport: [{ domain: '', version: 17 }],
    });
    const calls = [
      call('Norm', ['x', 'scale_c', 'bias_c'], ['a']),
      call('Norm', ['a', 'bias_c', 'scale_c'], ['y']),
    ];
    const given = model(calls, { x: DIMS }, { y: 4 }, { weights: PER_CHANNEL, functions: [own], opset: 17 });
    const { bytes, replaced } = convertModel(given);
    expect(replaced.exported).to.equal(1);
    const [y] = await run(bytes, { x: X });
    const first = float32(X.dims, normalized(X, 4));
    expect(maxAbsDifference(y!, normalized(first, 4, { scale: BIAS, bias: SCALE }))).to.be.below(TOLERANCE);
  });

  const plain = () =>
    choice([node('InstanceNormalization', ['x', 'scale', 'bias'], ['a'])], exportedNorm('x', 'b', 2), {
      ...PER_CHANNEL,
      ...WEIGHTS,
    });
  for (const [says, options] of [
    ['kernel', { providers: ['native'] }],
    ['reduce-mean', { providers: ['wasm'] }],
  ] as const) {
    const define = says === 'kernel' ? describeNative : (_: string, tests: () => void) => tests();
    define('with the native kernel', () => {
      it(`a session on ${options.providers[0]} runs an export and InstanceNormalization in bodies as ${says}, right for large means`, async () => {
        await using session = await createSession(plain(), options);
        expect(session.groupNorm).to.equal(says);
        for (const [c, groups] of [
          [true, 8],
          [false, 2],
        ] as const) {
          const { y } = await session.run({ x: X, c: bool(c) });
          expect(maxAbsDifference(y!, normalized(X, groups))).to.be.below(TOLERANCE);
        }
      });
    });
  }
});

describe('createSession, where GroupNormalization is in a body or a local function', () => {
  const inFunction = model(
    [call('Block', ['x', 'scale', 'bias'], ['y'], int('groups', 4), float('eps', 1e-5))],
    { x: DIMS },
    { y: 4 },
    { weights: WEIGHTS, functions: [block()] },
  );

  for (const options of [
    { providers: ['wasm'] },
    { providers: ['cpu'], groupNorm: 'reduce-mean' },
  ] as const) {
    it(`createSession computes GroupNormalization in bodies and functions correctly for large means on ${options.providers[0]}, without the kernel`, async () => {
      await using inBody = await createSession(branches(), options);
      expect(inBody.groupNorm).to.equal('reduce-mean');
      const { y } = await inBody.run({ x: X, c: bool(true) });
      expect(maxAbsDifference(y!, normalized(X, 4))).to.be.below(TOLERANCE);
      await using called = await createSession(inFunction, options);
      const results = await called.run({ x: X });
      expect(maxAbsDifference(results.y!, relu(normalized(X, 4)))).to.be.below(TOLERANCE);
    });
  }

  it('createSession with groupNorm op leaves GroupNormalization in bodies and functions to ONNX Runtime on wasm, which is wrong for large means', async () => {
    await using session = await createSession(branches(), { providers: ['wasm'], groupNorm: 'op' });
    const { y } = await session.run({ x: X, c: bool(true) });
    expect(maxAbsDifference(y!, normalized(X, 4)) < 1).to.equal(false);
  });

  it('createSession refuses GroupNormalization in a body or a function on wasm with a way out, if its rank is not known', async () => {
    const nodes = [node('Unknown', ['carried'], ['next']), groupNorm(['next', 'scale', 'bias'], 'norm', 2)];
    const error: unknown = await createSession(loop(nodes), { providers: ['wasm'] }).catch(
      (caught: unknown) => caught,
    );
    expect(error).to.be.instanceOf(SessionError).with.property('code', 'MODEL_REJECTED');
    expect((error as Error).message)
      .to.include("in the body of Loop '/y/Loop'")
      .and.include("groupNorm: 'op'");
  });

  describeNative('with the native kernel', () => {
    it('createSession runs GroupNormalization in bodies and functions by the kernel, in place', async () => {
      await using inBody = await createSession(branches(), { providers: ['native'] });
      expect(inBody.groupNorm).to.equal('kernel');
      for (const [c, groups] of [
        [true, 4],
        [false, 2],
      ] as const) {
        // prettier-ignore
        const { y } = await inBody.run({ x: X, c: bool(c) });
        expect(maxAbsDifference(y!, normalized(X, groups))).to.be.below(TOLERANCE);
      }
      await using called = await createSession(inFunction, { providers: ['native'] });
      expect(called.groupNorm).to.equal('kernel');
      const { y } = await called.run({ x: X });
      expect(maxAbsDifference(y!, relu(normalized(X, 4)))).to.be.below(TOLERANCE);
    });
  });
});
