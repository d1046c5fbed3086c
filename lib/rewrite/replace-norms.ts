/** All passes over normalizations, in the order in which each leaves to the next the nodes that it can take. */
import { type AdvisedOption, type ErrorDetails, GraphError } from '../errors.js';
import type { SiteRef } from '../lowering/lower.js';
import { lowerContribGroupNorm } from './norms/contrib-group-norm.js';
import { mergeExportedGroupNorm, mergeWrittenGroupNorm } from './norms/exported-group-norm.js';
import {
  isFloat64InstanceNorm,
  isGroupNorm,
  type LoweringReport,
  lowerNormalizations,
} from './norms/group-normalization.js';
import { lowerInlinedGroupNorm } from './norms/inlined-group-norm.js';
import { type InnerPlan, lowerInnerNorms } from './norms/inner-norms.js';
import { lowerNhwcConv } from './nhwc-conv.js';
import { lowerRowNorms } from './norms/row-norms.js';
import type { SiteLowering } from './norms/sites.js';
import type { ValueTypes } from './analysis/value-types.js';

/** The lowering of each kind of normalization. Kinds that the plan leaves out stay as they are. */
export interface NormPlan extends InnerPlan {
  /** com.microsoft.GroupNorm and SkipGroupNorm, as ONNX Runtime's optimizer writes them. */
  readonly contrib?: SiteLowering | undefined;
  /** Whether com.microsoft.NhwcConv, which that optimizer writes beside them, becomes Conv. */
  readonly nhwcConv?: boolean | undefined;
}

/** How many nodes of each part of the plan were replaced. */
type NormCounts = Readonly<Record<keyof NormPlan, number>>;

interface NormReport extends NormCounts {
  /** The nodes that the plan has a part for and that stay, each with the reason. */
  readonly refusals: readonly string[];
  /** The same of ONNX Runtime's own operators, which have no definition that could run instead. */
  readonly contribRefusals: readonly string[];
}

/**
 * Carries out a plan. PyTorch's exports come first, while the InstanceNormalization within is still as the exporter
 * wrote it, and rows last, when only other uses of that operator are left.
 * @throws GraphError as `lowerSite`.
 */
export function replaceNorms(types: ValueTypes, plan: NormPlan): NormReport {
  const { exported, contrib, nhwcConv = false, inlined, operator, rows } = plan;
  const { model } = types;
  const own = new Set(model.nodes);
  const ofContrib = contrib === undefined ? NOT_RUN : lowerContribGroupNorm(types, contrib);
  const convCount = nhwcConv ? lowerNhwcConv(types) : 0;
  const exportedCount = exported === undefined ? 0 : mergeExportedGroupNorm(model, exported, types);
  const inlinedCount =
    inlined === undefined
      ? 0
      : mergeWrittenGroupNorm(model, inlined, types) + lowerInlinedGroupNorm(model, inlined, types);
  const operators =
    operator === undefined ? NOT_RUN : lowerNormalizations(model, operator, isGroupNorm, types);
  const inner = lowerInnerNorms(types, plan, own);
  const float64 = rows ? lowerNormalizations(model, rows.lowering, isFloat64InstanceNorm, types) : NOT_RUN;
  const rowCount = rows ? lowerRowNorms(model, rows.lowering, rows.operators, types, rows.maxRow) : 0;
  return {
    exported: exportedCount + inner.replaced.exported,
    contrib: ofContrib.replaced,
    nhwcConv: convCount,
    inlined: inlinedCount + inner.replaced.inlined,
    operator: operators.replaced + inner.replaced.operator,
    rows: float64.replaced + rowCount + inner.replaced.rows,
    refusals: [...operators.refusals, ...inner.refusals, ...float64.refusals],
    contribRefusals: ofContrib.refusals,
  };
}

const NOT_RUN: LoweringReport = { replaced: 0, refusals: [] };

/** How a caller refuses a model: with its own class of errors, and its own advice. */
export interface RefusalStyle {
  error(message: string, details?: ErrorDetails & { readonly cause?: GraphError }): Error;
  /** Follows the reasons why nodes cannot be replaced. */
  readonly advice?: { readonly text: string; readonly option: AdvisedOption };
}

/** What to do where the opset of a model has no lowerings, or lacks one of them. */
export const OTHER_OPSET = 'bring the model to another opset first (onnx.version_converter.convert_version)';

/**
 * Carries out a plan, and throws the caller's error if a node stays that the plan has a part for, or if lowerings do not
 * fit the model: its opset, a name, a shape.
 */
export function replaceAllNorms(
  types: ValueTypes,
  plan: NormPlan,
  where: string,
  style: RefusalStyle,
): NormCounts {
  const { refusals, contribRefusals, ...counts } = orRefuse(() => replaceNorms(types, plan), where, style);
  if (contribRefusals.length > 0) throw style.error(`${where}: ${contribRefusals.join('; ')}`);
  if (refusals.length > 0) {
    const { text = '', option } = style.advice ?? {};
    throw style.error(`${where}: ${refusals.join('; ')}${text}`, { option });
  }
  return counts;
}

function orRefuse<T>(action: () => T, where: string, style: RefusalStyle): T {
  try {
    return action();
  } catch (cause) {
    if (!(cause instanceof GraphError)) throw cause;
    throw style.error(`${where}: ${cause.message}`, { cause });
  }
}

/** The lowering that every runtime runs correctly: two-pass statistics in plain operators. */
export const SAFE_LOWERING = 'reduce-mean';

/**
 * Returns a function that chooses the lowering of each site and adds its name to `used`: `lowering`, except for
 * InstanceNormalization of float64, which ONNX Runtime does not have, and a variance that only `reduce-mean` can write.
 */
export const recordedLowering =
  <Name extends string>(lowering: Name, used: Set<Name | typeof SAFE_LOWERING>) =>
  ({ x, isCorrected = false }: SiteRef): Name | typeof SAFE_LOWERING => {
    const isSafe = isCorrected || (lowering === 'instance-norm' && x.dtype === 'float64');
    const name = isSafe ? SAFE_LOWERING : lowering;
    used.add(name);
    return name;
  };
