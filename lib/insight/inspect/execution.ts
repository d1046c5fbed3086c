/** How sessions on each provider run a normalization: by the plans that they carry out. */
import { GraphError } from '../../errors.js';
import { requireRewrittenOpset } from '../../lowering/choose.js';
import type { SiteRef } from '../../lowering/lower.js';
import type { LoweringName } from '../../lowering/types.js';
import type { ModelNode } from '../../onnx/graph/node.js';
import { dtypeOf, isFloat64InstanceNorm } from '../../rewrite/norms/group-normalization.js';
import { SAFE_LOWERING } from '../../rewrite/replace-norms.js';
import { matchRowNorm } from '../../rewrite/norms/row-norms.js';
import { describeSite } from '../../rewrite/norms/sites.js';
import type { ValueTypes } from '../../rewrite/analysis/value-types.js';
import { type Provider, PROVIDERS } from '../../runtime/core/contract.js';
import { CONTRIB_PROVIDERS } from '../../runtime/model/group-norm-policy.js';
import { planOf, type PlannedForm } from '../../runtime/model/prepare.js';
import type { NormalizationExecution } from './types.js';

export type Executions = Readonly<Record<Provider, NormalizationExecution>>;

/** Returns an execution for each provider. */
export const onEach = (execute: (provider: Provider) => NormalizationExecution): Executions =>
  Object.fromEntries(PROVIDERS.map((provider) => [provider, execute(provider)])) as Executions;

/** Returns why no node of a model of this opset can be rewritten as a lowering; `undefined` if nodes can be. */
export function whyNotRewritten(opset: number): string | undefined {
  try {
    requireRewrittenOpset(opset);
    return undefined;
  } catch (error) {
    if (error instanceof GraphError) return error.message;
    throw error;
  }
}

/**
 * Returns how GroupNorm runs. In bodies and functions, sessions do not rewrite ONNX Runtime's own operators.
 * @param site The site; `undefined` if the node cannot be rewritten.
 */
export const executeGroupNorm = (
  { model: { opset }, inside }: ValueTypes,
  form: PlannedForm,
  site: SiteRef | undefined,
): Executions =>
  onEach((provider) => {
    if (inside && form === 'contrib') return CONTRIB_PROVIDERS.includes(provider) ? 'onnxruntime' : 'refused';
    const { hasKernel, execute } = planOf(provider);
    // The kernel takes the standard operator as it is, and needs no opset.
    if (hasKernel) return site || form === 'operator' ? 'kernel' : 'refused';
    return site && whyNotRewritten(opset) === undefined ? execute(form, site) : 'refused';
  });

/** Returns how a node runs that is not GroupNorm: InstanceNormalization, LayerNormalization, or another operator. */
export function executeOperator(types: ValueTypes, node: ModelNode): Executions {
  return onEach((provider) => {
    const { hasKernel, rows } = planOf(provider);
    const isFloat64 = isFloat64InstanceNorm(node, () => dtypeOf(types, node));
    const isPlanned = isFloat64 || matchRowNorm(types, node, rows) !== undefined;
    if (!isPlanned) return 'onnxruntime';
    if (isFloat64 && typeof describeSite(types, node, hasKernel) === 'string') return 'refused';
    if (hasKernel) return 'kernel';
    return whyNotRewritten(types.model.opset) === undefined ? SAFE_LOWERING : 'refused';
  });
}

/** Returns how GroupNorm runs that a lowering wrote: as the lowering, where a session does not rewrite the operator in it. */
export const asLowered = (lowering: LoweringName, executions: Executions): Executions =>
  onEach((provider) => (executions[provider] === 'onnxruntime' ? lowering : executions[provider]));
