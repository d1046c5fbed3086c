/** Models made ready for a runtime: the parts that ONNX Runtime has no kernel for, or a wrong one, are rewritten. */
import { SessionError } from '../../errors.js';
import { locationProblem } from '../../files/location.js';
import { DEFAULT_LIMITS } from '../../limits.js';
import { type LoweringChoice, type SiteRef, skippingEmpty } from '../../lowering/lower.js';
import { kernelLowering } from '../../lowering/op.js';
import { sessionReduceMean } from '../../lowering/session-reduce-mean.js';
import { CONTRIB_DOMAIN, FUSED_DOMAIN, type SessionLoweringName } from '../../lowering/types.js';
import { Model } from '../../onnx/model.js';
import { widenBfloat16 } from '../../rewrite/bfloat16-io.js';
import { hasNormBetweenConvolutions } from '../../rewrite/blocked/layout.js';
import { skipEmptyInputs } from '../../rewrite/empty-inputs.js';
import { fuseGroupNorm } from '../../rewrite/norms/fuse-group-norm.js';
import { isGroupNorm } from '../../rewrite/norms/group-normalization.js';
import { raiseOpset6 } from '../../rewrite/raise-opset.js';
import { splitUpsampledConvs } from '../../rewrite/upsampled-conv.js';
import { requireValidNodes } from '../../rewrite/analysis/node-checks.js';
import {
  type NormPlan,
  OTHER_OPSET,
  recordedLowering,
  type RefusalStyle,
  replaceAllNorms,
  SAFE_LOWERING,
} from '../../rewrite/replace-norms.js';
import { MAX_LAYER_NORM_ROW, rowOperatorsToReplace, type RowPlan } from '../../rewrite/norms/row-norms.js';
import { ValueTypes } from '../../rewrite/analysis/value-types.js';
import { type Dim, UNKNOWN_DIM } from '../../tensor.js';
import { requireNoCrash, requireNoCrashInside } from './crashes.js';
import type { Backend, GroupNormExecution, ModelToLoad, Provider, TensorInfo } from '../core/contract.js';
import { UnsafeModelError } from '../core/errors.js';
import {
  chosenLowering,
  CONTRIB_PROVIDERS,
  GROUP_NORM_CHOICES,
  type GroupNormChoice,
} from './group-norm-policy.js';
import { wrongOptimizers } from '../core/workarounds.js';

export interface PreparedModel extends ModelToLoad {
  /** Inputs and outputs that are bfloat16 in the model and float32 for the runtime. */
  readonly bfloat16: ReadonlySet<string>;
  /** The inputs that the model has a default value for, with their own dtypes. */
  readonly optionalInputs: readonly TensorInfo[];
  /**
   * How GroupNormalization runs, PyTorch's exports of it below opset 21 and arithmetic included. `undefined` if the
   * model has none, or if the caller asked for ONNX Runtime's own body.
   */
  readonly groupNorm: GroupNormExecution | undefined;
  /** Whether an input without elements would end the process. */
  readonly needsElements: boolean;
}

/** What a model whose weights were detached calls the bytes that it was read from. */
const WHOLE_MODEL = 'whole-model.onnx';
/** Bytes of the smallest weight that is detached: large models have nearly all of their bytes in larger weights. */
const LEAST_DETACHED = 2 ** 20;

/**
 * Decodes a model once and rewrites it.
 * @param problemOf Says what is wrong with a file of external data; `undefined` for a model that was given as bytes.
 * @param groupNorm `op` leaves the standard operator to ONNX Runtime's inlined body. A named operator runs by ONNX
 *   Runtime's own kernel: `instance-norm` and `layer-norm` leave the operator of that name as it is, `op` both.
 * @throws ModelError if the model cannot be read, SessionError `MODEL_REJECTED` if a node cannot be rewritten.
 */
