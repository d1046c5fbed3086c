/** The operators that lowerings use and ONNX does not have. */
import type { Node } from '../graph/index.js';

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
