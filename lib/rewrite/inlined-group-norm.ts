/**
 * GroupNormalization as ONNX's own definition of it, inlined: models that ONNX Runtime saved
 * (`optimizedModelFilePath`) or that `onnx.inliner` went over have it. It takes the variance as E[x²] − E[x]².
 *
 *     x (N, G, K) → ReduceMean ─────────────→ mean
 *     Mul(x, x) → ReduceMean → Sub Mul(mean, mean) → variance
 *     Sub(x, mean) ÷ Sqrt(variance + ε) → y
 *
 * matches if
 *
 * - both ReduceMeans are over K, which they keep as 1;
 * - ε is a constant scalar, or a Cast of one;
 * - x is known to be of rank 3, of one float dtype, with a known G.
 *
 * The Div becomes the nodes of a lowering. The reshaping before it and the affine part behind it stay, and so do the
 * other nodes of the match, which other nodes may read: dead code is for the runtime, or `removeDeadCode`.
 */
import type { SiteRef } from '../lowering/lower.js';
import type { Model } from '../onnx/model.js';
import type { ModelNode } from '../onnx/node.js';
import { isFloatDType } from '../tensor.js';
import { isOp, outputOf, producers } from './patterns.js';
import { hasLowerings, lowerWith, type SiteLowering } from './sites.js';
import type { ValueTypes } from './value-types.js';

/**
 * Replaces the Div of every match.
 * @returns How many there are: 0 if the model is not modified.
 */
export function lowerInlinedGroupNorm(model: Model, lowering: SiteLowering, types: ValueTypes): number {
  if (!hasLowerings(model)) return 0;
  const taken = model.names();
  return model.replaceNodes((node) => {
    const site = isOp(node, 'Div') ? matchInlined(types, node) : undefined;
    return site && lowerWith(lowering, site, model, taken);
  });
}

function matchInlined(types: ValueTypes, quotient: ModelNode): SiteRef | undefined {
  const { model } = types;
  const [deviation, root] = producers(model, quotient);
  const [sum] = root && isOp(root, 'Sqrt') ? producers(model, root) : [];
  const [variance] = sum && isOp(sum, 'Add') ? producers(model, sum) : [];
  if (!deviation || !isOp(deviation, 'Sub') || !variance) return undefined;
  const [x, mean] = deviation.inputs as [string, string];
  const epsilon = scalarValue(types, sum!.inputs[1]!);
  if (epsilon === undefined || !isMean(types, mean, x) || !isVariance(types, variance, x, mean))
    return undefined;
  const { dtype, shape } = types.typeOf(x);
  const numGroups = shape?.[1];
  if (!dtype || !isFloatDType(dtype) || typeof numGroups !== 'number' || numGroups < 1) return undefined;
  return {
    name: quotient.name,
    x: { name: x, dtype, shape: shape! },
    numGroups,
    epsilon,
    output: outputOf(quotient),
  };
}

/** Returns whether a node is E[x²] − E[x]². */
function isVariance(types: ValueTypes, difference: ModelNode, x: string, mean: string): boolean {
  const { model } = types;
  const [ofSquares, squareOfMean] = producers(model, difference);
  if (!isOp(difference, 'Sub') || !ofSquares || !squareOfMean || !isSquare(squareOfMean, mean)) return false;
  const square = model.index.producer(ofSquares.inputs[0]!);
  return square !== undefined && isSquare(square, x) && isMean(types, outputOf(ofSquares), outputOf(square));
}

const isSquare = (node: ModelNode, of: string): boolean =>
  isOp(node, 'Mul') && node.inputs.every((name) => name === of);

/** Returns whether `mean` is the mean of `x` (N, G, K) over K, which is kept as 1. */
function isMean(types: ValueTypes, mean: string, x: string): boolean {
  const node = types.model.index.producer(mean);
  if (!node || !isOp(node, 'ReduceMean') || node.inputs[0] !== x) return false;
  const axes = node.numbers('axes') ?? types.sizes(node.inputs[1]);
  const isLast = axes?.length === 1 && (axes[0] === 2 || axes[0] === -1);
  return isLast && types.typeOf(x).shape?.length === 3 && (node.number('keepdims') ?? 1) === 1;
}

/** Returns the number in a constant scalar, or in the constant that a Cast reads. */
function scalarValue(types: ValueTypes, name: string): number | undefined {
  const source = types.model.index.producer(name);
  const data = types.constant(source && isOp(source, 'Cast') ? source.inputs[0] : name);
  // With a higher rank than x's, it would raise the rank of the result.
  const isScalar = data?.data.length === 1 && data.dims.length <= 3;
  return isScalar && (data.dtype === 'float32' || data.dtype === 'float64')
    ? Number(data.data[0])
    : undefined;
}

/** The prefix of ONNX Runtime's names for the values of a body that it inlines, whether they are free or not. */
const INLINED = '_inlfunc_';

/**
 * Renames values that a runtime has inlined before: it refuses to inline an operator into a model that has such names.
 * @returns Whether the model was modified.
 */
export function freeInlinedNames(model: Model): boolean {
  const taken = model.names();
  const fresh = (name: string): string => {
    let base = name.slice(INLINED.length);
    while (taken.has(base)) base = `${base}_`;
    taken.add(base);
    return base;
  };
  const inlined = [...taken].filter((name) => name.length > INLINED.length && name.startsWith(INLINED));
  if (inlined.length === 0) return false;
  model.renameValues(new Map(inlined.map((name) => [name, fresh(name)])));
  return true;
}
