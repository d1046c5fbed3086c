/**
 * The operators that compute the same on tensors in ONNX Runtime's blocked layout as on plain tensors.
 *
 * A blocked tensor is (N, P, H, W) in name, where P is the number of channels C, rounded up to whole blocks of b channels, and
 * N × P/b × H × W × b in memory. Channels from C to P are padding. ONNX Runtime's convolutions multiply them by weights of 0,
 * so that they must be finite: operators that are not finite at 0 stay plain.
 */
import { float, int, ints, string } from '../../graph/attr.js';
import { DEFAULT_EPSILON } from '../../graph/ops/normalization.js';
import { type Attributes, type Node, Value } from '../../graph/types.js';
import type { Fragment } from '../../lowering/lower.js';
import { BLOCKED_OP, CONTRIB_DOMAIN, FUSED_DOMAIN, FUSED_OP, NCHWC_DOMAIN } from '../../lowering/types.js';
import type { Model } from '../../onnx/model.js';
import type { ModelNode } from '../../onnx/graph/node.js';
import { ATTRIBUTE_TYPE } from '../../onnx/protobuf/proto.js';
import { int64Vector } from '../../tensor.js';
import { isGroupNorm } from '../norms/group-normalization.js';
import { isOp, outputOf, reference } from '../analysis/patterns.js';

/** A node that may run on blocked tensors. */
export interface BlockedOperator {
  readonly node: ModelNode;
  /** The tensors that it then needs blocked. Its other inputs stay as they are. */
  readonly reads: readonly string[];
  /** How many channels its result has. */
  readonly channels: number;
  /** Returns the nodes that run on the blocked tensors. */
  readonly write: (names: BlockedNames) => Fragment;
}

/** The names in the rewritten graph. */
export interface BlockedNames {
  /** Returns the name of the blocked form of a tensor. */
  readonly blocked: (name: string) => string;
  /** Returns a name that is free. */
  readonly fresh: (base: string) => string;
}

/** What the rules ask. */
interface Context {
  readonly model: Model;
  /** The channels of a block. */
  readonly block: number;
  /** Returns how many channels a tensor has; `undefined` unless it is float32, of rank 4, and the number is known. */
  readonly channelsOf: (name: string) => number | undefined;
}

/** Returns a node as an operator on blocked tensors; `undefined` if it needs plain tensors. */
export function asBlockedOperator(node: ModelNode, context: Context): BlockedOperator | undefined {
  if (isNorm(node)) return groupNorm(node, context);
  if (isElementWise(node)) return elementWise(node, context);
  if (isOp(node, 'Add') || isOp(node, 'Mul')) return arithmetic(node, context);
  if (isOp(node, 'Concat')) return concat(node, context);
  return isOp(node, 'Resize') ? resize(node, context) : undefined;
}

/** Returns whether a node is a GroupNorm that the kernel runs. */
export const isNorm = (node: ModelNode): boolean =>
  isGroupNorm(node) || (node.domain === FUSED_DOMAIN && node.opType === FUSED_OP);

/**
 * `GroupNormalization`, and the fused operator with its activation and its residual. The scale and the bias must have one
 * element for each channel, which the operator does not have everywhere in opset 18 to 20. The blocked operator has no
 * `correction`.
 */
function groupNorm(node: ModelNode, { model, channelsOf, block }: Context): BlockedOperator | undefined {
  const [x = '', scale = '', bias = '', residual = ''] = node.inputs;
  const channels = channelsOf(x);
  const groups = node.number('num_groups') || channels;
  if (node.number('correction')) return undefined;
  if (channels === undefined || groups === undefined || channels % groups !== 0) return undefined;
  for (const name of [scale, bias]) {
    const { dtype, shape } = model.typeOf(name) ?? {};
    if (dtype !== 'float32' || shape?.length !== 1 || shape[0] !== channels) return undefined;
  }
  if (residual !== '' && channelsOf(residual) !== channels) return undefined;
  const attributes: Attributes = {
    num_groups: int(groups),
    epsilon: float(node.number('epsilon') ?? DEFAULT_EPSILON),
    block_size: int(block),
    activation: string(node.text('activation') ?? 'none'),
  };
  const reads = residual === '' ? [x] : [x, residual];
  return {
    node,
    reads,
    channels,
    write: ({ blocked }) => {
      const inputs = [blocked(x), scale, bias, ...reads.slice(1).map(blocked)];
      return only(nodeOf(node, BLOCKED_OP, inputs, blocked(outputOf(node)), attributes, FUSED_DOMAIN));
    },
  };
}

/** Operators on each element alone, of one tensor, that are finite at 0. Their attributes are numbers and texts. */
const ELEMENT_WISE = [
  ...['Clip', 'Elu', 'Gelu', 'HardSigmoid', 'HardSwish', 'LeakyRelu', 'Mish', 'Relu', 'Selu', 'Sigmoid'],
  ...['Softplus', 'Softsign', 'Tanh'],
];

const isElementWise = (node: ModelNode): boolean =>
  ELEMENT_WISE.some((name) => isOp(node, name)) ||
  (node.domain === CONTRIB_DOMAIN && ['Gelu', 'QuickGelu'].includes(node.opType));

