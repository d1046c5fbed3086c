/**
 * GroupNormalization and the activation behind it as one operator of this project's domain, for a runtime that has a
 * kernel for it.
 *
 *     GroupNormalization → Relu → y
 *     GroupNormalization → Sigmoid → Mul (by the normalized value: SiLU) → y
 *     GroupNormalization → QuickGelu with alpha 1 (SiLU, as ONNX Runtime saves it) → y
 *     GroupNormalization → Add (a residual) → Relu → y
 *
 * match if
 *
 * - the normalization is the standard operator with `num_groups`, or the fused operator with no activation yet;
 * - no other node, no body of control flow, and no caller of the model reads a value in between;
 * - the residual is declared with the shape of the result, by numbers and names. A name promises nothing: where a size
 *   is 1 at run time, the kernel repeats the elements as Add does, which is slower;
 * - the model does not have local functions in place of ONNX's operators.
 *
 * Each becomes one FusedGroupNormalization.
 */
import { DEFAULT_EPSILON } from '../../graph/ops/normalization.js';
import { float, int, string } from '../../graph/attr.js';
import type { Node } from '../../graph/types.js';
import { CONTRIB_DOMAIN, FUSED_DOMAIN, FUSED_OP } from '../../lowering/types.js';
import type { Model } from '../../onnx/model.js';
import type { ModelNode } from '../../onnx/graph/node.js';
import { type Shape, UNKNOWN_DIM } from '../../tensor.js';
import { isGroupNorm } from './group-normalization.js';
import { type Chain, isOp, onlyReader, outputOf, reference, replaceChains } from '../analysis/patterns.js';
import { ValueTypes } from '../analysis/value-types.js';

/** What follows a normalization: the nodes up to an activation. */
export interface FollowingActivation extends Chain {
  /** The value that is added before the activation. */
  readonly residual?: string;
  readonly activation: 'relu' | 'silu';
}

/** A match. */
interface Fusible extends FollowingActivation {
  readonly norm: ModelNode;
}

/**
 * Replaces every match. If two normalizations are added, the first is the match and the other its residual.
 * @returns How many there are: 0 if the model is not modified.
 */
export function fuseGroupNorm(model: Model, types = new ValueTypes(model)): number {
  if (model.redefinesOperators()) return 0;
  const byLast = new Map<string, Fusible>();
  for (const norm of model.nodes.filter(isRunByKernel)) {
    const found = matchFusible(types, norm);
    if (found && !byLast.has(outputOf(found.last))) byLast.set(outputOf(found.last), found);
  }
  const fused = replaceChains(model, [...byLast.values()], (found) => ({
    nodes: [fusedNode(found)],
    constants: [],
  }));
  if (fused > 0) model.importDomain(FUSED_DOMAIN, 1);
  return fused;
}

/**
 * Returns whether the kernel runs a node: the standard operator, or the fused one without an activation. A
 * GroupNormalization without groups is left for the runtime to refuse; in the fused operator, 0 is one group per channel.
 */
const isRunByKernel = (node: ModelNode): boolean =>
  (isGroupNorm(node) && (node.number('num_groups') ?? 0) > 0) ||
  (node.domain === FUSED_DOMAIN && node.opType === FUSED_OP && node.text('activation') === 'none');

function matchFusible(types: ValueTypes, norm: ModelNode): Fusible | undefined {
  const found = matchActivation(types, outputOf(norm), types.typeOf(norm.inputs[0]).shape);
  // A sum with a residual may have longer rows, by which the variance would be corrected.
  if (found?.residual !== undefined && norm.number('correction')) return undefined;
  return found && { ...found, norm, inner: [norm, ...found.inner] };
}

/**
 * Returns the activation that is the only reader of a normalized value, with the residual that is added in between.
 * @param shape The shape of the normalized value.
 */
export function matchActivation(
  types: ValueTypes,
  normalized: string,
  shape: Shape | undefined,
): FollowingActivation | undefined {
  const readers = types.index.onlyReaders(normalized);
  const [first, second] = readers;
  if (!first || readers.length > 2) return undefined;
  if (second) return matchSilu(types, readers);
  if (isOp(first, 'Relu')) return { activation: 'relu', inner: [], last: first };
  if (isFusedSilu(first)) return { activation: 'silu', inner: [], last: first };
  return isOp(first, 'Add') ? matchResidual(types, normalized, shape, first) : undefined;
}

/** Returns whether a node is SiLU as ONNX Runtime saves it: x · sigmoid(alpha · x) with alpha 1. */
const isFusedSilu = (node: ModelNode): boolean =>
  node.domain === CONTRIB_DOMAIN && node.opType === 'QuickGelu' && node.number('alpha') === 1;

function matchSilu({ index }: ValueTypes, readers: readonly ModelNode[]): FollowingActivation | undefined {
  const sigmoid = readers.find((node) => isOp(node, 'Sigmoid'));
  const mul = readers.find((node) => isOp(node, 'Mul'));
  if (!sigmoid || !mul?.inputs.includes(outputOf(sigmoid))) return undefined;
  if (index.onlyReaders(outputOf(sigmoid)).length !== 1) return undefined;
  return { activation: 'silu', inner: [sigmoid], last: mul };
}

function matchResidual(
  types: ValueTypes,
  normalized: string,
  shape: Shape | undefined,
  add: ModelNode,
): FollowingActivation | undefined {
  const residual = add.inputs.find((name) => name !== normalized);
  const relu = onlyReader(types, add, 'Relu');
  if (residual === undefined || !relu) return undefined;
  if (!haveSameShape(shape, types.typeOf(residual).shape)) return undefined;
  return { residual, activation: 'relu', inner: [add], last: relu };
}

const haveSameShape = (a: Shape | undefined, b: Shape | undefined): boolean =>
  a !== undefined && a.length === b?.length && a.every((dim, axis) => dim !== UNKNOWN_DIM && dim === b[axis]);

function fusedNode({ norm, residual, activation, last }: Fusible): Node {
  const inputs = [...norm.inputs.slice(0, 3), ...(residual === undefined ? [] : [residual])];
  return {
    name: norm.name,
    domain: FUSED_DOMAIN,
    opType: FUSED_OP,
    inputs: inputs.map(reference),
    outputs: [reference(outputOf(last))],
    attributes: {
      num_groups: int(norm.number('num_groups') ?? 0),
      epsilon: float(norm.number('epsilon') ?? DEFAULT_EPSILON),
      activation: string(activation),
      ...(norm.number('correction') && { correction: int(1) }),
    },
  };
}
