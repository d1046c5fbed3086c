/** Models to fuzz: models that exporters write, with edits; graphs of known operators; messages of any fields. */
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { LOWERING_NAMES } from '../../lib/lowering/types.js';
import { exportedModel } from '../support/exported-model.js';
import { groupNormModel, randomTensor } from '../support/group-norm.js';
import { type Damage, damaged, damages, edited, edits, messageOf } from './edits.js';
import { make, type Message, readMessage, withoutRemarks, writeMessage } from './messages.js';
import { LOCATIONS, OPERATORS } from './values.js';

const SAMPLES = new URL('../samples/', import.meta.url);

/** GroupNorm in every form that the passes know, as small models. */
function baseModels(): Message[] {
  const files = readdirSync(SAMPLES, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.onnx'),
  );
  const norm = {
    x: randomTensor('float32', [2, 8, 4, 4]),
    scale: randomTensor('float32', [8], { stream: 'scale' }),
    bias: randomTensor('float32', [8], { stream: 'bias' }),
    numGroups: 2,
    eps: 1e-5,
  };
  return [
    ...files.sort().map((name) => new Uint8Array(readFileSync(new URL(name, SAMPLES)))),
    ...LOWERING_NAMES.map((lowering) => groupNormModel(norm, { lowering, opset: 21 })),
    exportedModel(norm, 17),
  ]
    .filter((bytes) => bytes.length < 20_000)
    .map((bytes) => withoutRemarks(readMessage('Model', bytes)));
}

const BASES = baseModels();

/** A model that loads everywhere. */
export const RIGHT_MODEL = writeMessage(BASES.at(-1)!);

const valueInfo = (name: string, type: number, dims: readonly (number | string)[]): Message =>
  make('ValueInfo', {
    1: name,
    2: make('Type', {
      1: make('TensorType', {
        1: type,
        2: make('Shape', {
          1: dims.map((dim) => make('Dim', typeof dim === 'string' ? { 2: dim } : { 1: dim })),
        }),
      }),
    }),
  });

const [FLOAT, INT64] = [1, 7];

const rawTensor = (name: string, type: number, dims: readonly number[], data: ArrayBufferView): Message =>
  make('Tensor', { 1: dims, 2: type, 8: name, 9: new Uint8Array(data.buffer) });

const int64s = (...values: number[]): BigInt64Array => BigInt64Array.from(values, BigInt);

const externalTensor = (location: string): Message =>
  make('Tensor', {
    1: 8,
    2: FLOAT,
    8: 'external',
    13: [make('Entry', { 1: 'location', 2: location }), make('Entry', { 1: 'length', 2: '32' })],
    14: 1,
  });

/** Attributes that operators have, with tensors in every place. */
function attributes(): readonly Message[] {
  const weights = rawTensor('t', FLOAT, [8], new Float32Array(8).fill(1));
  const body = make('Graph', {
    1: make('Node', { 1: 'x', 2: 'inner', 4: 'Identity' }),
    2: 'body',
    12: valueInfo('inner', FLOAT, [2, 8, 4, 4]),
  });
  const ints = (name: string, ...values: number[]): Message =>
    make('Attribute', { 1: name, 8: values, 20: 7 });
  const int = (name: string, value: number): Message => make('Attribute', { 1: name, 3: value, 20: 2 });
  const sparse = (values: Message): Message =>
    make('SparseTensor', { 1: values, 2: rawTensor('', INT64, [8], int64s(0, 1, 2, 3, 4, 5, 6, 7)), 3: 64 });
  return [
    ...[0, 1, -1, 3, 64, -65].map((value) => int('axis', value)),
    ...[0, 1, 2, 8, 3, 2 ** 31].map((value) => int('num_groups', value)),
    ...[0, 1, 2, 2 ** 40].map((value) => int('groups', value)),
    ...[0, 1, 7, 99].map((value) => int('to', value)),
    int('keepdims', 0),
    int('channels_last', 1),
    int('activation', 1),
    int('blocksize', 2 ** 20),
    ints('perm', 0, 2, 3, 1),
    ints('perm', 0, 0, 9, -1),
    ints('axes', 2, 3),
    ints('axes', -9, 2 ** 40),
    ints('split', 4, 4),
    ints('pads', 0, 0, 1, 1, 0, 0, 1, 1),
    ints('pads', 0, 0, 2 ** 40, 1),
    ints('kernel_shape', 3, 3),
    ints('kernel_shape', 0, -1),
    ints('strides', 0, 2),
    ints('dilations', 2 ** 40, 1),
    make('Attribute', { 1: 'value', 5: weights, 20: 4 }),
    make('Attribute', { 1: 'value', 5: rawTensor('', INT64, [4], int64s(0, 2, -1, 2 ** 40)), 20: 4 }),
    make('Attribute', { 1: 'value_ints', 8: [0, 2, -1], 20: 7 }),
    make('Attribute', { 1: 'value_string', 4: 'text', 20: 3 }),
    make('Attribute', { 1: 'sparse_value', 22: sparse(weights), 20: 11 }),
    make('Attribute', { 1: 'body', 6: body, 20: 5 }),
    make('Attribute', { 1: 'then_branch', 6: body, 20: 5 }),
    make('Attribute', { 1: 'value', 21: 'other', 20: 4 }),
    ...LOCATIONS.flatMap((location) => [
      make('Attribute', { 1: 'value', 5: externalTensor(location), 20: 4 }),
      make('Attribute', { 1: 'sparse_value', 22: sparse(externalTensor(location)), 20: 11 }),
      make('Attribute', { 1: 'tensors', 10: [weights, externalTensor(location)], 20: 9 }),
    ]),
  ];
}

