/** Canonical nodes as nodes of one opset: the operators that it has, and the attributes that are inputs there. */
import { GraphError } from '../../errors.js';
import { type Attribute, type Attributes, type Node, ONNX_DTYPE } from '../../graph/types.js';
import type { Fragment } from '../../lowering/lower.js';
import type { SkipEmpty } from '../../lowering/skip-empty.js';
import { int64Vector, tensor } from '../../tensor.js';
import type { TensorMessage } from '../protobuf/messages.js';
import { ATTRIBUTE_TYPE, type AttributeMessage, type NodeMessage } from '../protobuf/proto.js';
import { encodeTensor } from '../protobuf/tensors.js';

/**
 * The first opset of every ONNX operator that is newer than the first opset of models that are built. `op` has some of them,
 * and `Scope.node` takes any. Source: `onnx.defs.get_all_schemas_with_history()` of ONNX 1.23.
 */
const SINCE_OPSET: Readonly<Record<string, number>> = {
  AffineGrid: 20,
  Attention: 23,
  Bernoulli: 15,
  BitCast: 26,
  BitwiseAnd: 18,
  BitwiseNot: 18,
  BitwiseOr: 18,
  BitwiseXor: 18,
  BlackmanWindow: 17,
  CastLike: 15,
  CausalConvWithState: 27,
  CenterCropPad: 18,
  Col2Im: 18,
  CumProd: 26,
  DFT: 17,
  DeformConv: 19,
  Gelu: 20,
  GridSample: 16,
  GroupNormalization: 18,
  HammingWindow: 17,
  HannWindow: 17,
  HardSwish: 14,
  ImageDecoder: 20,
  LayerNormalization: 17,
  LinearAttention: 27,
  MelWeightMatrix: 17,
  Mish: 18,
  Optional: 15,
  OptionalGetElement: 15,
  OptionalHasElement: 15,
  RMSNormalization: 23,
  RegexFullMatch: 20,
  RotaryEmbedding: 23,
  STFT: 17,
  SequenceMap: 17,
  StringConcat: 20,
  StringSplit: 20,
  SwiGLU: 28,
  Swish: 24,
  TensorScatter: 24,
  Trilu: 14,
};

/**
 * The first opset in which an operator of `op` takes bfloat16, if the operator itself is older. Source: ONNX operator
 * pages.
 */
const BFLOAT16_SINCE_OPSET: Readonly<Record<string, number>> = {
  AveragePool: 22,
  BatchNormalization: 14,
  Conv: 22,
  ConvTranspose: 22,
  GlobalAveragePool: 22,
  InstanceNormalization: 22,
  LeakyRelu: 16,
  MaxPool: 22,
  Where: 16,
};

/**
 * The inputs that are attributes in the canonical graph, in the order of the operator's inputs, and the opset from which
 * they are inputs. Models of opset 7 to 12 get parts of the lowerings only, not Resize. Its second input, `roi`, is not used.
 * Pad has no `axes` before opset 18.
 */
const ATTRIBUTES_THAT_ARE_INPUTS: Readonly<Record<string, readonly [since: number, names: string[]]>> = {
  ReduceMean: [18, ['axes']],
  ReduceProd: [18, ['axes']],
  Pad: [18, ['axes']],
  Resize: [0, ['roi', 'scales', 'sizes']],
  Slice: [10, ['starts', 'ends', 'axes']],
  Squeeze: [13, ['axes']],
  Unsqueeze: [13, ['axes']],
};

interface EncodedNode {
  readonly node: NodeMessage;
  /** Small tensors that are attributes in the canonical graph and inputs at this opset. */
  readonly initializers: TensorMessage[];
}

/**
 * Writes one canonical node for an opset.
 * @throws GraphError `OPERATOR_UNAVAILABLE` if the opset does not have the operator, or not for this dtype.
 */
export function encodeNode(node: Node, opset: number): EncodedNode {
  requireOperator(node, opset);
  const initializers: TensorMessage[] = [];
  const inputs = node.inputs.map((input) => input?.name ?? '');
  const kept: Record<string, Attribute> = { ...node.attributes };
  if (node.opType === 'Pad' && opset < 18) delete kept['axes'];
  for (const name of attributesThatAreInputs(node.opType, opset)) {
    const attribute = node.attributes[name];
    delete kept[name];
    if (!attribute) {
      inputs.push('');
      continue;
    }
    const initializer = encodeTensor(`${node.name}_${name}`, listTensor(attribute));
    initializers.push(initializer);
    inputs.push(initializer.name);
  }
  while (inputs.at(-1) === '') inputs.pop();
  const message = toProto(node, inputs, kept);
  const branches = (node.branches ?? []).map(({ nodes, result }, index) => {
    const encoded = nodes.map((inner) => encodeNode(inner, opset));
    initializers.push(...encoded.flatMap((inner) => inner.initializers));
    const name = index === 0 ? 'then_branch' : 'else_branch';
    return branchAttribute(
      name,
      encoded.map((inner) => inner.node),
      result.name,
    );
  });
  return { node: { ...message, attribute: [...message.attribute!, ...branches] }, initializers };
}

/** Returns the attribute of an If that has a branch. */
const branchAttribute = (name: string, node: NodeMessage[], result: string): AttributeMessage => ({
  name,
  type: ATTRIBUTE_TYPE.GRAPH,
  g: { name, node, output: [{ name: result }] },
});

function toProto(
  { name, domain, opType, outputs }: Node,
  input: string[],
  attributes: Attributes,
): NodeMessage {
  const attribute = Object.entries(attributes).map(([key, value]) => encodeAttribute(key, value));
  return {
    name,
    ...(domain !== undefined && { domain }),
    opType,
    input,
    output: outputs.map((output) => output.name),
    attribute,
  };
}

