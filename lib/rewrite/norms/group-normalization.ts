/**
 * Normalization operators that ONNX Runtime has no fit kernel for.
 *
 *     GroupNormalization, which it inlines as a slow and inaccurate body
 *     InstanceNormalization of float64, which it cannot run: GroupNorm with one group per channel
 *
 * match if their dtype, rank and channels are known (`describeSite`). Each becomes the nodes of a lowering.
 */
import { kernelLowering } from '../../lowering/op.js';
import type { Model } from '../../onnx/model.js';
import type { ModelNode } from '../../onnx/graph/node.js';
import { isOp } from '../analysis/patterns.js';
import { describeSite, lowerWith, type SiteLowering } from './sites.js';
import { ValueTypes } from '../analysis/value-types.js';

/** What the pass did. */
export interface LoweringReport {
  /** 0 if the model is not modified. */
  readonly replaced: number;
  /** The matching nodes that stay, each with the reason. */
  readonly refusals: readonly string[];
}

/** Returns whether a node is to be replaced. */
type NodeFilter = (node: ModelNode, dtype: () => string) => boolean;

export const isGroupNorm = (node: ModelNode): boolean => isOp(node, 'GroupNormalization');

export const isFloat64InstanceNorm: NodeFilter = (node, dtype) =>
  isOp(node, 'InstanceNormalization') && dtype() === 'float64';

/**
 * Replaces matching nodes, at the model's own opset.
 * @param lowering A lowering's name, or a function that chooses one for each site.
 * @throws GraphError `LOWERING_UNAVAILABLE` or `UNSUPPORTED_OPSET` if a node matches and the lowering cannot be written.
 */
export function lowerNormalizations(
  model: Model,
  lowering: SiteLowering,
  matches: NodeFilter,
  types = new ValueTypes(model),
): LoweringReport {
  const refusals: string[] = [];
  let taken: Set<string> | undefined;
  const replaced = model.replaceNodes((node) => {
    if (!matches(node, () => dtypeOf(types, node))) return undefined;
    const site = describeSite(types, node, lowering === kernelLowering);
    if (typeof site === 'string') {
      refusals.push(`${node.opType} '${node.name || node.outputs[0]}': ${site}`);
      return undefined;
    }
    return lowerWith(lowering, site, model, (taken ??= model.names()));
  });
  return { replaced, refusals };
}

/** Returns the dtype of a normalization's input, which is that of its scale too, or `''` if it is unknown. */
export const dtypeOf = (types: ValueTypes, { inputs }: ModelNode): string =>
  types.typeOf(inputs[0]).dtype ?? types.typeOf(inputs[1]).dtype ?? '';
