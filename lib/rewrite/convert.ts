/** Models of others as files that any runtime runs rightly: out of operators of ONNX alone. */
import { GraphError, ModelError, OptionError } from '../errors.js';
import { getLowering, MAX_OPSET, MAX_SESSION_OPSET, requireOpset } from '../lowering/choose.js';
import type { SiteRef } from '../lowering/lower-site.js';
import { PER_CHANNEL_OPSET } from '../lowering/op.js';
import type { LoweringName } from '../lowering/types.js';
import { requireModelSize } from '../onnx/encode.js';
import { Model } from '../onnx/model.js';
import { requireKnownOptions } from '../options.js';
import { readNames, removeLeftovers } from './dead-code.js';
import { freeInlinedNames } from './inlined-group-norm.js';
import {
  type NormPlan,
  type NormReport,
  type OutOfReach,
  replaceNorms,
  runnable,
  SAFE_LOWERING,
  unreachableGroupNorm,
} from './replace-norms.js';
import { MAX_LAYER_NORM_ROW, notAskedFor } from './row-norms.js';
import { ValueTypes } from './value-types.js';

/** How `convertModel` writes GroupNorm. */
export interface ConvertOptions {
  /**
   * One of `LOWERING_NAMES`. Default `reduce-mean`, which is right for any mean on every runtime. `op` needs a model of
   * opset 21 or later.
   */
  readonly lowering?: LoweringName | undefined;
  /** What messages call the model: its path, for example. Default `model`. */
  readonly where?: string | undefined;
}

/** How many normalizations were replaced, by the way in which they were written. */
export interface ReplacedNorms {
  /** The standard operator. */
  readonly groupNormalization: number;
  /**
   * GroupNorm as PyTorch exports it below opset 21: InstanceNormalization between two Reshapes. A model with local
   * functions or control flow, whose bodies may read what lies between, is not looked through for it.
   */
  readonly exported: number;
  /** ONNX's definition of GroupNormalization in the operator's place, as ONNX Runtime saves it. */
  readonly inlined: number;
  /**
   * InstanceNormalization, and LayerNormalization over more than 1,024 elements or an unknown number of them, that are
   * no GroupNorm, written as `reduce-mean`: ONNX Runtime sums a row in one float32, and has no InstanceNormalization of
   * float64.
   */
  readonly rows: number;
}

/** A model as `convertModel` gives it. */
export interface ConvertedModel {
  /** A ModelProto; the very array that was given, where nothing was replaced. */
  readonly bytes: Uint8Array;
  /** What was done. */
  readonly replaced: ReplacedNorms;
  /** What GroupNorm was written as: the lowering, and `reduce-mean` where that would not run. Empty if there was none. */
  readonly lowerings: readonly LoweringName[];
  /** Operators of the graph that are not ONNX's (`com.microsoft.FusedConv`), which stay and not every runtime has. */
  readonly foreign: readonly string[];
}

const CONVERT_OPTIONS: readonly (keyof ConvertOptions)[] = ['lowering', 'where'];

/**
 * Writes every GroupNorm of a model as a lowering, at the model's own opset: the operator, what PyTorch exports below
 * opset 21, and inlined bodies. Only operators of ONNX are written, so that any runtime runs the result, and all but
 * those nodes and what they alone read stays as it was read. `op` writes the standard operator instead, which ONNX
 * Runtime has no kernel for, and leaves all other normalizations.
 * @param bytes A ModelProto, float32, float64, float16 or bfloat16, with its weights in it or in files of their own.
 * @throws ModelError if it is none, is larger than 2 GiB (`MODEL_TOO_LARGE`), or has a GroupNormalization that cannot
 *   be written otherwise (`MODEL_UNSUPPORTED`); GraphError `UNKNOWN_LOWERING`, `LOWERING_UNAVAILABLE` or
 *   `UNSUPPORTED_OPSET`; OptionError.
 */
