import { GraphError, SessionError } from '../../errors.js';
import type { LoweringChoice, SiteRef } from '../../lowering/lower-site.js';
import { kernelLowering } from '../../lowering/op.js';
import { carefulReduceMeanLowering } from '../../lowering/reduce-mean.js';
import { CONTRIB_DOMAIN, FUSED_DOMAIN, type SessionLoweringName } from '../../lowering/types.js';
import { Model } from '../../onnx/model.js';
import { widenBfloat16 } from '../../rewrite/bfloat16-io.js';
import { fuseGroupNorm } from '../../rewrite/fuse-group-norm.js';
import { isGroupNorm } from '../../rewrite/group-normalization.js';
import {
  type NormPlan,
  type OutOfReach,
  replaceNorms,
  runnable,
  SAFE_LOWERING,
  unreachableGroupNorm,
} from '../../rewrite/replace-norms.js';
import { MAX_LAYER_NORM_ROW, notAskedFor } from '../../rewrite/row-norms.js';
import { ValueTypes } from '../../rewrite/value-types.js';
import type { Backend, GroupNormExecution, Provider } from './contract.js';
import {
  chosenLowering,
  CONTRIB_PROVIDERS,
  GROUP_NORM_CHOICES,
  type GroupNormChoice,
} from './group-norm-policy.js';

export interface PreparedModel {
  readonly bytes: Uint8Array;
  /** Inputs and outputs that are bfloat16 in the model and float32 for the runtime. */
  readonly bfloat16: ReadonlySet<string>;
  /**
   * How GroupNormalization runs, PyTorch's exports of it below opset 21 and inlined ones included; nothing if there is
   * none, or if ONNX Runtime's own body was asked for.
   */
  readonly groupNorm: GroupNormExecution | undefined;
}

/**
 * Rewrites what ONNX Runtime has no kernel for, or none that is right.
 * @param hasFile Whether external data is beside the model; nothing for a model that was given as bytes.
 * @param groupNorm `op` leaves the standard operator to ONNX Runtime's inlined body. What is named runs by ONNX
 *   Runtime's own kernel: `instance-norm` and `layer-norm` leave the operator of that name as it is, `op` both.
 * @throws ModelError if the model cannot be read, SessionError `MODEL_REJECTED` if a node cannot be rewritten.
 */
export function prepareModel(
  bytes: Uint8Array,
  where: string,
  hasFile: ((name: string) => boolean) | undefined,
  groupNorm: SessionLoweringName | undefined,
  backend: Pick<Backend, 'provider' | 'hasGroupNormKernel' | 'takesBfloat16'>,
  choice: GroupNormChoice = GROUP_NORM_CHOICES[backend.provider],
): PreparedModel {
  requireContrib(groupNorm, backend.provider);
  const model = Model.decode(bytes, where);
  requireExternalData(model, where, hasFile);
  const lowering = groupNorm ?? chosenLowering(choice);
  const hasKernel = lowering === 'op' && backend.hasGroupNormKernel;
  if (lowering !== 'op') requireReachable(model, where);
  const types = new ValueTypes(model);
  const { replaced, execution } = rewriteNorms({ model, types, where, groupNorm, choice, hasKernel });
  const bfloat16 = backend.takesBfloat16 ? new Set<string>() : widenBfloat16(model);
  const fused = hasKernel ? fuseGroupNorm(model, types) : 0;
  const changed = replaced + bfloat16.size + fused > 0;
  return { bytes: changed ? model.encode() : bytes, bfloat16, groupNorm: execution };
}

interface Rewriting {
  readonly model: Model;
  readonly types: ValueTypes;
  readonly where: string;
  readonly groupNorm: SessionLoweringName | undefined;
  readonly choice: GroupNormChoice;
  readonly hasKernel: boolean;
}

/** GroupNormalization in whatever way it is written, and what ONNX Runtime's own kernels get wrong. */
function rewriteNorms({ model, types, where, groupNorm, choice, hasKernel }: Rewriting): {
  readonly replaced: number;
  readonly execution: GroupNormExecution | undefined;
} {
  const used = new Set<SessionLoweringName>();
  const plan = planFor({ groupNorm, choice, hasKernel }, used);
  const { exported, inlined, operator, rows, refusals } = attempt(where, () => replaceNorms(types, plan));
  requireNoRefusals(refusals, where);
  const written = exported + inlined;
  const isRunByKernel = hasKernel && (written > 0 || hasGroupNorm(model));
  if (used.has('contrib-group-norm')) model.importDomain(CONTRIB_DOMAIN, 1);
  if (hasKernel && written + rows > 0) model.importDomain(FUSED_DOMAIN, 1);
  return {
    replaced: written + operator + rows,
    execution: used.size > 0 ? executionOf(used) : isRunByKernel ? 'kernel' : undefined,
  };
}

