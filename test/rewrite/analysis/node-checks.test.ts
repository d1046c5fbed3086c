import { expect } from 'chai';
import { describe, it } from 'mocha';
import * as ort from 'onnxruntime-node';
import { ModelError, OnnxGroupNormError } from '../../../lib/errors.js';
import { convertModel } from '../../../lib/rewrite/convert.js';
import { createSession } from '../../../lib/runtime/node.js';
import { type Arity, arityOf, KNOWN_OPERATORS } from '../../../lib/shapes/arity.js';
import { int, message, model, text, valueInfo } from '../../onnx/bytes.js';

type Bytes = readonly number[];

const [FLOAT, INT64] = [1, 7];

interface NodeSpec {
  readonly opType: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: readonly Bytes[];
}

/** The name of an input, made once: a test has 150,000 of them. */
const X = text(1, 'x');

const encodeNode = ({ opType, inputs, outputs, attributes = [] }: NodeSpec): Bytes => {
  const names = [
    ...inputs.map((name) => (name === 'x' ? X : text(1, name))),
    ...outputs.map((name) => text(2, name)),
  ];
  const domain = CONTRIB.includes(opType) ? [text(7, 'com.microsoft')] : [];
  return message(1, names.flat(), text(4, opType), ...domain, ...attributes);
};

/** Nodes in a graph whose last node makes the passes ask for types: they read the whole graph then. */
const modelOf = (nodes: NodeSpec | readonly NodeSpec[], ...more: readonly Bytes[]): Uint8Array =>
  model(
    ...[nodes].flat().map(encodeNode),
    encodeNode({ opType: 'InstanceNormalization', inputs: ['x', 'scale', 'scale'], outputs: ['n'] }),
    ...[valueInfo(11, 'x', FLOAT, 1, 4, 4, 4), valueInfo(11, 'scale', FLOAT, 4)],
    ...[valueInfo(12, 'n', FLOAT, 1, 4, 4, 4), ...more],
  );

const KERNEL = ['BlockedGroupNormalization', 'FusedGroupNormalization'];
const CONTRIB = ['BiasAdd', 'GroupNorm', 'NhwcConv', 'QuickGelu', 'SkipGroupNorm', ...KERNEL];

const OPSET = 21;
const inputsOf = (count: number): string[] => Array<string>(count).fill('x');
const outputsOf = (count: number): string[] => Array.from({ length: count }, (_, index) => `y${index}`);

/** Nodes with too few and too many inputs and outputs, and with empty names. */
function brokenNodes(opType: string, arity: Arity): NodeSpec[] {
  const { minInputs, maxInputs, minOutputs, maxOutputs } = arity;
  const [inputs, outputs] = [inputsOf(minInputs), outputsOf(minOutputs)];
  return [
    ...(minInputs === 0 ? [] : [0, minInputs - 1].map((few) => ({ opType, inputs: inputsOf(few), outputs }))),
    ...(maxInputs === Infinity
      ? []
      : [maxInputs + 1, 300].map((many) => ({ opType, inputs: inputsOf(many), outputs }))),
    ...inputs.map((_, at) => ({ opType, outputs, inputs: inputs.with(at, '') })),
    { opType, inputs, outputs: [] },
    ...(maxOutputs === Infinity ? [] : [{ opType, inputs, outputs: outputsOf(maxOutputs + 1) }]),
    ...outputs.map((_, at) => ({ opType, inputs, outputs: outputs.with(at, '') })),
  ];
}

const refuses = (bytes: Uint8Array, what: string): void => {
  expect(() => convertModel(bytes), what)
    .to.throw(ModelError, /^model: \S+ '.*' has /)
    .with.property('code', 'MODEL_INVALID');
};

const attribute = (name: string, type: number, ...value: readonly Bytes[]): Bytes =>
  message(5, text(1, name), ...value, int(20, type));

/** Values in the fields of an AttributeProto, by their type. */
const VALUES: Readonly<Record<string, { readonly type: number; readonly field: Bytes }>> = {
  FLOAT: { type: 1, field: [0x15, 0, 0, 0xc0, 0x3f] },
  INT: { type: 2, field: int(3, 1) },
  STRING: { type: 3, field: text(4, 'text') },
  TENSOR: { type: 4, field: message(5, int(1, 1), int(2, FLOAT), message(9, [0, 0, 0x80, 0x3f])) },
  FLOATS: { type: 6, field: message(7, [0, 0, 0xc0, 0x3f]) },
  INTS: { type: 7, field: int(8, 1) },
};

