/** What a lowering is, the names of the lowerings, and the operators that they use beside ONNX's own. */
import type { Scope } from '../graph/builder.js';
import type { Node, Value } from '../graph/types.js';

/** The domain of ONNX Runtime's own operators. */
export const CONTRIB_DOMAIN = 'com.microsoft';
export const CONTRIB_OP = 'GroupNorm';
/** The same of a sum, `x + skip + bias`. */
export const CONTRIB_SKIP_OP = 'SkipGroupNorm';

/** The domain of the native kernel's operator; native/onnxruntime/group_norm_ops.h says what it computes. */
export const FUSED_DOMAIN = 'onnx_groupnorm';
export const FUSED_OP = 'FusedGroupNormalization';
/** The same on a tensor in ONNX Runtime's blocked layout. */
export const BLOCKED_OP = 'BlockedGroupNormalization';

/** The domain of ONNX Runtime's operators on tensors in its blocked layout. */
export const NCHWC_DOMAIN = 'com.microsoft.nchwc';

const DOMAIN_OF: ReadonlyMap<string, string> = new Map([
  [CONTRIB_OP, CONTRIB_DOMAIN],
  [FUSED_OP, FUSED_DOMAIN],
]);

/** Adds the domain to a node of these two operators; the other nodes of a graph are ONNX's own. */
export function inItsDomain(node: Node): Node {
  const domain = DOMAIN_OF.get(node.opType);
  return domain === undefined ? node : { ...node, domain };
}

/** One GroupNormalization: everything that a lowering needs to know. */
export interface GroupNormSite {
  /** (N, C, ...) of rank 2 or more, any float; C is a number, the rest may be names. */
  readonly x: Value;
  /** (C); `undefined` means ones. */
  readonly scale: Value | undefined;
  /** (C); `undefined` means zeros. */
  readonly bias: Value | undefined;
  readonly numGroups: number;
  readonly epsilon: number;
  /**
   * Whether the sum of squares is divided by one less than the length of a row, as PyTorch's `var` does it. Only the native
   * kernel and `reduce-mean` can.
   */
  readonly isCorrected?: boolean | undefined;
}

/** One way to write a GroupNormalization as ONNX nodes. */
export interface Lowering {
  readonly name: SessionLoweringName;
  /** The first opset of the default ONNX domain that has all of its operators. */
  readonly minOpset: number;
  /** Adds the nodes to `g` and returns the result, of `x`'s dtype and shape. */
  lower(g: Scope, site: GroupNormSite, opset: number): Value;
}

/** A lowering in a form for sessions. */
export interface LoweringForm extends Pick<Lowering, 'lower'> {
  /** Whether its nodes run only if the input has elements. */
  readonly skipsEmpty?: boolean;
  /** Whether it can be written at every opset, because its operator does not belong to ONNX. */
  readonly isOfAnyOpset?: boolean;
}

/** What float32 sums of a runtime are good for. */
export interface FloatSums {
  /** The longest row that is summed by InstanceNormalization. */
  readonly maxShortRow: number;
  /** Whether a whole row is summed in one float32, so that means are taken in more steps, or in float64. */
  readonly areInOneFloat: boolean;
}

/** The names of the lowerings that a model file may have. */
export const LOWERING_NAMES = ['op', 'reduce-mean', 'instance-norm', 'layer-norm'] as const;
/**
 * The name of a lowering: one of {@link LOWERING_NAMES}.
 * @useDeclaredType
 */
export type LoweringName = (typeof LOWERING_NAMES)[number];

/** The names of the lowerings that a session may use: those of files, and one that only ONNX Runtime can run. */
export const SESSION_LOWERING_NAMES = [...LOWERING_NAMES, 'contrib-group-norm'] as const;
/**
 * The name of a lowering that a session may use: one of {@link LOWERING_NAMES}, or `contrib-group-norm`, ONNX Runtime's
 * own `com.microsoft.GroupNorm`, for which only the CUDA provider has a kernel.
 * @useDeclaredType
 */
export type SessionLoweringName = (typeof SESSION_LOWERING_NAMES)[number];