export function prepareModel(
  bytes: Uint8Array,
  where: string,
  problemOf: DataFileCheck | undefined,
  groupNorm: SessionLoweringName | undefined,
  backend: Pick<
    Backend,
    'provider' | 'hasGroupNormKernel' | 'takesBfloat16' | 'hasFile' | 'readsWeightsInMemory'
  >,
  choice: GroupNormChoice = GROUP_NORM_CHOICES[backend.provider],
  limits = DEFAULT_LIMITS,
): PreparedModel {
  requireContrib(groupNorm, backend.provider);
  const model = Model.decode(bytes, where, limits);
  requireValidNodes(model, where);
  const unranked = model.unrankedNames();
  const { hasFile } = backend;
  const onDisk = [...model.externalFiles].filter(
    ([location, { hasOnlyInitializers }]) => !(hasOnlyInitializers && hasFile?.(location)),
  );
  for (const [location, { size }] of onDisk) {
    const given = hasFile?.(location) ? ONLY_INITIALIZERS : GIVEN_AS_BYTES;
    const problem = locationProblem(location) ?? (problemOf ? problemOf(location, size) : given);
    if (problem !== undefined) throw noExternalData(where, location, problem);
  }
  requireContextFiles(model, where, problemOf);
  const lowering = groupNorm ?? chosenLowering(choice);
  const hasKernel = lowering === 'op' && backend.hasGroupNormKernel;
  raiseOpset6(model);
  const types = new ValueTypes(model);
  requireNoCrashInside(types, where);
  const own = new Set(model.nodes);
  const { replaced, execution } = rewriteNorms({
    model,
    types,
    where,
    groupNorm,
    lowering,
    choice,
    hasKernel,
    hasContribKernel: CONTRIB_PROVIDERS.includes(backend.provider),
  });
  const widened = backend.takesBfloat16 ? new Set<string>() : widenBfloat16(model);
  const fused = hasKernel ? fuseGroupNorm(model, types) : 0;
  const split = SPLITTING.includes(backend.provider) ? splitUpsampledConvs(types) : 0;
  const guarded = skipEmptyInputs(model, types, backend.hasGroupNormKernel, own);
  requireNoCrash(model, types, where);
  const changed = replaced + widened.size + fused + split + guarded > 0;
  const optionalInputs = describeOptional(model);
  const isDetached =
    backend.readsWeightsInMemory === true &&
    !model.externalFiles.has(WHOLE_MODEL) &&
    model.detachWeights(WHOLE_MODEL, LEAST_DETACHED) > 0;
  const narrow = backend.takesBfloat16 ? [] : optionalInputs.filter(({ dtype }) => dtype === 'bfloat16');
  return {
    bytes: changed || isDetached ? model.encode() : bytes,
    unranked,
    externalLocations: onDisk.map(([location]) => location),
    ...(isDetached && { fileInMemory: { location: WHOLE_MODEL, bytes } }),
    wrongOptimizers: wrongOptimizers(model),
    hasNormBetweenConvolutions: hasKernel && hasNormBetweenConvolutions(model),
    bfloat16: new Set([...widened, ...narrow.map(({ name }) => name)]),
    optionalInputs,
    groupNorm: execution,
    needsElements: false,
  };
}

/** The providers on which four small convolutions were measured to be faster than one of an upsampled image. */
const SPLITTING: readonly Provider[] = ['native', 'cpu'];

/**
 * Checks the files that EPContext nodes name: a provider such as TensorRT reads the engine that it has compiled from there.
 * Source: onnxruntime.ai/docs/execution-providers/EP-Context-Design.html.
 */
function requireContextFiles(model: Model, where: string, problemOf: DataFileCheck | undefined): void {
  const refuse = (problem: string) => new UnsafeModelError(`${where}: an EPContext ${problem}`);
  if (model.nestedOpTypes().has('EPContext')) {
    throw refuse(
      'is in a local function or in the body of an If, Loop or Scan, where the file that it names is not checked',
    );
  }
  for (const node of model.nodes) {
    if (node.opType !== 'EPContext' || node.number('embed_mode') !== 0) continue;
    const location = node.text('ep_cache_context') ?? '';
    const problem = locationProblem(location) ?? (problemOf ? problemOf(location, 0) : GIVEN_AS_BYTES);
    if (problem !== undefined) throw refuse(`names the file '${location}', ${problem}`);
  }
}

