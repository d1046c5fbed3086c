/** Existing models as files that any runtime runs correctly: GroupNorm out of ONNX's own operators. */
import { isUint8Array, unshared } from '../arrays.js';
import { GraphError, ModelError, OptionError } from '../errors.js';
import type { Scope } from '../graph/builder.js';
import { whyNotContrib } from '../lowering/contrib-group-norm.js';
import { getLowering, getSessionLowering, MAX_OPSET, requireRewrittenOpset } from '../lowering/choose.js';
import { opLowering, PER_CHANNEL_OPSET } from '../lowering/op.js';
import { type Limits, requireLimits } from '../limits.js';
import { inputOf, type SiteRef } from '../lowering/lower.js';
import { CONTRIB_DOMAIN, type GroupNormSite, type SessionLoweringName } from '../lowering/types.js';
import { requireModelSize } from '../onnx/encode.js';
import { Model } from '../onnx/model.js';
import { notBytes, requireKnownOptions } from '../options.js';
import { listNames } from '../quantities.js';
import { readNames, removeDeadCode } from './analysis/dead-code.js';
import { isGroupNorm, lowerNormalizations } from './norms/group-normalization.js';
import { freeInlinedNames } from './norms/inlined-group-norm.js';
import { requireValidNodes } from './analysis/node-checks.js';
import {
  type NormPlan,
  OTHER_OPSET,
  recordedLowering,
  type RefusalStyle,
  replaceAllNorms,
  SAFE_LOWERING,
} from './replace-norms.js';
import { outputOf } from './analysis/patterns.js';
import { type Obstacle, planRaise } from './analysis/opset-changes.js';
import { raiseOpset } from './raise-opset.js';
import { MAX_LAYER_NORM_ROW, rowOperatorsToReplace } from './norms/row-norms.js';
import { ValueTypes } from './analysis/value-types.js';

/** How `convertModel` writes GroupNorm. */
export interface ConvertOptions {
  /**
   * One of `LOWERING_NAMES`, or `contrib-group-norm`. Default `reduce-mean`, which is right for any mean on every runtime.
   * `op` needs a model of opset 21 or later. `contrib-group-norm` writes ONNX Runtime's `com.microsoft.GroupNorm`, and
   * `reduce-mean` where its CUDA kernel does not fit: it takes (N, C, H, W) of float32 or float16, and an even number of
   * at most 512 channels per group.
   */
  readonly lowering?: SessionLoweringName | undefined;
  /**
   * Whether to write the standard operator, `op`, in a model below opset 21 too: the model becomes one of opset 21, if that
   * changes the meaning of no other node. Default `false`.
   */
  readonly merge?: boolean | undefined;
  /** What messages call the model: its path, for example. Default `model`. */
  readonly where?: string | undefined;
  /** How large the parts of the model may be: other numbers in place of the defaults of {@link Limits}. */
  readonly limits?: Partial<Limits> | undefined;
}

/** How many normalizations were replaced, by how the model had them. */
export interface ReplacedNorms {
  /** The standard operator, in bodies of If, Loop and Scan and in local functions too: in each copy of a function. */
  readonly groupNormalization: number;
  /**
   * GroupNorm as PyTorch exports it below opset 21: InstanceNormalization of rows, which are reshaped, scaled and shifted.
   */
  readonly exported: number;
  /** `com.microsoft.GroupNorm` and `SkipGroupNorm`, with their SiLU, as ONNX Runtime's optimizer writes them. */
  readonly contrib: number;
  /**
   * GroupNorm that is written out in arithmetic: ONNX's definition in the operator's place, as ONNX Runtime saves it; Keras
   * 3's form; a PyTorch module that computes mean and variance itself.
   */
  readonly inlined: number;
  /**
   * InstanceNormalization, and LayerNormalization over more than 1,024 elements or an unknown number of them, that are
   * not GroupNorm, written as `reduce-mean`: ONNX Runtime sums a row in one float32, and has no InstanceNormalization
   * of float64.
   */
  readonly rows: number;
}

/** The result of `convertModel`. */
export interface ConvertedModel {
  /** A ModelProto; the array that was passed in, if nothing was replaced. */
  readonly bytes: Uint8Array;
  /** How many normalizations were replaced. */
  readonly replaced: ReplacedNorms;
  /** How many `com.microsoft.NhwcConv`, convolutions with channels last for GPUs, were written as Conv. */
  readonly nhwcConvs: number;
  /**
   * The lowerings that GroupNorm was written as: the chosen lowering, and `reduce-mean` for nodes that the chosen lowering
   * could not run. Empty if the model does not have a GroupNorm.
   */
  readonly lowerings: readonly SessionLoweringName[];
  /** Operators of the graph from other domains (`com.microsoft.FusedConv`). They stay, and not every runtime has them. */
  readonly foreign: readonly string[];
  /** The opset that the model had, if `merge` has raised it to 21. */
  readonly raisedFrom: number | undefined;
  /** Files that the model keeps weights in, relative to its folder. The converted model refers to them too. */
  readonly externalData: readonly string[];
}