/** @param used Is given what the standard operator is written as, where it is not to stay what it is. */
function planFor(
  { groupNorm, choice, hasKernel }: Pick<Rewriting, 'groupNorm' | 'choice' | 'hasKernel'>,
  used: Set<SessionLoweringName>,
): NormPlan {
  const best = hasKernel ? kernelLowering : asRun(SAFE_LOWERING, choice);
  const operators = notAskedFor(groupNorm);
  const maxRow = choice.hasLayerNormKernel === false ? 0 : MAX_LAYER_NORM_ROW;
  const loweringOf = (site: SiteRef) => {
    const name = runnable(groupNorm ?? chosenLowering(choice), site);
    used.add(name);
    return asRun(name, choice);
  };
  const rows = { lowering: best, operators, maxRow };
  if (groupNorm === 'op') return { rows };
  const written = hasKernel ? kernelLowering : loweringOf;
  return {
    exported: written,
    inlined: written,
    operator: (groupNorm ?? chosenLowering(choice)) === 'op' ? undefined : loweringOf,
    rows,
  };
}

/** A lowering as a provider needs it. */
const asRun = (name: SessionLoweringName, { sumsInOneFloat = false }: GroupNormChoice): LoweringChoice =>
  name === 'reduce-mean' && sumsInOneFloat ? carefulReduceMeanLowering : name;

function executionOf(used: ReadonlySet<SessionLoweringName>): GroupNormExecution {
  const [first, ...others] = used;
  return others.length > 0 ? 'mixed' : first!;
}

/** Elsewhere ONNX Runtime knows the operator and has no kernel for it, which it would say in its own words. */
function requireContrib(groupNorm: SessionLoweringName | undefined, provider: Provider): void {
  if (groupNorm !== 'contrib-group-norm' || CONTRIB_PROVIDERS.includes(provider)) return;
  throw new SessionError(
    'PROVIDER_UNAVAILABLE',
    `groupNorm: 'contrib-group-norm' needs a kernel for com.microsoft.GroupNorm, which ONNX Runtime has on ` +
      `${CONTRIB_PROVIDERS.join(', ')} and not on ${provider}; groupNorm: 'reduce-mean' runs on every provider`,
  );
}

const USE_INLINED = "pass groupNorm: 'op' (on the command line --group-norm op)";

const hasGroupNorm = (model: Model): boolean =>
  model.nodes.some((node) => isGroupNorm(node)) || model.nestedOpTypes().has('GroupNormalization');

function requireNoRefusals(refusals: readonly string[], where: string): void {
  if (refusals.length === 0) return;
  throw new SessionError(
    'MODEL_REJECTED',
    `${where}: ${refusals.join('; ')}. ONNX Runtime has no kernel for this operator, and its inlined body is ` +
      `slow and wrong for large means; to use that all the same, ${USE_INLINED}`,
  );
}

function requireExternalData(
  model: Model,
  where: string,
  hasFile: ((name: string) => boolean) | undefined,
): void {
  for (const location of model.externalLocations()) {
    if (hasFile?.(location)) continue;
    const problem =
      hasFile === undefined
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
  const place = unreachableGroupNorm(model);
  if (place === undefined) return;
  throw new SessionError(
    'MODEL_REJECTED',
    `${where}: a GroupNormalization lies in ${place}, where it is not rewritten; ${REMEDIES[place]}, or ${USE_INLINED}`,
  );
}

const REMEDIES: Readonly<Record<OutOfReach, string>> = {
  'a local function': 'inline it first (onnx.inliner.inline_local_functions)',
  'the body of an If, Loop or Scan':
    'the native kernel runs it there (onnx-groupnorm doctor says whether it can be used)',
};

/** A model that is out of what lowerings can do is the model's fault: its opset, a name, a shape. */
function attempt<T>(where: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    if (!(cause instanceof GraphError)) throw cause;
    throw new SessionError('MODEL_REJECTED', `${where}: ${cause.message}`, { cause });
  }
}
