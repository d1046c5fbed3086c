/**
 * GroupNorm as ONNX Runtime's optimizer for transformers writes it (`onnxruntime.transformers.optimizer` for UNets and
 * VAEs): operators that only its GPU providers have a kernel for, mostly between Transposes to channels last.
 *
 *     com.microsoft.GroupNorm
 *     com.microsoft.SkipGroupNorm, whose input is a sum, which may be a second result
 *
 * match if
 *
 * - scale and bias are declared as (C), of a float dtype, and C is divisible by the groups;
 * - the rank of skip is known, for it may be (N, C);
 * - the activation is one that the schema has: none or SiLU.
 *
 * Each becomes the nodes of a lowering. A Transpose to channels last before it, and one back behind it that is its only
 * reader, go as well.
 */
import { DEFAULT_EPSILON } from '../../graph/ops/normalization.js';
import { type ChannelLayout, type ContribSiteRef, lowerContribSite } from '../../lowering/contrib-site.js';
import type { ValueRef } from '../../lowering/lower.js';
import { CONTRIB_DOMAIN, CONTRIB_OP, CONTRIB_SKIP_OP } from '../../lowering/types.js';
import type { Model } from '../../onnx/model.js';
import type { ModelNode } from '../../onnx/graph/node.js';
import { isFloatDType, type Shape, UNKNOWN_DIM } from '../../tensor.js';
import type { LoweringReport } from './group-normalization.js';
import { isOp, onlyReader, outputOf, REMOVED } from '../analysis/patterns.js';
import type { SiteLowering } from './sites.js';
import type { ValueTypes } from '../analysis/value-types.js';

/** Returns whether a node is one of the two operators. */
export const isContribGroupNorm = ({ domain, opType }: ModelNode): boolean =>
  domain === CONTRIB_DOMAIN && (opType === CONTRIB_OP || opType === CONTRIB_SKIP_OP);

/**
 * Replaces every match, at the model's own opset.
 * @returns How many there are, and the nodes that stay, with the reason.
 * @throws GraphError as `lowerSite`.
 */
export function lowerContribGroupNorm(types: ValueTypes, lowering: SiteLowering): LoweringReport {
  const { model } = types;
  const refusals: string[] = [];
  const found = new Map<string, ContribSiteRef>();
  const removed = new Set<string>();
  for (const node of model.nodes.filter(isContribGroupNorm)) {
    const site = describeContribGroupNorm(types, node);
    if (typeof site === 'string') {
      refusals.push(`${CONTRIB_DOMAIN}.${node.opType} '${node.name || outputOf(node)}': ${site}`);
      continue;
    }
    const reader = site.outputLayout === 'last' ? transposeBehind(model, node) : undefined;
    if (reader) removed.add(outputOf(reader));
    found.set(outputOf(node), reader ? { ...site, outputLayout: 'first', output: outputOf(reader) } : site);
  }
  if (found.size === 0) return { replaced: 0, refusals };
  const taken = model.names();
  const replaced = model.replaceNodes((node) => {
    if (removed.has(outputOf(node))) return REMOVED;
    const site = isContribGroupNorm(node) ? found.get(outputOf(node)) : undefined;
    if (!site) return undefined;
    const choice = typeof lowering === 'function' ? lowering(groupNormOf(site)) : lowering;
    return lowerContribSite(site, choice, model.opset, taken);
  });
  return { replaced: replaced - removed.size, refusals };
}

/** The GroupNormalization within, for the choice of a lowering. */
export const groupNormOf = ({ name, x, numGroups, epsilon, output }: ContribSiteRef) => ({
  name,
  x,
  numGroups,
  epsilon,
  output,
});