const CONVERT_OPTIONS: readonly (keyof ConvertOptions)[] = ['lowering', 'merge', 'where', 'limits'];

/**
 * Writes every GroupNorm of a model as a lowering, at the model's own opset: the operator, PyTorch's exports below opset
 * 21, `com.microsoft.GroupNorm`, and arithmetic. It writes only operators of ONNX, so that any runtime runs the
 * result, unless `contrib-group-norm` is asked for. The rest of the model stays as it is, byte for byte, except values that
 * only the replaced nodes read: these are removed. `op` writes the standard operator instead, which ONNX Runtime has no
 * kernel for, and leaves all other normalizations.
 * @param bytes A ModelProto, float32, float64, float16 or bfloat16, with its weights in it or in files of their own.
 * @throws ModelError if the bytes are not a model, the model is larger than 2 GiB (`MODEL_TOO_LARGE`) or exceeds a
 *   limit (`LIMIT_EXCEEDED`), or has a
 *   GroupNormalization that cannot be rewritten (`MODEL_UNSUPPORTED`); GraphError `UNKNOWN_LOWERING`, `LOWERING_UNAVAILABLE` or
 *   `UNSUPPORTED_OPSET`; OptionError.
 */
export function convertModel(bytes: Uint8Array, options: ConvertOptions = {}): ConvertedModel {
  requireKnownOptions('convertModel', options, CONVERT_OPTIONS);
  if (!isUint8Array(bytes)) throw notBytes('convertModel takes a Uint8Array', bytes);
  const { merge = false, where = 'model' } = options;
  const lowering = merge ? requireOp(options.lowering) : findLowering(options.lowering ?? SAFE_LOWERING);
  requireModelSize(bytes.byteLength, where);
  const model = Model.decode(unshared(bytes), where, requireLimits('convertModel', options.limits));
  const isRaised = merge && model.opset < PER_CHANNEL_OPSET;
  requireLowering(isRaised ? SAFE_LOWERING : lowering, model.opset, where);
  requireValidNodes(model, where);
  const raise = isRaised ? raiseToMerge(model, where) : undefined;
  const before = readNames(model);
  const used = new Set<SessionLoweringName>();
  const types = new ValueTypes(model);
  const externalData = [...model.externalFiles.keys()];
  const plan = planFor(lowering, used);
  const counts = replaceAllNorms(types, plan, where, REFUSAL);
  const { exported, contrib, inlined, operator, rows, nhwcConv } = counts;
  const perGroup = raise?.perGroup ?? 0;
  if (perGroup > 0) used.add('op');
  const count = exported + contrib + inlined + operator + rows + nhwcConv + perGroup;
  const result = {
    replaced: { groupNormalization: operator + perGroup, exported, contrib, inlined, rows },
    nhwcConvs: nhwcConv,
    lowerings: [...used],
    raisedFrom: count > 0 ? raise?.from : undefined,
    foreign: foreignOperators(model),
    externalData,
  };
  if (count === 0) return { bytes, ...result };
  if (raise) requireNoObstacle(model, raise, where);
  if (used.has('contrib-group-norm')) model.importDomain(CONTRIB_DOMAIN, 1);
  removeDeadCode(model, before);
  if (lowering === 'op') freeInlinedNames(model);
  const encoded = model.encode();
  requireModelSize(encoded.byteLength, `${where}, converted`);
  return { bytes: encoded, ...result };
}

/** @throws OptionError if `merge` is asked for together with a lowering that it does not write. */
function requireOp(lowering: SessionLoweringName | undefined): 'op' {
  if (lowering === undefined || lowering === 'op') return 'op';
  throw new OptionError(
    'INVALID_OPTION',
    `convertModel: merge writes the standard operator, lowering 'op'; remove merge or lowering '${lowering}'`,
  );
}

/** A model that was raised to opset 21. */
interface Raise {
  readonly obstacles: readonly Obstacle[];
  readonly from: number;
  /** How many GroupNormalizations with one scale a group became those of opset 21. */
  readonly perGroup: number;
}