const describeOptional = (model: Model): TensorInfo[] =>
  model.optionalInputs.flatMap(({ name, dtype, shape }) =>
    dtype ? [{ name, dtype, shape: shape?.map(asRuntimesNameIt), optional: true }] : [],
  );

/** Returns a dimension as runtimes describe it: the name of an unknown dimension is empty. */
const asRuntimesNameIt = (dim: Dim): Dim => (dim === UNKNOWN_DIM ? '' : dim);

interface Rewriting {
  readonly model: Model;
  readonly types: ValueTypes;
  readonly where: string;
  /** The caller's choice. */
  readonly groupNorm: SessionLoweringName | undefined;
  /** The caller's choice, or the provider's. */
  readonly lowering: SessionLoweringName;
  readonly choice: GroupNormChoice;
  readonly hasKernel: boolean;
  /** Whether the provider has ONNX Runtime's kernel for com.microsoft.GroupNorm. */
  readonly hasContribKernel: boolean;
}

/** Rewrites every form of GroupNormalization, and the operators that ONNX Runtime's own kernels get wrong. */
function rewriteNorms(rewriting: Rewriting): {
  readonly replaced: number;
  readonly execution: GroupNormExecution | undefined;
} {
  const { model, types, where, hasKernel } = rewriting;
  const used = new Set<SessionLoweringName>();
  const plan = planFor(rewriting, used);
  const counts = replaceAllNorms(types, plan, where, REFUSAL);
  const { exported, contrib, inlined, operator, rows, nhwcConv } = counts;
  const written = exported + contrib + inlined;
  const isRunByKernel = hasKernel && (written > 0 || hasGroupNorm(model));
  if (used.has('contrib-group-norm')) model.importDomain(CONTRIB_DOMAIN, 1);
  if (hasKernel && written + rows > 0) model.importDomain(FUSED_DOMAIN, 1);
  return {
    replaced: written + operator + rows + nhwcConv,
    execution: used.size > 0 ? executionOf(used) : isRunByKernel ? 'kernel' : undefined,
  };
}

/** @param used Collects the lowerings that GroupNormalization is written as. */
function planFor(
  { groupNorm, lowering, choice, hasKernel, hasContribKernel }: Omit<Rewriting, 'model' | 'types' | 'where'>,
  used: Set<SessionLoweringName>,
): NormPlan & { readonly rows: RowPlan } {
  const rows = {
    lowering: hasKernel ? kernelLowering : asRun(SAFE_LOWERING, choice),
    operators: rowOperatorsToReplace(groupNorm),
    maxRow: choice.hasLayerNormKernel === false ? 0 : MAX_LAYER_NORM_ROW,
  };
  const by = (name: SessionLoweringName) => {
    const nameFor = recordedLowering(name, used);
    return (site: SiteRef) => asRun(nameFor(site), choice);
  };
  // The providers with that kernel have one of NhwcConv too.
  const nhwcConv = !hasContribKernel;
  // ONNX Runtime has a body for the standard operator, but none for its own.
  if (groupNorm === 'op') {
    const contrib = hasContribKernel ? undefined : hasKernel ? kernelLowering : by(SAFE_LOWERING);
    return { rows, contrib, nhwcConv };
  }
  const loweringOf = by(lowering);
  const written = hasKernel ? kernelLowering : loweringOf;
  return {
    contrib: lowering === 'contrib-group-norm' ? undefined : written,
    nhwcConv,
    exported: written,
    inlined: written,
    operator: lowering === 'op' ? undefined : loweringOf,
    rows,
  };
}

/** Returns a lowering in the form that a provider needs. These two do not take empty inputs by themselves. */
function asRun(name: SessionLoweringName, { sums }: GroupNormChoice): LoweringChoice {
  if (name === 'instance-norm' || name === 'layer-norm') return skippingEmpty(name);
  return name === 'reduce-mean' && sums ? sessionReduceMean(sums) : name;
}