/** Attributes that passes read, one operator for each. */
const ATTRIBUTES: readonly (readonly [opType: string, name: string, type: keyof typeof VALUES])[] = [
  ['Constant', 'value_int', 'INT'],
  ['Constant', 'value_ints', 'INTS'],
  ['Constant', 'value_float', 'FLOAT'],
  ['Constant', 'value_floats', 'FLOATS'],
  ['Concat', 'axis', 'INT'],
  ['GroupNormalization', 'num_groups', 'INT'],
  ['GroupNormalization', 'epsilon', 'FLOAT'],
  ['LayerNormalization', 'axis', 'INT'],
  ['Cast', 'to', 'INT'],
  ['Conv', 'pads', 'INTS'],
  ['Conv', 'strides', 'INTS'],
  ['Conv', 'dilations', 'INTS'],
  ['Conv', 'auto_pad', 'STRING'],
  ['MaxPool', 'kernel_shape', 'INTS'],
  ['ConvTranspose', 'output_shape', 'INTS'],
  ['Transpose', 'perm', 'INTS'],
  ['ReduceMean', 'keepdims', 'INT'],
  ['ReduceMean', 'noop_with_empty_axes', 'INT'],
  ['DepthToSpace', 'blocksize', 'INT'],
  ['Gemm', 'transA', 'INT'],
  ['Reshape', 'allowzero', 'INT'],
  ['Shape', 'start', 'INT'],
];

