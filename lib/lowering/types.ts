/** The operators that lowerings use and ONNX does not have. */
import type { Scope } from '../graph/builder.js';
import type { Node, Value } from '../graph/types.js';

/** The domain of ONNX Runtime's own operators. */
export const CONTRIB_DOMAIN = 'com.microsoft';
export const CONTRIB_OP = 'GroupNorm';

/** The domain of the native kernel's operator; native/onnxruntime/group_norm_ops.h says what it computes. */
export const FUSED_DOMAIN = 'onnx_groupnorm';
export const FUSED_OP = 'FusedGroupNormalization';

const DOMAIN_OF: ReadonlyMap<string, string> = new Map([
  [CONTRIB_OP, CONTRIB_DOMAIN],
  [FUSED_OP, FUSED_DOMAIN],
]);

/** Graphs have operators of ONNX alone, which has none of these names. */
export function inItsDomain(node: Node): Node {
  const domain = DOMAIN_OF.get(node.opType);
  return domain === undefined ? node : { ...node, domain };
}

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
