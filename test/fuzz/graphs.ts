/** Graphs of known operators: nodes with the inputs and attributes that they ask for, most of the time. */
import fc from 'fast-check';
import { make, type Message } from './messages.js';
import { floatBytes, floats, integers, LOCATIONS, OPERATORS, texts } from './values.js';

const [FLOAT, INT64] = [1, 7];

/** Most often a usual value, otherwise any: a graph has some dozens of these choices, and most graphs should load. */
const usually = <T>(usual: fc.Arbitrary<T>, other: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ weight: 39, arbitrary: usual }, { weight: 1, arbitrary: other });

/** `null` in seven of eight cases. */
const rarely = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> =>
  fc.oneof({ weight: 7, arbitrary: fc.constant(null) }, { weight: 1, arbitrary });

const bigs = (...values: number[]): fc.Arbitrary<bigint> => fc.constantFrom(...values.map(BigInt));

// Tensors.

const rawTensor = (name: string, type: number, dims: readonly number[], data: ArrayBufferView): Message =>
  make('Tensor', { 1: dims, 2: type, 8: name, 9: new Uint8Array(data.buffer) });
const floatsOf = (length: number): Float32Array => new Float32Array(length).fill(1);
const int64s = (...values: number[]): BigInt64Array => BigInt64Array.from(values, BigInt);

/** The name and type of a value. */
export const valueInfo = (name: string, type: number, dims: readonly (bigint | string)[]): Message => {
  const shape = make('Shape', {
    1: dims.map((dim) => make('Dim', typeof dim === 'string' ? { 2: dim } : { 1: dim })),
  });
  return make('ValueInfo', { 1: name, 2: make('Type', { 1: make('TensorType', { 1: type, 2: shape }) }) });
};

const externalTensors = fc
  .tuple(
    fc.oneof(fc.constant('beside.bin'), fc.constantFrom(...LOCATIONS)),
    fc.constantFrom(FLOAT, FLOAT, INT64),
  )
  .map(([location, type]) =>
    make('Tensor', {
      1: type === FLOAT ? 8 : 4,
      2: type,
      8: 'external',
      13: [make('Entry', { 1: 'location', 2: location }), make('Entry', { 1: 'length', 2: '32' })],
      14: 1,
    }),
  );

/** Tensors that hold what they say, are in other files, or say anything. */
const tensors = fc.oneof(
  { weight: 4, arbitrary: fc.constant(rawTensor('t', FLOAT, [8], floatsOf(8))) },
  {
    weight: 3,
    arbitrary: fc
      .array(fc.integer({ min: -1, max: 9 }), { maxLength: 5 })
      .map((list) => rawTensor('t', INT64, [list.length], int64s(...list))),
  },
  { weight: 3, arbitrary: externalTensors },
  {
    weight: 2,
    arbitrary: fc
      .tuple(
        fc.array(integers, { maxLength: 4 }),
        bigs(1, 2, 6, 7, 9, 10, 11, 8, 16, 23),
        fc.constantFrom(0, 4, 8, 32),
      )
      .map(([dims, type, size]) => make('Tensor', { 1: dims, 2: type, 8: 't', 9: new Uint8Array(size) })),
  },
);

const sparseTensors = fc
  .tuple(
    tensors,
    usually(fc.constant(rawTensor('', INT64, [8], int64s(0, 1, 2, 3, 4, 5, 6, 7))), tensors),
    fc.array(usually(bigs(8, 64), integers), { minLength: 1, maxLength: 2 }),
  )
  .map(([values, indices, dims]) => make('SparseTensor', { 1: values, 2: indices, 3: dims }));

// Attributes.

const attribute = (
  name: string,
  field: number,
  type: number,
  content: Parameters<typeof make>[1][number],
): Message => make('Attribute', { 1: name, [field]: content, 20: type });