function elementWise(node: ModelNode, { channelsOf }: Context): BlockedOperator | undefined {
  const [x = '', ...bounds] = node.inputs;
  const channels = channelsOf(x);
  const attributes = simpleAttributes(node);
  if (channels === undefined || !attributes) return undefined;
  return {
    node,
    reads: [x],
    channels,
    write: ({ blocked }) =>
      only(
        nodeOf(node, node.opType, [blocked(x), ...bounds], blocked(outputOf(node)), attributes, node.domain),
      ),
  };
}

/**
 * `Add` and `Mul` of tensors with the same channels. Other sizes may be 1 at run time, and repeat, whatever the model declares:
 * the operator runs on N × P/b × H × W × b, where that gives the same.
 */
function arithmetic(node: ModelNode, { channelsOf, block }: Context): BlockedOperator | undefined {
  const { inputs: reads } = node;
  const channels = channelsOf(reads[0]!);
  if (channels === undefined || channelsOf(reads[1]!) !== channels) return undefined;
  const blocks = Math.ceil(channels / block);
  return {
    node,
    reads,
    channels,
    write: ({ blocked, fresh }) => {
      const output = outputOf(node);
      const [split, whole] = [
        shapeConstant(fresh(`${output}/split`), [0, blocks, 0, 0, block]),
        shapeConstant(fresh(`${output}/whole`), [0, blocks * block, 0, 0]),
      ];
      const terms = reads.map((name) => fresh(`${name}/split`));
      const result = fresh(`${output}/result`);
      const reshape = (from: string, { name }: Value, to: string) =>
        nodeOf({ name: to }, 'Reshape', [from, name], to, {});
      return {
        nodes: [
          ...reads.map((name, index) => reshape(blocked(name), split, terms[index]!)),
          nodeOf(node, node.opType, terms, result, {}),
          reshape(result, whole, blocked(output)),
        ],
        constants: [split, whole],
      };
    },
  };
}

/** `Concat` along the channels, if each tensor has whole blocks: then blocks follow blocks. */
function concat(node: ModelNode, { channelsOf, block }: Context): BlockedOperator | undefined {
  const { inputs: reads } = node;
  if (![1, -3].includes(node.number('axis') ?? NaN)) return undefined;
  let channels = 0;
  for (const name of reads) {
    const own = channelsOf(name);
    if (own === undefined || own % block !== 0) return undefined;
    channels += own;
  }
  return {
    node,
    reads,
    channels,
    write: ({ blocked }) =>
      only(nodeOf(node, 'Concat', reads.map(blocked), blocked(outputOf(node)), { axis: int(1) })),
  };
}

/** `Resize` that repeats each element, as PyTorch's `nearest` by whole factors is exported: ONNX Runtime's own `Upsample`. */
function resize(node: ModelNode, { model, channelsOf }: Context): BlockedOperator | undefined {
  const [x = '', , scales = '', sizes = ''] = node.inputs;
  const channels = channelsOf(x);
  const factors = scales === '' || sizes !== '' ? undefined : model.constant(scales)?.data;
  const repeats =
    (node.text('mode') ?? 'nearest') === 'nearest' &&
    node.text('coordinate_transformation_mode') === 'asymmetric' &&
    node.text('nearest_mode') === 'floor' &&
    node.numbers('axes') === undefined;
  if (channels === undefined || factors?.length !== 4 || !repeats) return undefined;
  const list = [...factors].map(Number);
  if (list[0] !== 1 || list[1] !== 1 || !list.every((factor) => Number.isInteger(factor) && factor > 0)) {
    return undefined;
  }
  const attributes = { scales: ints(list) };
  return {
    node,
    reads: [x],
    channels,
    write: ({ blocked }) =>
      only(nodeOf(node, 'Upsample', [blocked(x)], blocked(outputOf(node)), attributes, NCHWC_DOMAIN)),
  };
}

const only = (node: Node): Fragment => ({ nodes: [node], constants: [] });

/** Makes a node of values by their names. */
export const nodeOf = (
  { name }: Pick<ModelNode, 'name'>,
  opType: string,
  inputs: readonly string[],
  output: string,
  attributes: Attributes,
  domain = '',
): Node => ({
  name,
  domain,
  opType,
  inputs: inputs.map((input) => (input === '' ? undefined : reference(input))),
  outputs: [reference(output)],
  attributes,
});

const shapeConstant = (name: string, shape: readonly number[]): Value =>
  new Value({}, 'constant', name, 'int64', [shape.length], int64Vector(shape));

const INT: number = ATTRIBUTE_TYPE.INT;

/** Returns a node's attributes; `undefined` if one is not a number or a text. */
function simpleAttributes(node: ModelNode): Attributes | undefined {
  const attributes: Record<string, Attributes[string]> = {};
  for (const { name, type } of node.attributes()) {
    const text = node.text(name);
    const number = node.number(name);
    if (text !== undefined) attributes[name] = string(text);
    else if (number !== undefined) attributes[name] = type === INT ? int(number) : float(number);
    else return undefined;
  }
  return attributes;
}