/** What a plan makes of a GroupNorm in one of its forms. */
export type PlannedForm = Exclude<keyof NormPlan, 'rows'>;

/** How sessions on a provider run normalizations if the caller does not say. */
export interface ProviderPlan {
  /** Whether the native kernel runs GroupNorm. */
  readonly hasKernel: boolean;
  readonly rows: RowPlan;
  /** Returns how a GroupNorm runs. */
  readonly execute: (form: PlannedForm, site: SiteRef) => Exclude<GroupNormExecution, 'mixed'>;
}

/** Returns the plan that {@link prepareModel} carries out for a provider that works here. */
export function planOf(provider: Provider): ProviderPlan {
  const choice = GROUP_NORM_CHOICES[provider];
  const lowering = chosenLowering(choice);
  const hasKernel = choice.groupNorm === 'kernel';
  const hasContribKernel = CONTRIB_PROVIDERS.includes(provider);
  const used = new Set<SessionLoweringName>();
  const plan = planFor({ groupNorm: undefined, lowering, choice, hasKernel, hasContribKernel }, used);
  return {
    hasKernel,
    rows: plan.rows,
    execute: (form, site) => {
      if (hasKernel) return 'kernel';
      used.clear();
      const choose = plan[form];
      if (typeof choose === 'function') choose(site);
      return [...used][0] ?? lowering;
    },
  };
}

function executionOf(used: ReadonlySet<SessionLoweringName>): GroupNormExecution {
  const [first, ...others] = used;
  return others.length > 0 ? 'mixed' : first!;
}

const hasGroupNorm = (model: Model): boolean =>
  model.nodes.some((node) => isGroupNorm(node)) || model.nestedOpTypes().has('GroupNormalization');

/** Other providers know com.microsoft.GroupNorm without a kernel for it; their message would not name a way out. */
export function requireContrib(groupNorm: SessionLoweringName | undefined, provider: Provider): void {
  if (groupNorm !== 'contrib-group-norm' || CONTRIB_PROVIDERS.includes(provider)) return;
  throw new SessionError(
    'PROVIDER_UNAVAILABLE',
    `groupNorm: 'contrib-group-norm' needs a kernel for com.microsoft.GroupNorm. ONNX Runtime has this kernel on ` +
      `${CONTRIB_PROVIDERS.join(', ')}, but not on ${provider}; groupNorm: 'reduce-mean' runs on every provider`,
  );
}

/** Says what is wrong with a file of external data of at least `size` bytes; `undefined` if a runtime may read it. */
export type DataFileCheck = (location: string, size: number) => string | undefined;

const noExternalData = (where: string, location: string, problem: string): SessionError =>
  new UnsafeModelError(`${where} keeps its weights in the separate file '${location}', ${problem}`);

const ONLY_INITIALIZERS =
  'and not all of them are initializers of its graph, which alone ONNX Runtime takes from memory (externalData): give the ' +
  'path of the model instead';

const GIVEN_AS_BYTES = 'which a model given as bytes cannot find: give the path of the model instead';

/** How to leave GroupNormalization to ONNX Runtime. */
export const USE_INLINED = "pass groupNorm: 'op'";

/** A GroupNormalization that is not rewritten would run as ONNX Runtime's inlined body. */
const REFUSAL: RefusalStyle = {
  error: (message, details) => {
    const remedy = details?.cause?.code === 'UNSUPPORTED_OPSET' ? `; ${OTHER_OPSET}` : '';
    return new SessionError('MODEL_REJECTED', `${message}${remedy}`, details);
  },
  advice: {
    text:
      ". ONNX Runtime has no kernel for this operator. It inlines the operator's definition, which is slow, and wrong if " +
      `the mean is large. To run that definition anyway, ${USE_INLINED}`,
    option: 'groupNorm',
  },
};