type Named = (name: string) => fc.Arbitrary<Message>;
const int =
  (...usual: number[]): Named =>
  (name) =>
    usually(bigs(...usual), integers).map((value) => attribute(name, 3, 2, value));
const ints =
  (...usual: number[]): Named =>
  (name) =>
    fc
      .array(usually(bigs(...usual), integers), { maxLength: 6 })
      .map((values) => attribute(name, 8, 7, values));
const float: Named = (name) =>
  floats.map((value) => {
    const message = attribute(name, 2, 1, floatBytes(value, 4));
    message.fields.find(({ number }) => number === 2)!.wire = 5;
    return message;
  });
const text =
  (...usual: string[]): Named =>
  (name) =>
    usually(fc.constantFrom(...usual), texts).map((value) => attribute(name, 4, 3, value));
const tensor: Named = (name) => tensors.map((value) => attribute(name, 5, 4, value));
const tensorList: Named = (name) =>
  fc.array(tensors, { maxLength: 3 }).map((values) => attribute(name, 10, 9, values));
const sparse: Named = (name) => sparseTensors.map((value) => attribute(name, 22, 11, value));
const sparseList: Named = (name) =>
  fc.array(sparseTensors, { maxLength: 2 }).map((values) => attribute(name, 23, 12, values));
const body: Named = (name) =>
  fc.constantFrom(...OPERATORS).map((operator) =>
    attribute(
      name,
      6,
      5,
      make('Graph', {
        1: make('Node', { 1: ['x', 'scale', 'scale'], 2: 'inner', 4: operator }),
        2: 'body',
        12: valueInfo('inner', FLOAT, [2n, 8n, 4n, 4n]),
      }),
    ),
  );

/** The attributes by name. An attribute of the wrong type comes from the edits. */
const ATTRIBUTES: Readonly<Record<string, Named>> = {
  axis: int(0, 1, -1, 2, 3),
  axes: ints(0, 1, 2, 3, -1),
  num_groups: int(1, 2, 4, 8),
  groups: int(1, 2, 4),
  group: int(1, 2, 8),
  epsilon: float,
  stash_type: int(0, 1),
  to: int(1, 7, 9, 10, 11),
  keepdims: int(0, 1),
  noop_with_empty_axes: int(0, 1),
  allowzero: int(0, 1),
  channels_last: int(0, 1),
  activation: int(0, 1),
  blocksize: int(1, 2),
  start: int(0, 1, -1),
  end: int(1, 2, 4),
  perm: ints(0, 1, 2, 3),
  split: ints(1, 4),
  pads: ints(0, 1),
  strides: ints(1, 2),
  dilations: ints(1, 2),
  kernel_shape: ints(1, 3),
  auto_pad: text('NOTSET', 'SAME_UPPER'),
  mode: text('nearest', 'linear', 'constant'),
  value: tensor,
  sparse_value: sparse,
  value_int: int(0, 8),
  value_ints: ints(0, 2, -1),
  value_float: float,
  value_string: text('a'),
  body,
  then_branch: body,
  else_branch: body,
  tensors: tensorList,
  sparse_tensors: sparseList,
};

/**
 * The inputs and attributes of operators: x a value of the graph, c a constant of the channels, s sizes. Of attributes with
 * a bar between them an operator has one.
 */
