/**
 * GroupNorm as the lowerings of this project write it, which `build` and `convert` put into files:
 *
 *     c = x − mean(x), which each of them begins with
 *     reduce-mean:    c · f ± … with f = γ ÷ √(|mean(c²) − mean(c)²| + ε)
 *     instance-norm:  InstanceNormalization(c)
 *     layer-norm:     LayerNormalization(c) over rows (N, G, K)
 *
 * Sessions leave `reduce-mean` as it is, and see only the operator in the middle of the other two. `convert` writes a
 * LayerNormalization of long rows as `reduce-mean` too: of rows (R, 1, K), which Flatten makes.
 */
import { DEFAULT_EPSILON } from '../../graph/ops/normalization.js';
import { toFloat64Array } from '../../half.js';
import type { LoweringName } from '../../lowering/types.js';
import type { ModelNode } from '../../onnx/graph/node.js';
import { hasKnownArithmetic, isOp, onlyReader, outputOf } from '../../rewrite/analysis/patterns.js';
import { isConstant } from '../../rewrite/norms/sites.js';
import type { ValueTypes } from '../../rewrite/analysis/value-types.js';
import { unmoved } from '../../rewrite/norms/written-norm.js';
import { elementCount, type Shape } from '../../tensor.js';

/** A match. */
export interface LoweredGroupNorm {
  readonly lowering: LoweringName;
  /** The node that normalizes: the operator, or the product of c and f. */
  readonly norm: ModelNode;
  /** The node that the whole GroupNorm ends with. */
  readonly last: ModelNode;
  /** The name of (N, C, …). */
  readonly x: string;
  /** The first axis of a row of a LayerNormalization; `undefined` for GroupNorm. */
  readonly axis: number | undefined;
  readonly numGroups: number;
  readonly epsilon: number;
  readonly affine: boolean;
}

/** Returns every match. */
export const findLoweredGroupNorm = (types: ValueTypes): LoweredGroupNorm[] =>
  hasKnownArithmetic(types)
    ? types.index.nodes.flatMap((node) => matchReduceMean(types, node) ?? matchOperator(types, node) ?? [])
    : [];

function matchReduceMean(types: ValueTypes, node: ModelNode): LoweredGroupNorm | undefined {
  if (!isOp(node, 'Add') && !isOp(node, 'Sub')) return undefined;
  // c · f + (β − mean(c) · f), or c · f − mean(c) · f
  const [scaled, rest] = node.inputs;
  const shift = isOp(node, 'Sub') ? undefined : producerOf(types, rest, 'Sub');
  const norm = producerOf(types, scaled, 'Mul');
  const offset = producerOf(types, shift?.inputs[1] ?? rest, 'Mul');
  const factor = producerOf(types, norm?.inputs[1], 'Div');
  const sum = behind(types, factor?.inputs[1], 'Sqrt', 'Add');
  const variance = behind(types, sum?.inputs[0], 'Abs', 'Sub');
  const square = producerOf(types, variance?.inputs[1], 'Mul');
  if (!norm || !offset || !factor || !sum || !variance || !square) return undefined;
  const c = sourceOf(types, norm.inputs[0]!);
  const centred = centredFrom(types, c);
  const isC = (value: string) => sourceOf(types, value) === c;
  const isSquareOfC = (value: string) => producerOf(types, value, 'Mul')?.inputs.every(isC) === true;
  if (!centred || !isMean(types, variance.inputs[0]!, isSquareOfC)) return undefined;
  if (![offset.inputs[0]!, ...square.inputs].every((mean) => isMean(types, mean, isC))) return undefined;
  const epsilon = types.constant(sum.inputs[1]);
  if (!epsilon || elementCount(epsilon.dims) !== 1) return undefined;
  const hasScale = !isConstant(types, sourceOf(types, factor.inputs[0]!), 1);
  const hasBias = shift !== undefined && !isConstant(types, sourceOf(types, shift.inputs[0]!), 0);
  const { x, axis, numGroups } = centred;
  const rows = axis === undefined ? undefined : affineBehind(types, node, types.typeOf(x).shape?.slice(axis));
  return {
    lowering: 'reduce-mean',
    norm,
    ...withoutCasts(types, x, rows?.last ?? node),
    axis,
    numGroups,
    epsilon: toFloat64Array(epsilon)[0]!,
    affine: hasScale || hasBias || rows?.affine === true,
  };
}

function matchOperator(types: ValueTypes, norm: ModelNode): LoweredGroupNorm | undefined {
  const isOfChannels = isOp(norm, 'InstanceNormalization');
  if (!isOfChannels && !isOp(norm, 'LayerNormalization')) return undefined;
  const centred = centredFrom(types, sourceOf(types, norm.inputs[0]!));
  const channels = types.typeOf(centred?.x).shape?.[1];
  if (!centred || typeof channels !== 'number') return undefined;
  const { x, numGroups } = centred;
  // Without rows, the operator has the scale and bias of the site.
  const isWhole = isOfChannels && numGroups === channels;
  const isAffine = !(isConstant(types, norm.inputs[1], 1) && isConstant(types, norm.inputs[2], 0));
  const { last, affine } = isWhole ? { last: norm, affine: isAffine } : affineBehind(types, norm, [channels]);
  return {
    lowering: isOfChannels ? 'instance-norm' : 'layer-norm',
    norm,
    ...withoutCasts(types, x, last),
    axis: undefined,
    numGroups,
    epsilon: types.asCalled(norm).number('epsilon') ?? DEFAULT_EPSILON,
    affine,
  };
}