function attributesThatAreInputs(opType: string, opset: number): readonly string[] {
  if (!Object.hasOwn(ATTRIBUTES_THAT_ARE_INPUTS, opType)) return [];
  const [since, names] = ATTRIBUTES_THAT_ARE_INPUTS[opType]!;
  return opset >= since ? names : [];
}

function requireOperator({ opType, name, inputs }: Node, opset: number): void {
  const isBfloat16 = inputs.some((input) => input?.dtype === 'bfloat16');
  const dtype = isBfloat16 ? 'bfloat16' : inputs[0]?.dtype;
  const since = Math.max(
    sinceIn(SINCE_OPSET, opType),
    isBfloat16 ? sinceIn(BFLOAT16_SINCE_OPSET, opType) : 0,
  );
  if (opset >= since) return;
  throw new GraphError(
    'OPERATOR_UNAVAILABLE',
    `${opType} '${name}'${dtype ? ` of ${dtype}` : ''} needs opset ${since} or later, not ${opset}`,
  );
}

/** Looks at own properties only: an operator may have the name `constructor`. */
const sinceIn = (table: Readonly<Record<string, number>>, opType: string): number =>
  Object.hasOwn(table, opType) ? table[opType]! : 0;

function listTensor(attribute: Attribute) {
  if (attribute.type === 'FLOATS') {
    return tensor('float32', [attribute.value.length], Float32Array.from(attribute.value));
  }
  const values = attribute.value as readonly number[];
  return int64Vector(values);
}

/** Encodes an attribute of a node. */
export function encodeAttribute(name: string, attribute: Attribute): AttributeMessage {
  const type = ATTRIBUTE_TYPE[attribute.type];
  switch (attribute.type) {
    case 'INT':
      return { name, type, i: attribute.value };
    case 'FLOAT':
      return { name, type, f: attribute.value };
    case 'STRING':
      return { name, type, s: new TextEncoder().encode(attribute.value) };
    case 'INTS':
      return { name, type, ints: [...attribute.value] };
    case 'FLOATS':
      return { name, type, floats: [...attribute.value] };
  }
}

/** Longer constants are weights, of which two are not equal by chance. */
const MOST_SHARED_BYTES = 64;

/** The constants that fragments add to a model. Equal small ones, such as targets of Reshape, are one: under its first name. */
export class AddedConstants {
  readonly tensors: TensorMessage[] = [];
  readonly #names = new Map<string, string>();

  /** Adds a constant, unless there is an equal one. Returns the name that nodes read it by. */
  add(constant: TensorMessage): string {
    const { name, dataType, dims, rawData } = constant;
    if (rawData!.length <= MOST_SHARED_BYTES) {
      const content = `${dataType} ${dims.join()} ${String.fromCharCode(...rawData!)}`;
      const known = this.#names.get(content);
      if (known !== undefined) return known;
      this.#names.set(content, name);
    }
    this.tensors.push(constant);
    return name;
  }
}

/**
 * Makes the nodes of a fragment for an opset.
 * @param added Gets the fragment's constants.
 */
export function fragmentNodes(
  { nodes, constants, skipEmpty }: Fragment,
  opset: number,
  added: AddedConstants,
): NodeMessage[] {
  const encoded = nodes.map((node) => encodeNode(node, opset));
  const names = new Map<string, string>();
  for (const { name, data } of constants) names.set(name, added.add(encodeTensor(name, data!)));
  for (const { initializers } of encoded)
    for (const tensor of initializers) names.set(tensor.name, added.add(tensor));
  const messages = encoded.map(({ node }) => readingFrom(names, node));
  return skipEmpty ? nodesIfNotEmpty(skipEmpty, messages) : messages;
}

/** Returns a node that reads values under other names, in its branches too. */
function readingFrom(names: ReadonlyMap<string, string>, node: NodeMessage): NodeMessage {
  const attribute = node.attribute?.map((each) =>
    each.g
      ? { ...each, g: { ...each.g, node: each.g.node!.map((inner) => readingFrom(names, inner)) } }
      : each,
  );
  const input = node.input!.map((name) => names.get(name) ?? name);
  return { ...node, input, ...(attribute && { attribute }) };
}

/** Makes a constant as a node. */
export const constantNode = (tensor: TensorMessage): NodeMessage => ({
  opType: 'Constant',
  name: tensor.name,
  output: [tensor.name],
  attribute: [{ name: 'value', type: ATTRIBUTE_TYPE.TENSOR, t: tensor }],
});

/** Puts nodes into the body of an If that runs it where the input has elements. */
function nodesIfNotEmpty(names: SkipEmpty, nodes: NodeMessage[]): NodeMessage[] {
  const { input, output, reshape, size, hasElements, computed, empty } = names;
  const passedOn: NodeMessage = reshape
    ? {
        opType: 'Reshape',
        name: empty,
        input: [input, reshape.target.name],
        output: [empty],
        attribute: reshape.allowZero ? [encodeAttribute('allowzero', { type: 'INT', value: 1 })] : [],
      }
    : { opType: 'Identity', name: empty, input: [input], output: [empty] };
  return [
    { opType: 'Size', name: size, input: [input], output: [size] },
    {
      opType: 'Cast',
      name: hasElements,
      input: [size],
      output: [hasElements],
      attribute: [encodeAttribute('to', { type: 'INT', value: ONNX_DTYPE.bool })],
    },
    {
      opType: 'If',
      name: `${output}/if`,
      input: [hasElements],
      output: [output],
      attribute: [
        branchAttribute('then_branch', nodes, computed),
        branchAttribute('else_branch', [passedOn], empty),
      ],
    },
  ];
}
