import { SessionError } from '../errors.js';
import type { LoweringName } from '../lowering/index.js';
import { Model } from '../onnx/index.js';
import { isFloat64InstanceNorm, isGroupNorm, lowerNormalizations, widenBfloat16 } from '../rewrite/index.js';

export interface PreparedModel {
  readonly bytes: Uint8Array;
  /** Inputs and outputs that are bfloat16 in the model and float32 for the runtime. */
  readonly bfloat16: ReadonlySet<string>;
  /** How GroupNormalization nodes were rewritten; nothing if there were none, or if that was asked for. */
  readonly groupNorm: LoweringName | undefined;
}

/** A rewrite that every runtime runs correctly: two-pass statistics out of plain operators. */
const RUNTIME_LOWERING = 'reduce-mean';

/**
 * Rewrites what ONNX Runtime has no kernel for, or none that is right.
 * @param groupNorm `op` leaves the standard operator to ONNX Runtime's inlined body.
 * @throws ModelError if the model cannot be read, SessionError `MODEL_REJECTED` if a node cannot be rewritten.
 */
export function prepareModel(
  bytes: Uint8Array,
  where: string,
  groupNorm: LoweringName | undefined,
): PreparedModel {
  const model = Model.decode(bytes, where);
  const lowering = groupNorm ?? RUNTIME_LOWERING;
  const replaced = lowering === 'op' ? 0 : lower(model, lowering, isGroupNorm, where);
  const others = lower(model, RUNTIME_LOWERING, isFloat64InstanceNorm, where);
  const bfloat16 = widenBfloat16(model);
  const changed = replaced + others + bfloat16.size > 0;
  return {
    bytes: changed ? model.encode() : bytes,
    bfloat16,
    groupNorm: replaced > 0 ? lowering : undefined,
  };
}

function lower(model: Model, lowering: LoweringName, filter: typeof isGroupNorm, where: string): number {
  const { replaced, refusals } = lowerNormalizations(model, lowering, filter);
  if (refusals.length === 0) return replaced;
  throw new SessionError(
    'MODEL_REJECTED',
    `${where}: ${refusals.join('; ')}. ONNX Runtime has no kernel for this operator, and its inlined body is ` +
      `slow and wrong for large means; to use that all the same, pass groupNorm: 'op'`,
  );
}
