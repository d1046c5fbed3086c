/**
 * GroupNormalization in a model that has ONNX's definition of it in its place, as those have that ONNX Runtime saved
 * (`optimizedModelFilePath`) or `onnx.inliner` went over. It takes the variance as E[x²] − E[x]².
 */
import type { SiteRef } from '../lowering/lower-site.js';
import type { Model } from '../onnx/model.js';
import type { ModelNode } from '../onnx/node.js';
import { isFloatDType } from '../tensor.js';
import { isOp, outputOf, Uses } from './graph-uses.js';
import { hasLowerings, lowerBy, type SiteLowering } from './sites.js';
import type { ValueTypes } from './value-types.js';

/**
 * Puts a lowering in the place of (x − E[x]) / √(E[x²] − E[x]² + ε) over the rows of (N, G, K). What is before and
 * behind it, the reshaping and the affine part, stays.
 * @returns How many there were.
 */
export function lowerInlinedGroupNorm(model: Model, lowering: SiteLowering, types: ValueTypes): number {
  if (!hasLowerings(model)) return 0;
  const context = { uses: new Uses(model), types };
  const taken = model.names();
  return model.replaceNodes((node) => {
    const site = isOp(node, 'Div') ? siteOf(context, node) : undefined;
    return site && lowerBy(lowering, site, model, taken);
  });
}

interface Context {
  readonly uses: Uses;
  readonly types: ValueTypes;
}

function siteOf(context: Context, quotient: ModelNode): SiteRef | undefined {
  const [deviation, root] = producers(context, quotient);
  const [sum] = root && isOp(root, 'Sqrt') ? producers(context, root) : [];
  const [variance] = sum && isOp(sum, 'Add') ? producers(context, sum) : [];
  if (!deviation || !isOp(deviation, 'Sub') || !variance) return undefined;
  const [x, mean] = deviation.inputs as [string, string];
  const epsilon = scalar(context, sum!.inputs[1]!);
  if (epsilon === undefined || !isMean(context, mean, x) || !isVariance(context, variance, x, mean))
    return undefined;
  const { dtype, shape } = context.types.typeOf(x);
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

/** E[x²] − E[x]². */
function isVariance(context: Context, difference: ModelNode, x: string, mean: string): boolean {
  const [ofSquares, squareOfMean] = producers(context, difference);
  if (!isOp(difference, 'Sub') || !ofSquares || !squareOfMean || !isSquare(squareOfMean, mean)) return false;
  const square = context.uses.producer(ofSquares.inputs[0]!);
  return (
    square !== undefined && isSquare(square, x) && isMean(context, outputOf(ofSquares), outputOf(square))
  );
}

const isSquare = (node: ModelNode, of: string): boolean =>
  isOp(node, 'Mul') && node.inputs.every((name) => name === of);

/** Whether `mean` is that of `x` (N, G, K) over K, which is kept as 1. */
function isMean({ uses, types }: Context, mean: string, x: string): boolean {
  const node = uses.producer(mean);
  if (!node || !isOp(node, 'ReduceMean') || node.inputs[0] !== x) return false;
  const axes = node.numbers('axes') ?? types.sizes(node.inputs[1]);
  const isLast = axes?.length === 1 && (axes[0] === 2 || axes[0] === -1);
  return isLast && types.typeOf(x).shape?.length === 3 && (node.number('keepdims') ?? 1) === 1;
}

const producers = ({ uses }: Context, { inputs }: ModelNode): (ModelNode | undefined)[] =>
  inputs.map((name) => uses.producer(name));

/** The number that a constant has, or a Cast makes of one. */
function scalar({ uses, types }: Context, name: string): number | undefined {
  const source = uses.producer(name);
  const data = types.constant(source && isOp(source, 'Cast') ? source.inputs[0] : name);
  // One of more dimensions would give the result more of them.
  const isScalar = data?.data.length === 1 && data.dims.length <= 3;
  return isScalar && (data.dtype === 'float32' || data.dtype === 'float64')
    ? Number(data.data[0])
    : undefined;
}

/** What ONNX Runtime names the values of a body that it inlines, without a look at the names that there are. */
const INLINED = '_inlfunc_';

/** Renames what a runtime has inlined before, so that it can inline an operator again: it refuses its own names. */
export function freeInlinedNames(model: Model): void {
  const taken = model.names();
  const fresh = (name: string): string => {
    let base = name.slice(INLINED.length);
    while (taken.has(base)) base = `${base}_`;
    taken.add(base);
    return base;
  };
  const inlined = [...taken].filter((name) => name.length > INLINED.length && name.startsWith(INLINED));
  model.renameValues(new Map(inlined.map((name) => [name, fresh(name)])));
}
