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
  readonly name: SessionLoweringName;
  /** The first opset of the default ONNX domain that has all of its operators. */
  readonly minOpset: number;
  /** Adds the nodes to `g` and returns the result, of `x`'s dtype and shape. */
  lower(g: Scope, site: GroupNormSite, opset: number): Value;
}

/** Every lowering, by name. */
export const LOWERING_NAMES = ['op', 'reduce-mean', 'instance-norm', 'layer-norm'] as const;
/** The name of a lowering: one of {@link LOWERING_NAMES}. */
export type LoweringName = (typeof LOWERING_NAMES)[number];

/** What a session may run GroupNormalization as: the lowerings, and what only one runtime has and no file should. */
export const SESSION_LOWERING_NAMES = [...LOWERING_NAMES, 'contrib-group-norm'] as const;
/**
 * What a session may rewrite GroupNormalization to: a lowering, or `contrib-group-norm`, ONNX Runtime's own
 * `com.microsoft.GroupNorm`, which only its CUDA provider has a kernel for.
 */
export type SessionLoweringName = (typeof SESSION_LOWERING_NAMES)[number];
