/** All passes over normalizations, in the order in which each leaves to the next what that can take. */
import type { LoweringChoice, SiteRef } from '../lowering/lower-site.js';
import type { Model } from '../onnx/model.js';
import { mergeExportedGroupNorm } from './exported-group-norm.js';
import { isFloat64InstanceNorm, isGroupNorm, lowerNormalizations } from './group-normalization.js';
import { lowerInlinedGroupNorm } from './inlined-group-norm.js';
import { lowerRowNorms, type RowOperator } from './row-norms.js';
import type { SiteLowering } from './sites.js';
import type { ValueTypes } from './value-types.js';

/** What to write in the place of each kind of normalization; what has no part here is left as it is. */
export interface NormPlan {
  /** GroupNorm as PyTorch exports it below opset 21. */
  readonly exported?: SiteLowering | undefined;
  /** ONNX's definition of GroupNormalization in the operator's place. */
  readonly inlined?: SiteLowering | undefined;
  /** The standard operator. */
  readonly operator?: SiteLowering | undefined;
  /** InstanceNormalization and LayerNormalization that ONNX Runtime's kernels are wrong for, or that have none. */
  readonly rows?: RowPlan | undefined;
}

/** What to do with the operators that `lowerRowNorms` and `isFloat64InstanceNorm` are about. */
export interface RowPlan {
  readonly lowering: LoweringChoice;
  /** Those that are replaced. */
  readonly operators: readonly RowOperator[];
  /** The longest row of a LayerNormalization that is left to the runtime. */
  readonly maxRow: number;
}

/** How many of each part of the plan were replaced, and for each node that should have been and was not, why. */
export interface NormReport extends Readonly<Record<keyof NormPlan, number>> {
  readonly refusals: readonly string[];
}

/**
 * Carries out a plan. PyTorch's exports come first, while the InstanceNormalization within is still what its
 * exporter wrote, and rows last, for they are what is left of that operator.
 * @throws GraphError as `lowerSite`.
 */
export function replaceNorms(types: ValueTypes, { exported, inlined, operator, rows }: NormPlan): NormReport {
  const { model } = types;
  const merged = exported === undefined ? 0 : mergeExportedGroupNorm(model, exported, types);
  const outOfLine = inlined === undefined ? 0 : lowerInlinedGroupNorm(model, inlined, types);
  const standard =
    operator === undefined ? NOTHING : lowerNormalizations(model, operator, isGroupNorm, types);
  const wide = rows ? lowerNormalizations(model, rows.lowering, isFloat64InstanceNorm, types) : NOTHING;
  const long = rows ? lowerRowNorms(model, rows.lowering, rows.operators, types, rows.maxRow) : 0;
  return {
    exported: merged,
    inlined: outOfLine,
    operator: standard.replaced,
    rows: wide.replaced + long,
    refusals: [...standard.refusals, ...wide.refusals],
  };
}

const NOTHING = { replaced: 0, refusals: [] } as const;

/** The lowering that every runtime runs correctly: two-pass statistics out of plain operators. */
export const SAFE_LOWERING = 'reduce-mean';

/** What a site is written as where a lowering is asked for: ONNX Runtime has no float64 InstanceNormalization. */
export const runnable = <Name extends string>(lowering: Name, { x }: SiteRef): Name | typeof SAFE_LOWERING =>
  lowering === 'instance-norm' && x.dtype === 'float64' ? SAFE_LOWERING : lowering;

/** Where passes do not reach, in words. */
export type OutOfReach = 'a local function' | 'the body of an If, Loop or Scan';

/** Where a GroupNormalization lies that passes do not reach; nothing if there is none. */
export function unreachableGroupNorm(model: Model): OutOfReach | undefined {
  const isIn = (opTypes: ReadonlySet<string>) => opTypes.has('GroupNormalization');
  if (!isIn(model.nestedOpTypes())) return undefined;
  return isIn(model.functionOpTypes()) ? 'a local function' : 'the body of an If, Loop or Scan';
}
