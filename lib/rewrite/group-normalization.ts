import { kernelLowering } from '../lowering/op.js';
import type { Model } from '../onnx/model.js';
import type { ModelNode } from '../onnx/node.js';
import { isOp } from './graph-uses.js';
import { describeSite, lowerBy, type SiteLowering } from './sites.js';
import { ValueTypes } from './value-types.js';

/** What a pass did, and for each node that it left alone, why. */
export interface PassReport {
  readonly replaced: number;
  readonly refusals: readonly string[];
}

/** Which normalizations to replace: those for which the runtime has no kernel that is fit to use. */
export type SiteFilter = (node: ModelNode, dtype: () => string) => boolean;

/** The standard operator, which ONNX Runtime inlines as a slow and inaccurate body. */
export const isGroupNorm = (node: ModelNode): boolean => isOp(node, 'GroupNormalization');

/** float64 InstanceNormalization, for which ONNX Runtime has no CPU kernel. It is GroupNorm with a group per channel. */
export const isFloat64InstanceNorm: SiteFilter = (node, dtype) =>
  isOp(node, 'InstanceNormalization') && dtype() === 'float64';

/**
 * Replaces normalizations in a model by a lowering at the model's own opset.
 * @param lowering Its name, or what names it for each site.
 * @throws GraphError `LOWERING_UNAVAILABLE` or `UNSUPPORTED_OPSET` if there is something to replace and it cannot be.
 */
export function lowerNormalizations(
  model: Model,
  lowering: SiteLowering,
  matches: SiteFilter,
  types = new ValueTypes(model),
): PassReport {
  const refusals: string[] = [];
  const taken = model.names();
  const replaced = model.replaceNodes((node) => {
    if (!matches(node, () => dtypeOf(types, node))) return undefined;
    const site = describeSite(types, node, lowering === kernelLowering);
    if (typeof site === 'string') {
      refusals.push(`${node.opType} '${node.name || node.outputs[0]}': ${site}`);
      return undefined;
    }
    return lowerBy(lowering, site, model, taken);
  });
  return { replaced, refusals };
}

/** A normalization's input and its scale are of one dtype. */
const dtypeOf = (types: ValueTypes, { inputs }: ModelNode): string =>
  types.typeOf(inputs[0]).dtype ?? types.typeOf(inputs[1]).dtype ?? '';