const SIGNATURES: Readonly<Record<string, readonly [inputs: string, attributes: string]>> = {
  GroupNormalization: ['xcc', 'num_groups epsilon stash_type'],
  InstanceNormalization: ['xcc', 'epsilon'],
  LayerNormalization: ['xcc', 'axis epsilon stash_type'],
  RMSNormalization: ['xc', 'axis epsilon'],
  BatchNormalization: ['xcccc', 'epsilon'],
  GroupNorm: ['xcc', 'groups channels_last activation epsilon'],
  SkipGroupNorm: ['xccx', 'groups channels_last activation epsilon'],
  BiasAdd: ['xcx', ''],
  QuickGelu: ['x', ''],
  Reshape: ['xs', 'allowzero'],
  Mul: ['xx', ''],
  Add: ['xc', ''],
  Sub: ['xx', ''],
  Div: ['xx', ''],
  Pow: ['xx', ''],
  Sqrt: ['x', ''],
  Sigmoid: ['x', ''],
  Relu: ['x', ''],
  Identity: ['x', 'tensors'],
  Where: ['xxx', ''],
  Sum: ['xxx', ''],
  ReduceMean: ['xs', 'axes keepdims noop_with_empty_axes'],
  ReduceSum: ['xs', 'keepdims'],
  Constant: ['', 'value|value|sparse_value|sparse_value|value_int|value_ints|value_float|value_string'],
  ConstantOfShape: ['s', 'value'],
  Shape: ['x', 'start end'],
  Slice: ['xssss', 'axes'],
  Gather: ['xs', 'axis'],
  Concat: ['ss', 'axis'],
  Unsqueeze: ['xs', 'axes'],
  Squeeze: ['xs', 'axes'],
  Transpose: ['x', 'perm'],
  Cast: ['x', 'to'],
  Expand: ['xs', ''],
  Split: ['xs', 'axis split'],
  Pad: ['xsx', 'pads mode'],
  Tile: ['xs', ''],
  Conv: ['xx', 'pads strides dilations kernel_shape group auto_pad'],
  ConvTranspose: ['xx', 'pads strides group'],
  MaxPool: ['x', 'pads strides kernel_shape auto_pad'],
  AveragePool: ['x', 'pads strides kernel_shape'],
  Flatten: ['x', 'axis'],
  Gemm: ['xxx', ''],
  MatMul: ['xx', ''],
  Softmax: ['x', 'axis'],
  Resize: ['xsss', 'mode axes'],
  DepthToSpace: ['x', 'blocksize'],
  SpaceToDepth: ['x', 'blocksize'],
  If: ['x', 'then_branch else_branch'],
  Loop: ['sxx', 'body'],
  Scan: ['x', 'body'],
  Unknown: ['x', 'tensors sparse_tensors sparse_value value'],
};

/** A node; its inputs are numbers that count back from the last value of a role. */
interface Step {
  readonly operator: string;
  readonly inputs: readonly (readonly [role: string, back: number])[];
  readonly attributes: readonly Message[];
  readonly outputs: number;
  readonly domain: string;
}

/** Operators with tensors in their attributes, and normalizations, which the library rewrites. */
const COMMON = [
  'Constant',
  'Unknown',
  'GroupNormalization',
  'InstanceNormalization',
  'LayerNormalization',
  'GroupNorm',
  'If',
];

const domains = usually(fc.constant(''), fc.constantFrom('com.microsoft', 'local', 'ai.onnx.ml'));

const steps: fc.Arbitrary<Step> = fc.oneof(
  ...Object.entries(SIGNATURES).map(([operator, [roles, names]]) => {
    const inputs = fc.tuple(
      ...[...roles].map((role) =>
        fc.tuple(usually(fc.constant(role), fc.constantFrom('x', 's', 'c', '-')), fc.nat(3)),
      ),
    );
    const choices = names
      .split(' ')
      .filter(Boolean)
      .map((name) => fc.oneof(...name.split('|').map((one) => ATTRIBUTES[one]!(one))));
    const arbitrary = fc.record({
      operator: fc.constant(operator),
      inputs: usually(
        inputs,
        fc.array(fc.tuple(fc.constantFrom('x', 's', 'c'), fc.nat(3)), { maxLength: 4 }),
      ),
      attributes: usually(
        fc.tuple(...choices),
        fc.subarray(choices).chain((some) => fc.tuple(...some)),
      ),
      outputs: usually(fc.constant(operator === 'Split' ? 2 : 1), fc.constantFrom(0, 2, 3)),
      domain: /Skip|GroupNorm$|BiasAdd|QuickGelu/.test(operator) ? fc.constant('com.microsoft') : domains,
    });
    return { weight: COMMON.includes(operator) ? 6 : 1, arbitrary };
  }),
);