/** Makes a model one of opset 21, before GroupNorm is merged in it. Nodes that are in the way may be merged, too. */
function raiseToMerge(model: Model, where: string): Raise {
  const { opset: from } = model;
  const plan = planRaise(model, PER_CHANNEL_OPSET);
  const operator = {
    lower: (g: Scope, site: GroupNormSite) => opLowering.lower(g, site, PER_CHANNEL_OPSET),
  };
  const lowered = new Set(model.nodes.filter(isGroupNorm).map(outputOf));
  const { replaced, refusals } = lowerNormalizations(model, operator, isGroupNorm);
  if (refusals.length > 0) throw REFUSAL.error(`${where}: ${refusals.join('; ')}`);
  raiseOpset(model, plan);
  const obstacles = plan.obstacles.filter(({ output }) => output === undefined || !lowered.has(output));
  return { from, perGroup: replaced, obstacles };
}

/** @throws ModelError `MODEL_UNSUPPORTED` that names the nodes which a later opset would change. */
function requireNoObstacle(model: Model, { from, obstacles }: Raise, where: string): void {
  const left = obstacles.filter(({ output }) => output === undefined || model.index.producer(output));
  if (left.length === 0) return;
  const problems = listNames(
    left.map(({ text }) => text),
    5,
  );
  throw REFUSAL.error(
    `${where}: it cannot become a model of opset ${PER_CHANNEL_OPSET} from ${from}: ${problems}; ${OTHER_OPSET}, or convert ` +
      'it without merge',
  );
}

/**
 * Plans to replace every GroupNorm, also those with short rows, so that all of them are of one kind. `op` leaves other
 * normalizations; other lowerings replace those that sessions replace.
 * @param used Collects the lowerings that are written.
 */
function planFor(lowering: SessionLoweringName, used: Set<SessionLoweringName>): NormPlan {
  const isContrib = lowering === 'contrib-group-norm';
  const [chosen, safe] = [lowering, SAFE_LOWERING].map((name) => recordedLowering(name, used));
  const isLeft = (site: SiteRef) =>
    isContrib && whyNotContrib({ x: inputOf(site), numGroups: site.numGroups }) !== undefined;
  const nameFor = (site: SiteRef) => (isLeft(site) ? safe! : chosen!)(site);
  const contrib = isContrib ? undefined : nameFor;
  const every = { exported: nameFor, contrib, nhwcConv: !isContrib, inlined: nameFor };
  if (lowering === 'op') return every;
  const rows = {
    lowering: SAFE_LOWERING,
    operators: rowOperatorsToReplace(lowering),
    maxRow: MAX_LAYER_NORM_ROW,
  };
  return { ...every, operator: nameFor, rows };
}

function foreignOperators(model: Model): string[] {
  const foreign = model.nodes.filter(
    (node) => !['', 'ai.onnx.ml'].includes(node.domain) && !model.isFunctionCall(node),
  );
  return [...new Set(foreign.map(({ domain, opType }) => `${domain}.${opType}`))];
}

/** Finds a lowering of files, or the one lowering of sessions that a file may have if the caller names it. */
const findLowering = (name: string): SessionLoweringName =>
  (name === 'contrib-group-norm' ? getSessionLowering : getLowering)(name, MAX_OPSET).name;

/** Checks the opset of an existing model, which may be older or newer than those of models that this library builds. */
export function requireLowering(lowering: SessionLoweringName, opset: number, where: string): void {
  try {
    requireRewrittenOpset(opset);
    if (lowering === 'op') requirePerChannel(opset);
    else getSessionLowering(lowering, opset);
  } catch (cause) {
    if (!(cause instanceof GraphError)) throw cause;
    throw new GraphError(cause.code, `${where}: ${cause.message}; or ${OTHER_OPSET}`, { cause });
  }
}

/** `build` may write the operator of opset 18 to 20. A converted file is for other tools, which refuse a deprecated one. */
function requirePerChannel(opset: number): void {
  if (opset >= PER_CHANNEL_OPSET) return;
  throw new GraphError(
    'LOWERING_UNAVAILABLE',
    `lowering 'op' needs a model of opset ${PER_CHANNEL_OPSET} or later, and this one is of ${opset}, where ` +
      `GroupNormalization is deprecated (18 to 20) or does not exist: choose another lowering, such as ${SAFE_LOWERING}, or ` +
      'raise the opset (merge)',
    { option: 'merge' },
  );
}

const REFUSAL: RefusalStyle = {
  error: (message, details) => new ModelError('MODEL_UNSUPPORTED', message, details),
};