const ATTRIBUTE_LIST = attributes();

/** A step of a graph: a node with inputs by number, counted back from the last value; the other numbers choose more. */
interface Step {
  readonly operator: string;
  readonly inputs: readonly number[];
  readonly attribute: number;
  readonly outputs: number;
  readonly domain: number;
}

const steps: fc.Arbitrary<Step> = fc.record({
  operator: fc.constantFrom(...OPERATORS),
  inputs: fc.array(fc.nat(12), { minLength: 0, maxLength: 4 }),
  attribute: fc.nat(ATTRIBUTE_LIST.length * 3),
  outputs: fc.constantFrom(1, 1, 1, 1, 2, 3, 0),
  domain: fc.nat(9),
});

const DOMAINS = ['com.microsoft', 'local', 'ai.onnx.ml'];
const OPSETS = [11, 13, 17, 18, 21, 25];

/** Builds a graph whose nodes read earlier values, for the most part. */
function graphOf(list: readonly Step[], choice: number): Message {
  const location = LOCATIONS[choice % LOCATIONS.length]!;
  const initializers = [
    rawTensor('scale', FLOAT, [8], new Float32Array(8).fill(1)),
    rawTensor('rows', INT64, [3], int64s(0, 2, -1)),
    rawTensor('like', INT64, [4], int64s(2, 8, 4, 4)),
    rawTensor('axes', INT64, [2], int64s(2, 3)),
    ...(choice % 3 === 0 ? [externalTensor(location)] : []),
  ];
  const values = ['', 'x', 'scale', 'rows', 'like', 'axes'];
  if (choice % 3 === 0) values.push('external');
  const nodes = list.map((step, i) => {
    const outputs = Array.from({ length: step.outputs }, (_, output) => `v${i}.${output}`);
    const inputs = step.inputs.map(
      (back) => values[(values.length - 1 - back + 99 * values.length) % values.length]!,
    );
    values.push(...outputs);
    const attribute = ATTRIBUTE_LIST[step.attribute];
    return make('Node', {
      1: inputs,
      2: outputs,
      4: step.operator,
      ...(attribute && { 5: attribute }),
      ...(DOMAINS[step.domain] && { 7: DOMAINS[step.domain]! }),
    });
  });
  const graph = make('Graph', {
    1: nodes,
    2: 'fuzz',
    5: initializers,
    11: valueInfo('x', FLOAT, [2, 8, 4, 4]),
    12: valueInfo(values.at(-1)!, FLOAT, choice % 2 === 0 ? [2, 8, 4, 4] : ['A', 'B']),
  });
  const opset = OPSETS[choice % OPSETS.length]!;
  const imports = [
    make('OperatorSet', { 1: '', 2: opset }),
    ...DOMAINS.map((domain) => make('OperatorSet', { 1: domain, 2: 1 })),
  ];
  const local = make('Function', {
    1: list[0]?.operator ?? 'f',
    4: ['a', 'b'],
    5: 'c',
    7: make('Node', { 1: ['a'], 2: ['c'], 4: 'Identity' }),
    9: imports,
    10: 'local',
    ...(choice % 2 === 0 && { 11: ATTRIBUTE_LIST[choice % ATTRIBUTE_LIST.length]! }),
  });
  return make('Model', { 1: 8, 7: graph, 8: imports, ...(choice % 5 === 0 && { 25: local }) });
}

const someEdits = fc.array(edits, { maxLength: 6 });
/** Most models stay readable: damage to the bytes comes in one of six. */
const someDamage: fc.Arbitrary<readonly Damage[]> = fc.oneof(
  { weight: 5, arbitrary: fc.constant([]) },
  { weight: 1, arbitrary: fc.array(damages, { minLength: 1, maxLength: 2 }) },
);

const trees: fc.Arbitrary<Message> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...BASES) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.array(steps, { minLength: 1, maxLength: 6 }), fc.nat(2 ** 16))
      .map(([list, choice]) => graphOf(list, choice)),
  },
  { weight: 1, arbitrary: messageOf('Model', 4) },
);

/** The bytes of models. */
export const models: fc.Arbitrary<Uint8Array> = fc
  .tuple(trees, someEdits, someDamage)
  .map(([tree, list, damage]) => damaged(writeMessage(edited(tree, list)), damage));

/** The bytes of TensorProto files, from right ones of every dtype and from any fields. */
export const tensorFiles: fc.Arbitrary<Uint8Array> = fc
  .tuple(
    fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...baseTensors()) }, messageOf('Tensor', 1)),
    someEdits,
    someDamage,
  )
  .map(([tree, list, damage]) => damaged(writeMessage(edited(tree, list)), damage));

function baseTensors(): Message[] {
  const folder = new URL('tensors/', SAMPLES);
  return readdirSync(folder)
    .sort()
    .map((name) => readMessage('Tensor', new Uint8Array(readFileSync(new URL(name, folder)))));
}
