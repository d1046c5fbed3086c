import { GraphError, SessionError } from '../errors.js';
import {
  carefulReduceMeanLowering,
  CONTRIB_DOMAIN,
  FUSED_DOMAIN,
  kernelLowering,
  type LoweringChoice,
  type SessionLoweringName,
  type SiteRef,
} from '../lowering/index.js';
import { Model } from '../onnx/index.js';
import type { Backend } from './backend.js';
import type { Provider } from './providers.js';
import {
  chosenLowering,
  CONTRIB_PROVIDERS,
  GROUP_NORM_CHOICES,
  loweringFor,
  type GroupNormChoice,
} from './group-norm-choice.js';
import {
  fuseGroupNorm,
  isFloat64InstanceNorm,
  isGroupNorm,
  lowerInlinedGroupNorm,
  lowerRowNorms,
  MAX_LAYER_NORM_ROW,
  lowerNormalizations,
  mergeExportedGroupNorm,
  widenBfloat16,
  ValueTypes,
  type RowOperator,
  type SiteFilter,
} from '../rewrite/index.js';

/** `kernel`: the native addon's; else what the nodes were rewritten to, `mixed` if not all to the same. */
export type GroupNormExecution = SessionLoweringName | 'kernel' | 'mixed';

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

/** For other normalizations, a rewrite that every runtime runs correctly: two-pass statistics out of plain operators. */
const RUNTIME_LOWERING = 'reduce-mean';

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
  const best = hasKernel ? kernelLowering : asRun(RUNTIME_LOWERING, choice);
  const others = notAskedFor(groupNorm);
  const maxRow = choice.hasLayerNormKernel === false ? 0 : MAX_LAYER_NORM_ROW;
  const written = attempt(where, () => {
    const exported = others.includes('InstanceNormalization')
      ? mergeExportedGroupNorm(model, best, types)
      : 0;
    return exported + (groupNorm === 'op' ? 0 : lowerInlinedGroupNorm(model, best, types));
  });
  const isRunByKernel = hasKernel && (written > 0 || hasGroupNorm(model));
  const { lowered, used } = lowerOperator({ model, types, where, groupNorm, choice });
  if (written > 0 && !hasKernel) used.add(RUNTIME_LOWERING);
  const rows =
    lower(types, best, isFloat64InstanceNorm, where) +
    attempt(where, () => lowerRowNorms(model, best, others, types, maxRow));
  if (hasKernel && written + rows > 0) model.importDomain(FUSED_DOMAIN, 1);
  return {
    replaced: written + lowered + rows,
    execution: used.size > 0 ? executionOf(used) : isRunByKernel ? 'kernel' : undefined,
  };
}

/** The standard operator, where it is not to stay what it is. */
function lowerOperator({ model, types, where, groupNorm, choice }: Omit<Rewriting, 'hasKernel'>): {
  readonly lowered: number;
  readonly used: Set<SessionLoweringName>;
} {
  const used = new Set<SessionLoweringName>();
  if ((groupNorm ?? chosenLowering(choice)) === 'op') return { lowered: 0, used };
  const loweringOf = (site: SiteRef) => {
    const named = groupNorm ?? loweringFor(choice, site);
    const name = named === 'instance-norm' && site.x.dtype === 'float64' ? RUNTIME_LOWERING : named;
    used.add(name);
    return asRun(name, choice);
  };
  const lowered = lower(types, loweringOf, isGroupNorm, where);
  if (used.has('contrib-group-norm')) model.importDomain(CONTRIB_DOMAIN, 1);
  return { lowered, used };
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

/** The operators whose own kernels in ONNX Runtime a caller did not ask for by name. */
function notAskedFor(groupNorm: SessionLoweringName | undefined): RowOperator[] {
  if (groupNorm === 'op') return [];
  if (groupNorm === 'instance-norm') return ['LayerNormalization'];
  return groupNorm === 'layer-norm'
    ? ['InstanceNormalization']
    : ['InstanceNormalization', 'LayerNormalization'];
}

const USE_INLINED = "pass groupNorm: 'op' (on the command line --group-norm op)";

const hasGroupNorm = (model: Model): boolean =>
  model.nodes.some((node) => isGroupNorm(node)) || model.nestedOpTypes().has('GroupNormalization');

function lower(
  types: ValueTypes,
  lowering: LoweringChoice | ((site: SiteRef) => LoweringChoice),
  filter: SiteFilter,
  where: string,
): number {
  const { replaced, refusals } = attempt(where, () =>
    lowerNormalizations(types.model, lowering, filter, types),
  );
  if (refusals.length === 0) return replaced;
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
  const isIn = (opTypes: ReadonlySet<string>) => opTypes.has('GroupNormalization');
  if (!isIn(model.nestedOpTypes())) return;
  const [place, remedy] = isIn(model.functionOpTypes())
    ? ['a local function', 'inline it first (onnx.inliner.inline_local_functions)']
    : [
        'the body of an If, Loop or Scan',
        'the native kernel runs it there (onnx-groupnorm doctor says whether it can be used)',
      ];
  throw new SessionError(
    'MODEL_REJECTED',
    `${where}: a GroupNormalization lies in ${place}, where it is not rewritten; ${remedy}, or ${USE_INLINED}`,
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