describe('nodes of existing models', () => {
  it('convert refuses a node with a number of inputs or outputs, or an empty name, that its operator does not take', () => {
    for (const opType of KNOWN_OPERATORS) {
      for (const node of brokenNodes(opType, arityOf(opType, OPSET)!)) {
        const what = `${opType} ${node.inputs.length} → ${node.outputs.length}`;
        refuses(modelOf(node), what);
      }
    }
  }).timeout(20_000);

  it('convert takes a Sum of 150,000 inputs, and refuses a Where of as many', () => {
    const spec = { inputs: inputsOf(150_000), outputs: ['y'] };
    refuses(modelOf({ opType: 'Where', ...spec }), 'Where');
    expect(convertModel(modelOf({ opType: 'Sum', ...spec })).replaced.rows).to.equal(1);
  });

  it('ONNX Runtime refuses the same nodes', async () => {
    for (const opType of ['Add', 'Where', 'Constant', 'LayerNormalization', 'Split', 'Clip', 'Resize']) {
      for (const node of brokenNodes(opType, arityOf(opType, OPSET)!)) {
        const loading = ort.InferenceSession.create(modelOf(node), { logSeverityLevel: 4 });
        const outcome = await loading.then(
          () => 'loaded',
          () => 'refused',
        );
        expect([node, outcome]).to.deep.equal([node, 'refused']);
      }
    }
  });

  it('createSession refuses a node without outputs that reads a GroupNormalization', async () => {
    const norm = ['x', 'scale', 'scale'].map((name) => text(1, name));
    const bytes = model(
      message(1, ...norm, text(2, 'g'), text(4, 'GroupNormalization'), attribute('num_groups', 2, int(3, 2))),
      message(1, text(1, 'g'), text(4, 'Relu')),
      message(1, text(1, 'x'), text(2, 'n'), text(4, 'Identity')),
      ...[valueInfo(11, 'x', FLOAT, 1, 4, 4, 4), valueInfo(11, 'scale', FLOAT, 4)],
      valueInfo(12, 'n', FLOAT, 1, 4, 4, 4),
    );
    const error = await createSession(bytes).catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(ModelError).with.property('code', 'MODEL_INVALID');
    expect((error as Error).message).to.equal(
      "model: Relu 'without a name' has 0 outputs, and the operator takes 1; export the model again",
    );
  });

  it('convert refuses an attribute whose type, or whose value, is of another type than the operator has', () => {
    for (const [opType, name, type] of ATTRIBUTES) {
      const { minInputs } = arityOf(opType, OPSET)!;
      const node = { opType, inputs: inputsOf(minInputs), outputs: ['y'] };
      const right = VALUES[type]!;
      for (const [other, { type: declared, field }] of Object.entries(VALUES)) {
        if (other === type) continue;
        const wrong = [
          attribute(name, declared, field),
          attribute(name, right.type, field),
          attribute(name, right.type, right.field, field),
          message(5, text(1, name), right.field),
        ];
        for (const bad of wrong) refuses(modelOf({ ...node, attributes: [bad] }), `${name} ${other}`);
      }
      const twice = [attribute(name, right.type, right.field), attribute(name, right.type, right.field)];
      refuses(modelOf({ ...node, attributes: twice }), `${name} twice`);
    }
  });

  it('convert takes any numbers, and constants of any type and rank, without an error that has no code', () => {
    const extremes = [-(2n ** 63n), 2n ** 63n - 1n, -1n, 0n, 2n ** 53n + 1n, 5n];
    const constants = constantsOf();
    let tried = 0;
    const attempt = (bytes: Uint8Array, what: string): void => {
      tried += 1;
      try {
        convertModel(bytes);
      } catch (error) {
        expect(error, what).to.be.instanceOf(OnnxGroupNormError);
      }
    };
    for (const opType of KNOWN_OPERATORS) {
      const { minInputs, maxInputs, minOutputs } = arityOf(opType, OPSET)!;
      const outputs = outputsOf(minOutputs);
      const node = { opType, inputs: inputsOf(minInputs), outputs };
      for (const value of extremes) {
        const ints = INTEGERS.map((name) => attribute(name, 2, int(3, value)));
        const lists = LISTS.map((name) => attribute(name, 7, int(8, value), int(8, value)));
        attempt(modelOf({ ...node, attributes: [...ints, ...lists] }), `${opType} ${value}`);
      }
      const emptyLists = LISTS.map((name) => attribute(name, 7));
      attempt(modelOf({ ...node, attributes: emptyLists }), `${opType} of empty lists`);
      for (let at = 0; at < Math.min(maxInputs, 5); at++) {
        const nodes = constants.map((_, index) => ({
          opType,
          inputs: inputsOf(Math.max(at + 1, minInputs)).with(at, `c${index}`),
          outputs: outputs.map((name) => `${name}_${index}`),
        }));
        attempt(modelOf(nodes, ...constants), `${opType} with a constant input ${at}`);
      }
    }
    expect(tried).to.be.greaterThan(600);
  }).timeout(20_000);
});

const INTEGERS = 'allowzero axis blocksize end group groups keepdims num_groups start to'.split(' ');
const LISTS = 'axes dilations kernel_shape pads perm split strides'.split(' ');

/** Initializers that few operators can use: empty, of many ranks, of extreme values, of the wrong dtype. */
function constantsOf(): Bytes[] {
  const initializer =
    (dtype: number, dims: readonly number[], raw: ArrayBufferLike) =>
    (name: string): Bytes =>
      message(
        5,
        ...dims.map((dim) => int(1, dim)),
        int(2, dtype),
        text(8, name),
        message(9, [...new Uint8Array(raw)]),
      );
  const int64s = (...values: bigint[]) => BigInt64Array.from(values).buffer;
  const floats = (...values: number[]) => Float32Array.from(values).buffer;
  return [
    initializer(INT64, [0], int64s()),
    initializer(INT64, [], int64s(2n)),
    initializer(INT64, [1], int64s(-(2n ** 63n))),
    initializer(INT64, [2], int64s(2n ** 63n - 1n, 2n ** 62n)),
    initializer(INT64, [1, 2], int64s(1n, 1n)),
    initializer(INT64, [2, 0], int64s()),
    initializer(INT64, [4], int64s(-1n, -1n, 0n, 0n)),
    initializer(FLOAT, [2], floats(NaN, Infinity)),
    initializer(FLOAT, [1], floats(-1e38)),
    initializer(FLOAT, [], floats(1.5)),
    initializer(FLOAT, [0], floats()),
    initializer(9, [2], Uint8Array.of(1, 0).buffer),
  ].map((make, index) => make(`c${index}`));
}