/** Finds a Reshape behind a node, and a Mul and Add of parameters of a shape, or of a shape with sizes of 1 behind it. */
function affineBehind(
  types: ValueTypes,
  node: ModelNode,
  parameter: Shape | undefined,
): { readonly last: ModelNode; readonly affine: boolean } {
  let last = onlyReader(types, node, 'Reshape') ?? node;
  let affine = false;
  for (const opType of ['Mul', 'Add']) {
    const step = onlyReader(types, last, opType);
    const { shape } = types.typeOf(step?.inputs[1]);
    if (!step || !parameter || step.inputs[0] !== outputOf(last)) continue;
    if (shape?.filter((size) => size !== 1).join() !== parameter.filter((size) => size !== 1).join())
      continue;
    [last, affine] = [step, true];
  }
  return { last, affine };
}

/** float16 and bfloat16 are float32 in between. */
function withoutCasts(types: ValueTypes, x: string, last: ModelNode): Pick<LoweredGroupNorm, 'x' | 'last'> {
  const widened = types.index.producer(x);
  if (!widened || !isOp(widened, 'Cast')) return { x, last };
  const narrowed = onlyReader(types, last, 'Cast');
  return { x: widened.inputs[0]!, last: narrowed ?? last };
}

/** Returns x and its groups, if a value is x − mean(x), and the axis from which on Flatten has made it rows. */
function centredFrom(
  types: ValueTypes,
  name: string,
): Pick<LoweredGroupNorm, 'x' | 'axis' | 'numGroups'> | undefined {
  const difference = producerOf(types, name, 'Sub');
  if (!difference) return undefined;
  const [rows, mean] = difference.inputs as [string, string];
  const x = sourceOf(types, rows);
  const numGroups = groupsOf(types, mean);
  if (numGroups === undefined || !isMean(types, mean, (value) => value === x)) return undefined;
  const flatten = types.index.producer(unmoved(types, rows));
  const axis = flatten && isOp(flatten, 'Flatten') ? (flatten.number('axis') ?? 1) : undefined;
  return { x, axis, numGroups };
}

/** Returns G, if a mean is (N, G, 1), repeated for the channels of a group or not. */
function groupsOf(types: ValueTypes, mean: string): number | undefined {
  const repeated = producerOf(types, mean, 'Mul');
  const ofRows = producerOf(types, repeated?.inputs[0] ?? mean, 'ReduceMean');
  const [, groups] = (ofRows && types.typeOf(outputOf(ofRows)).shape) ?? [];
  return typeof groups === 'number' ? groups : undefined;
}

/** No mean that a lowering writes has so many nodes. */
const MAX_STEPS = 32;

/**
 * Returns whether a value is the mean of another. A mean is taken along one axis after the other, each of which may be
 * corrected by the mean of what is left, and is repeated for the channels of a group.
 */
function isMean(types: ValueTypes, name: string, isWhole: (value: string) => boolean): boolean {
  let value = sourceOf(types, name);
  let hasMean = false;
  for (let step = 0; step < MAX_STEPS && !(hasMean && isWhole(value)); step++) {
    const node = types.index.producer(value);
    if (!node) return false;
    const isPassed = ['ReduceMean', 'Add'].some((opType) => isOp(node, opType));
    if (!isPassed && !(isOp(node, 'Mul') && isConstant(types, node.inputs[1], 1))) return false;
    hasMean ||= isOp(node, 'ReduceMean');
    value = sourceOf(types, node.inputs[0]!);
  }
  return hasMean && isWhole(value);
}

/** Returns the value that a value has the elements of, in their order. */
function sourceOf(types: ValueTypes, name: string): string {
  let source = unmoved(types, name);
  for (let step = 0; step < MAX_STEPS; step++) {
    const node = types.index.producer(source);
    if (!node || !isOp(node, 'Flatten')) break;
    source = unmoved(types, node.inputs[0]!);
  }
  return source;
}

/** Returns the node that a value comes from, if it is this operator. */
function producerOf(types: ValueTypes, name: string | undefined, opType: string): ModelNode | undefined {
  const node = name === undefined ? undefined : types.index.producer(sourceOf(types, name));
  return node && isOp(node, opType) ? node : undefined;
}

/** Returns the last node of a chain of operators that a value comes from, each the first input of the one before. */
const behind = (
  types: ValueTypes,
  name: string | undefined,
  first: string,
  second: string,
): ModelNode | undefined => producerOf(types, producerOf(types, name, first)?.inputs[0], second);
