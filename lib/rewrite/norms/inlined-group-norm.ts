/**
 * Rows that ONNX's definition of GroupNormalization normalizes, where they are not part of a whole GroupNorm
 * (`mergeWrittenGroupNorm`). It takes the variance as E[x²] − E[x]², which loses digits if the mean is large.
 *
 *     (r − m) ÷ √(E[r²] − m² + ε)
 *
 * matches if it is a `matchWrittenNorm` of rows (N, G, K), with this variance and without γ and β.
 *
 * The Div becomes the nodes of a lowering. The nodes that no other node reads then are removed.
 */
import type { SiteRef } from '../../lowering/lower.js';
import type { Model } from '../../onnx/model.js';
import type { ModelNode } from '../../onnx/graph/node.js';
import { isFloatDType } from '../../tensor.js';
import { readNames, removeDeadCode } from '../analysis/dead-code.js';
import type { FoundGroupNorm } from './exported-group-norm.js';
import { hasKnownArithmetic, isOp, outputOf } from '../analysis/patterns.js';
import { lowerWith, type SiteLowering } from './sites.js';
import type { ValueTypes } from '../analysis/value-types.js';
import { matchWrittenNorm } from './written-norm.js';

/**
 * Replaces the Div of every match.
 * @returns How many there are: 0 if the model is not modified.
 */
export function lowerInlinedGroupNorm(model: Model, lowering: SiteLowering, types: ValueTypes): number {
  const sites = new Map(findInlinedGroupNorm(types).map(({ norm, site }) => [outputOf(norm), site]));
  if (sites.size === 0) return 0;
  const [taken, before] = [model.names(), readNames(model)];
  const replaced = model.replaceNodes((node) => {
    const site = sites.get(outputOf(node));
    return site && lowerWith(lowering, site, model, taken);
  });
  removeDeadCode(model, before);
  return replaced;
}

/** Returns every match. Those that are part of a whole GroupNorm (`findWrittenGroupNorm`) are among them. */
export function findInlinedGroupNorm(types: ValueTypes): FoundGroupNorm[] {
  if (!hasKnownArithmetic(types)) return [];
  return types.index.nodes.flatMap((node) => {
    const site = isOp(node, 'Div') ? matchInlined(types, node) : undefined;
    return site ? [{ norm: node, last: node, site, isUnstable: true }] : [];
  });
}

function matchInlined(types: ValueTypes, node: ModelNode): SiteRef | undefined {
  const norm = matchWrittenNorm(types, node);
  const { dtype, shape } = types.typeOf(norm?.rows);
  const numGroups = shape?.[1];
  if (!norm?.isUnstable || !dtype || !isFloatDType(dtype)) return undefined;
  if (shape?.length !== 3 || typeof numGroups !== 'number') return undefined;
  const { rows, epsilon } = norm;
  return { name: node.name, x: { name: rows, dtype, shape }, numGroups, epsilon, output: outputOf(node) };
}

/** The prefix of ONNX Runtime's names for the values of a body that it inlines, whether they are free or not. */
export const INLINED = '_inlfunc_';

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