/** Returns the site that a node is, or the reason why it cannot be lowered. */
export function describeContribGroupNorm(types: ValueTypes, node: ModelNode): ContribSiteRef | string {
  const [scale, bias] = [vector(types, node.inputs[1]), vector(types, node.inputs[2])];
  const channels = scale?.shape[0];
  if (!scale || !bias || bias.shape[0] !== channels)
    return 'its gamma and beta are not declared as vectors of one length';
  const numGroups = node.number('groups') ?? 0;
  if (numGroups < 1 || channels % numGroups !== 0)
    return `${channels} channels are not divisible by ${numGroups} groups`;
  const activation = node.number('activation') ?? 0;
  if (activation !== 0 && activation !== 1)
    return `its activation ${activation} is unknown; known: 0 (none) and 1 (SiLU)`;
  const layout: ChannelLayout = (node.number('channels_last') ?? 1) === 0 ? 'first' : 'last';
  const { dtype, shape = ANY_IMAGE } = types.typeOf(node.inputs[0]);
  if (dtype === undefined && types.model.opset < CAST_LIKE_OPSET)
    return `the dtype of its input is not declared, and cannot be found at run time below opset ${CAST_LIKE_OPSET}`;
  if (dtype !== undefined && !isFloatDType(dtype)) return `its input is ${dtype}, which is not a float dtype`;
  if (shape.length < 3) return `its input has ${shape.length} dimensions, and must have 3 or more`;
  const x = {
    name: node.inputs[0]!,
    dtype: dtype ?? 'float16',
    shape: withChannels(shape, layout, channels),
  };
  const common = {
    name: node.name,
    isTyped: dtype !== undefined,
    scale,
    bias,
    numGroups,
    epsilon: node.number('epsilon') ?? DEFAULT_EPSILON,
    hasSilu: activation === 1,
    outputLayout: layout,
    output: outputOf(node),
  };
  if (node.opType === CONTRIB_OP) return { ...common, ...withoutTransposeBefore(types, x, layout) };
  const skip = types.typeOf(node.inputs[3]).shape;
  if (!skip) return 'the rank of its skip is not declared; run onnx.shape_inference.infer_shapes';
  const skipBias = node.inputs[4] ? { name: node.inputs[4], dtype: x.dtype, shape: [channels] } : undefined;
  const sum = node.outputs[1] || undefined;
  return {
    ...common,
    x,
    layout,
    skip: { name: node.inputs[3]!, dtype: x.dtype, shape: skip },
    skipBias,
    sum,
  };
}

const ANY_IMAGE: Shape = [UNKNOWN_DIM, UNKNOWN_DIM, UNKNOWN_DIM, UNKNOWN_DIM];

/** The first opset that has CastLike, which gives a result the dtype of the input at run time. */
const CAST_LIKE_OPSET = 15;

interface VectorRef extends ValueRef {
  readonly shape: readonly [number];
}

function vector(types: ValueTypes, name: string | undefined): VectorRef | undefined {
  const { dtype, shape } = types.typeOf(name);
  const [length, ...others] = shape ?? [];
  if (!name || !dtype || !isFloatDType(dtype) || typeof length !== 'number' || others.length > 0)
    return undefined;
  return length > 0 ? { name, dtype, shape: [length] } : undefined;
}

const withChannels = (shape: Shape, layout: ChannelLayout, channels: number): Shape =>
  layout === 'last' ? [...shape.slice(0, -1), channels] : [shape[0]!, channels, ...shape.slice(2)];

/** Returns what a Transpose to channels last reads, in its place. */
export function withoutTransposeBefore(
  { index }: ValueTypes,
  x: ValueRef,
  layout: ChannelLayout,
): Pick<ContribSiteRef, 'x' | 'layout'> {
  const producer = layout === 'last' ? index.producer(x.name) : undefined;
  const [batch, ...rest] = x.shape;
  if (!producer || !movesChannels(producer, 'last')) return { x, layout };
  const shape = [batch!, rest.at(-1)!, ...rest.slice(0, -1)];
  return { x: { ...x, name: producer.inputs[0]!, shape }, layout: 'first' };
}

/** Returns the only reader of a node, if it moves the channels back. */
export function transposeBehind(model: Model, node: ModelNode): ModelNode | undefined {
  const reader = model.redefinesOperators() ? undefined : onlyReader(model, node, 'Transpose');
  return reader && movesChannels(reader, 'first') ? reader : undefined;
}

/** Returns whether a node moves the channels of images. */
function movesChannels(node: ModelNode, to: ChannelLayout): boolean {
  const perm = to === 'last' ? [0, 2, 3, 1] : [0, 3, 1, 2];
  return isOp(node, 'Transpose') && node.numbers('perm')?.join() === perm.join();
}