export function convertModel(bytes: Uint8Array, options: ConvertOptions = {}): ConvertedModel {
  requireKnownOptions('convertModel', options, CONVERT_OPTIONS);
  requireBytes(bytes);
  const { lowering: asked = SAFE_LOWERING, where = 'model' } = options;
  const lowering = getLowering(asked, MAX_OPSET).name;
  requireModelSize(bytes.byteLength, where);
  const model = Model.decode(bytes, where);
  requireLowering(lowering, model.opset, where);
  if (lowering !== 'op') requireReachable(model, where);
  const before = readNames(model);
  const used = new Set<LoweringName>();
  const types = new ValueTypes(model);
  const report = attempt(where, () => replaceNorms(types, planFor(lowering, used)));
  requireNoRefusals(report, where);
  const { exported, inlined, operator, rows } = report;
  const result = {
    replaced: { groupNormalization: operator, exported, inlined, rows },
    lowerings: [...used],
    foreign: foreignOperators(model),
  };
  if (exported + inlined + operator + rows === 0) return { bytes, ...result };
  removeLeftovers(model, before);
  if (lowering === 'op') freeInlinedNames(model);
  const encoded = model.encode();
  requireModelSize(encoded.byteLength, `${where}, converted`);
  return { bytes: encoded, ...result };
}

/**
 * Every GroupNorm, however short its rows: asked for by name, it is to be of one kind. Other normalizations are
 * replaced where sessions do, too; `op` is for what is a GroupNorm alone.
 * @param used Is given what is written.
 */
function planFor(lowering: LoweringName, used: Set<LoweringName>): NormPlan {
  const nameFor = (site: SiteRef) => {
    const name = runnable(lowering, site);
    used.add(name);
    return name;
  };
  const every = { exported: nameFor, inlined: nameFor };
  if (lowering === 'op') return every;
  const rows = { lowering: SAFE_LOWERING, operators: notAskedFor(lowering), maxRow: MAX_LAYER_NORM_ROW };
  return { ...every, operator: nameFor, rows };
}

function foreignOperators(model: Model): string[] {
  const foreign = model.nodes.filter(
    (node) => !['', 'ai.onnx.ml'].includes(node.domain) && !model.isFunctionCall(node),
  );
  return [...new Set(foreign.map(({ domain, opType }) => `${domain}.${opType}`))];
}

function requireBytes(bytes: unknown): void {
  if (bytes instanceof Uint8Array) return;
  const remedy = bytes instanceof ArrayBuffer ? ': new Uint8Array(buffer) makes one of it' : '';
  throw new OptionError(
    'INVALID_OPTION',
    `convertModel takes a Uint8Array, not ${Object.prototype.toString.call(bytes).slice(8, -1)}${remedy}`,
  );
}

/** Files that others wrote may be of newer opsets than those that are written here. */
function requireLowering(lowering: LoweringName, opset: number, where: string): void {
  try {
    requireOpset(opset, MAX_SESSION_OPSET);
    if (lowering === 'op') requirePerChannel(opset);
    else getLowering(lowering, Math.min(opset, MAX_OPSET));
  } catch (cause) {
    if (!(cause instanceof GraphError)) throw cause;
    const upgrade = 'bring the model to another opset first (onnx.version_converter.convert_version)';
    throw new GraphError(cause.code, `${where}: ${cause.message}; or ${upgrade}`, { cause });
  }
}

/** A new file may have the operator of opset 18 to 20; in one that others are to check it is no way out. */
function requirePerChannel(opset: number): void {
  if (opset >= PER_CHANNEL_OPSET) return;
  throw new GraphError(
    'LOWERING_UNAVAILABLE',
    `lowering 'op' needs a model of opset ${PER_CHANNEL_OPSET} or later, and this one is of ${opset}, where ` +
      `GroupNormalization is deprecated (18 to 20) or does not exist: choose another lowering, such as ${SAFE_LOWERING}`,
  );
}

/** What passes cannot reach would stay wrong. */
function requireReachable(model: Model, where: string): void {
  const place = unreachableGroupNorm(model);
  if (place === undefined) return;
  throw new ModelError(
    'MODEL_UNSUPPORTED',
    `${where}: a GroupNormalization lies in ${place}, where it is not rewritten; ${REMEDIES[place]}`,
  );
}

const REMEDIES: Readonly<Record<OutOfReach, string>> = {
  'a local function': 'inline it first (onnx.inliner.inline_local_functions)',
  'the body of an If, Loop or Scan':
    'export the model again with conditions and counts that are constants, or leave the file as it is and run it in a ' +
    'session with the native kernel (createSession)',
};

function requireNoRefusals({ refusals }: NormReport, where: string): void {
  if (refusals.length > 0) throw new ModelError('MODEL_UNSUPPORTED', `${where}: ${refusals.join('; ')}`);
}

/** What lowerings cannot do with a model is the model's fault: a name, a shape. */
function attempt<T>(where: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    if (!(cause instanceof GraphError)) throw cause;
    throw new ModelError('MODEL_UNSUPPORTED', `${where}: ${cause.message}`, { cause });
  }
}
