/**
 * Lowers `com.microsoft.GroupNorm` and `SkipGroupNorm`, which ONNX Runtime's optimizer for transformers writes for GPUs.
 * Source: ONNX Runtime's ContribOperators.md.
 *
 *     s = x + skip + bias (SkipGroupNorm only)
 *     y = activation((s − mean) / √(variance + epsilon) · gamma + beta)
 */
import type { Scope } from '../graph/builder.js';
import * as op from '../graph/ops/index.js';
import type { Value } from '../graph/types.js';
import {
  buildFragment,
  type Fragment,
  isEmpty,
  type LoweringChoice,
  pathOf,
  resolve,
  type ValueRef,
} from './lower.js';
import { kernelLowering } from './op.js';
import { int64 } from './rows.js';

/** One GroupNorm or SkipGroupNorm node to be replaced. */
export interface ContribSiteRef {
  readonly name: string;
  /** (N, C, ...) if its layout is `first`, (N, ..., C) if it is `last`. */
  readonly x: ValueRef;
  /** Whether the dtype of x is known. If not, x.dtype is a guess, and the result gets the dtype of x at run time. */
  readonly isTyped: boolean;
  /** (C), of a dtype of its own. */
  readonly scale: ValueRef;
  readonly bias: ValueRef;
  /** Of the shape of x, or one number for each channel of each sample: with sizes of 1, or (N, C). */
  readonly skip?: ValueRef | undefined;
  /** (C); it is added to x, before the normalization. */
  readonly skipBias?: ValueRef | undefined;
  readonly numGroups: number;
  readonly epsilon: number;
  readonly hasSilu: boolean;
  /** Where the channels are: of x, skip and the sum. */
  readonly layout: ChannelLayout;
  /** Where they are in the result. */
  readonly outputLayout: ChannelLayout;
  readonly output: string;
  /** The name that the sum must have, if it is a result. */
  readonly sum?: string | undefined;
}

export type ChannelLayout = 'first' | 'last';

/**
 * Lowers one node with a lowering of GroupNormalization. If the dtypes of x and scale differ, it computes in float32 and
 * rounds once, as ONNX Runtime's kernel does.
 * @throws GraphError as `lowerSite`.
 */
export function lowerContribSite(
  site: ContribSiteRef,
  lowering: LoweringChoice,
  opset: number,
  takenNames: Set<string>,
): Fragment {
  const chosen = resolve(lowering, opset);
  const isOneDType =
    site.isTyped && [site.x, site.scale, site.bias].every(({ dtype }) => dtype === site.x.dtype);
  const isDirect = isOneDType && (site.x.dtype === 'float32' || lowering === kernelLowering);
  return buildFragment(site.name, pathOf(site), takenNames, (g, importValue) => {
    const wide = (value: Value) => (isDirect ? value : widened(g, value));
    const x = importValue(site.x);
    const sum = addSkip(g, site, x, importValue);
    const { numGroups, epsilon } = site;
    const groups = {
      x: wide(site.layout === 'last' ? moveChannels(g, sum, 'first') : sum),
      scale: wide(importValue(site.scale)),
      bias: wide(importValue(site.bias)),
      numGroups,
      epsilon,
    };
    const normalized = isEmpty(groups.x.shape) ? groups.x : chosen.lower(g, groups, opset);
    const activated = site.hasSilu ? op.silu(g, normalized) : normalized;
    const narrow = isDirect ? activated : likeInput(g, site, activated, x);
    const y = site.outputLayout === 'last' ? moveChannels(g, narrow, 'last') : narrow;
    return [[site.output, y], ...(site.sum === undefined ? [] : [[site.sum, sum] as const])];
  });
}

/** Adds skip and its bias to x. Sizes that have different names may still be equal, so nothing is checked here. */
function addSkip(g: Scope, site: ContribSiteRef, x: Value, importValue: (ref: ValueRef) => Value): Value {
  const { skip, skipBias } = site;
  if (!skip) return x;
  const perSample = importValue(skip);
  const channels = site.scale.shape[0] as number;
  const ones = Array<number>(x.rank - 2).fill(1);
  const asColumn = (value: Value, batch: readonly number[]) =>
    reshaped(
      g,
      value,
      site.layout === 'last' ? [...batch, ...ones, channels] : [...batch, channels, ...ones],
    );
  // In a target of Reshape, 0 stands for the size in the same place.
  const sum = added(g, x, perSample.rank === 2 ? asColumn(perSample, [0]) : perSample);
  return skipBias ? added(g, sum, asColumn(importValue(skipBias), [])) : sum;
}

const added = (g: Scope, x: Value, other: Value): Value =>
  g.node('Add', [x, other], {}, [{ dtype: x.dtype, shape: x.shape }])[0]!;

const reshaped = (g: Scope, x: Value, target: readonly number[]): Value =>
  g.node('Reshape', [x, int64(g, target)], {}, [{ dtype: x.dtype, shape: target }])[0]!;

/** Moves the channels from the other end of the shape. */
function moveChannels(g: Scope, x: Value, to: ChannelLayout): Value {
  const spatial = Array.from({ length: x.rank - 2 }, (_, index) => index);
  const perm =
    to === 'first' ? [0, x.rank - 1, ...spatial.map((i) => i + 1)] : [0, ...spatial.map((i) => i + 2), 1];
  return op.transpose(g, x, { perm });
}

const widened = (g: Scope, value: Value): Value => op.cast(g, value, 'float32');

/** Gives a value the dtype of x. */
function likeInput(g: Scope, { isTyped }: ContribSiteRef, value: Value, x: Value): Value {
  if (isTyped) return op.cast(g, value, x.dtype);
  return g.node('CastLike', [value, x], {}, [{ dtype: x.dtype, shape: value.shape }])[0]!;
}
