import type { Scope, Value } from '../graph/index.js';

/** One GroupNormalization: all that a lowering needs to know. */
export interface GroupNormSite {
  /** (N, C, ...) of rank 2 or more, any float; C is a number, the rest may be names. */
  readonly x: Value;
  /** (C); nothing stands for ones. */
  readonly scale: Value | undefined;
  /** (C); nothing stands for zeros. */
  readonly bias: Value | undefined;
  readonly numGroups: number;
  readonly epsilon: number;
}

/** One way to write a GroupNormalization as ONNX nodes. */
export interface Lowering {
  readonly name: LoweringName;
  /** The first opset of the default ONNX domain that has all of its operators. */
  readonly minOpset: number;
  /** Adds the nodes to `g` and returns the result, of `x`'s dtype and shape. */
  lower(g: Scope, site: GroupNormSite, opset: number): Value;
}

/** Every lowering, by name. */
export const LOWERING_NAMES = ['op', 'reduce-mean', 'instance-norm', 'layer-norm'] as const;
/** The name of a lowering: one of {@link LOWERING_NAMES}. */
export type LoweringName = (typeof LOWERING_NAMES)[number];