const dims = usually(
  fc.constant<(bigint | string)[]>([2n, 8n, 4n, 4n]),
  fc.array(fc.oneof<fc.Arbitrary<bigint | string>[]>(integers, fc.constantFrom('N', 'H')), { maxLength: 5 }),
);

const CONSTANTS = [
  rawTensor('scale', FLOAT, [8], floatsOf(8)),
  rawTensor('column', FLOAT, [8, 1, 1], floatsOf(8)),
  rawTensor('rows', INT64, [3], int64s(0, 2, -1)),
  rawTensor('like', INT64, [4], int64s(2, 8, 4, 4)),
  rawTensor('axes', INT64, [2], int64s(2, 3)),
];

/** Models with one graph, and now and then a local function, other tensors and training. */
export const graphModels: fc.Arbitrary<Message> = fc
  .record({
    list: fc.oneof(
      fc.array(steps, { minLength: 1, maxLength: 2 }),
      fc.array(steps, { minLength: 1, maxLength: 6 }),
    ),
    input: dims,
    output: dims,
    opset: fc.constantFrom(9, 11, 13, 17, 18, 20, 21, 25),
    initializer: rarely(tensors),
    sparse: rarely(sparseTensors),
    functionDefault: rarely(fc.oneof(tensor('value'), sparse('sparse_value'), int(1)('axis'))),
    isTraining: usually(fc.constant(false), fc.constant(true)),
  })
  .map(
    ({ list, input, output, opset, initializer, sparse: sparseInitializer, functionDefault, isTraining }) => {
      const { nodes, last } = nodesOf(list, sparseInitializer === null ? [] : ['t']);
      const graph = make('Graph', {
        1: nodes,
        2: 'fuzz',
        5: [...CONSTANTS, ...(initializer === null ? [] : [initializer])],
        11: valueInfo('x', FLOAT, input),
        12: valueInfo(last, FLOAT, output),
        15: sparseInitializer ?? [],
      });
      const imports = [
        ['', opset],
        ['com.microsoft', 1],
        ['local', 1],
        ['ai.onnx.ml', 3],
      ].map(([domain, version]) => make('OperatorSet', { 1: domain!, 2: version! }));
      const local =
        functionDefault &&
        make('Function', {
          1: 'Unknown',
          4: ['a'],
          5: 'c',
          7: make('Node', { 1: ['a'], 2: ['c'], 4: 'Identity' }),
          9: imports,
          10: 'local',
          11: functionDefault,
        });
      return make('Model', {
        1: 8,
        7: graph,
        8: imports,
        20: isTraining ? make('Training', { 1: graph }) : [],
        25: local ?? [],
      });
    },
  );

/** Operators whose results are sizes. */
const SIZES = ['Shape', 'Constant', 'Concat', 'Gather', 'Slice'];

function nodesOf(
  list: readonly Step[],
  more: readonly string[],
): { readonly nodes: Message[]; readonly last: string } {
  const values: Record<string, string[]> = {
    x: ['x'],
    c: ['scale', 'column', ...more],
    s: ['axes', 'like', 'rows'],
    '-': [''],
  };
  let last = 'x';
  const nodes = list.map(({ operator, inputs, attributes, outputs, domain }, i) => {
    const read = inputs.map(([role, back]) => values[role]!.at(-1 - (back % values[role]!.length))!);
    const written = Array.from({ length: outputs }, (_, output) => `v${i}.${output}`);
    values[SIZES.includes(operator) ? 's' : 'x']!.push(...written);
    last = written[0] ?? last;
    return make('Node', { 1: read, 2: written, 4: operator, 5: [...attributes], 7: domain || [] });
  });
  return { nodes, last };
}
