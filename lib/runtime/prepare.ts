import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { GraphError, SessionError } from '../errors.js';
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
 * @param folder Where external data is looked for; nothing for a model that was given as bytes.
 * @param groupNorm `op` leaves the standard operator to ONNX Runtime's inlined body.
 * @throws ModelError if the model cannot be read, SessionError `MODEL_REJECTED` if a node cannot be rewritten.
 */
export function prepareModel(
  bytes: Uint8Array,
  where: string,
  folder: string | undefined,
  groupNorm: LoweringName | undefined,
): PreparedModel {
  const model = Model.decode(bytes, where);
  const lowering = groupNorm ?? RUNTIME_LOWERING;
  requireExternalData(model, where, folder);
  if (lowering !== 'op') requireReachable(model, where);
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
  const { replaced, refusals } = attempt(where, () => lowerNormalizations(model, lowering, filter));
  if (replaced > 0 && model.hasFunctions) {
    throw new SessionError(
      'MODEL_REJECTED',
      `${where}: GroupNormalization cannot be rewritten in a model with local functions; inline them first ` +
        `(onnx.inliner.inline_local_functions), or pass groupNorm: 'op'`,
    );
  }
  if (refusals.length === 0) return replaced;
  throw new SessionError(
    'MODEL_REJECTED',
    `${where}: ${refusals.join('; ')}. ONNX Runtime has no kernel for this operator, and its inlined body is ` +
      `slow and wrong for large means; to use that all the same, pass groupNorm: 'op'`,
  );
}

function requireExternalData(model: Model, where: string, folder: string | undefined): void {
  for (const location of model.externalLocations()) {
    if (folder !== undefined && existsSync(join(folder, location))) continue;
    const problem =
      folder === undefined
        ? 'to find it, give the path of the model and not its bytes'
        : 'it is not beside the model; put it there';
    throw new SessionError(
      'MODEL_REJECTED',
      `${where} keeps its weights in a file of their own, '${location}': ${problem}`,
    );
  }
}

/** What a rewrite cannot reach would run as ONNX Runtime's inlined body. */
function requireReachable(model: Model, where: string): void {
  if (!model.nestedOpTypes().has('GroupNormalization')) return;
  throw new SessionError(
    'MODEL_REJECTED',
    `${where}: a GroupNormalization lies in a local function or in the body of an If, Loop or Scan, where it is ` +
      `not rewritten; inline it first (onnx.inliner.inline_local_functions), or pass groupNorm: 'op'`,
  );
}

/** A model that is out of what lowerings can do is the model's fault: its opset, a name, a shape. */
function attempt<T>(where: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    if (!(cause instanceof GraphError)) throw cause;
    throw new SessionError('MODEL_REJECTED', `${where}: ${cause.message}`, { cause });
  }
}
