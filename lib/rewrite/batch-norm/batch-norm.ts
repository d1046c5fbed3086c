/**
 * BatchNormalization as GroupNormalization: the recipe that users of PyTorch apply to a network before they train it with
 * small batches.
 *
 *     BatchNormalization(x, scale, bias, mean, variance)
 *
 * matches anywhere in the graph, and the model is refused if one of these conditions does not hold for each of them:
 *
 * - it is per channel: not `spatial` = 0 of opset 7 and 8;
 * - no node and no caller of the model reads its statistics, which are further outputs (in training, or below opset 14);
 * - its dtype, rank (2 or more) and channels are known (`ValueTypes`);
 * - scale and bias are weights: initializers or constants, unless they are kept;
 * - it is in the graph, not in a local function and not in the body of an If, Loop or Scan.
 *
 * A match becomes one GroupNormalization of x, as a lowering writes it, with the same epsilon. Scale and bias keep their
 * names, which are those of PyTorch's state_dict where the exporter has kept them. Mean and variance are removed.
 */
import { isUint8Array, unshared } from '../../arrays.js';
import { ModelError } from '../../errors.js';
import { requireGroups } from '../../graph/batch-norm-groups.js';
import { filledTensor } from '../../half.js';
import { type Limits, requireLimits } from '../../limits.js';
import { defaultLowering, getLowering, MAX_OPSET } from '../../lowering/choose.js';
import type { SiteRef, ValueRef } from '../../lowering/lower.js';
import type { LoweringName } from '../../lowering/types.js';
import { requireModelSize } from '../../onnx/encode.js';
import { freshName, Model } from '../../onnx/model.js';
import type { ModelNode } from '../../onnx/graph/node.js';
import { readOutline } from '../../onnx/graph/outline.js';
import { notBytes, requireKnownOptions } from '../../options.js';
import { listNames } from '../../quantities.js';
import type { TensorData } from '../../tensor.js';
import {
  convsWithoutNorm,
  type ConvWithoutNorm,
  type ReplacedBatchNorm,
  reportOf,
  warningsOf,
  whyNoBatchNorm,
} from './report.js';
import { describeBatchNorm, isBatchNorm } from './site.js';
import { requireLowering } from '../convert.js';
import { readNames, removeDeadCode } from '../analysis/dead-code.js';
import { requireValidNodes } from '../analysis/node-checks.js';
import { outputOf } from '../analysis/patterns.js';
import { lowerWith } from '../norms/sites.js';
import { ValueTypes } from '../analysis/value-types.js';

/** How `batchNormToGroupNorm` replaces BatchNormalization. */
export interface BatchNormOptions {
  /** The number of groups, halved for each normalization until it divides the channels. Default 32. */
  readonly numGroups?: number | undefined;
  /** Whether scale and bias stay as they are. Default `false`: scale is 1 and bias is 0, as in a new `torch.nn.GroupNorm`. */
  readonly keepAffine?: boolean | undefined;
  /** How GroupNorm is written: one of `LOWERING_NAMES`. Default `op` from opset 21 on, `reduce-mean` below. */
  readonly lowering?: LoweringName | undefined;
  /** What messages call the model: its path, for example. Default `model`. */
  readonly where?: string | undefined;
  /** How large the parts of the model may be: other numbers in place of the defaults of {@link Limits}. */
  readonly limits?: Partial<Limits> | undefined;
}

/** The result of `batchNormToGroupNorm`. */
export interface GroupNormModel {
  /** A ModelProto. It must be trained again: {@link warnings} says so too. */
  readonly bytes: Uint8Array;
  /** What was replaced, in the order of the graph. */
  readonly norms: readonly ReplacedBatchNorm[];
  /** The names of the statistics that the new model does not have: `bn1.running_mean`, `bn1.running_var`. */
  readonly removed: readonly string[];
  /** Convolutions with a bias and without a BatchNormalization behind them: exporters may have folded it into them. */
  readonly convsWithoutNorm: readonly ConvWithoutNorm[];
  /** What the caller must know, in sentences: first that the network must be trained again. */
  readonly warnings: readonly string[];
}

const BATCH_NORM_OPTIONS: readonly (keyof BatchNormOptions)[] = [
  'numGroups',
  'keepAffine',
  'lowering',
  'where',
  'limits',
];

/**
 * Replaces each BatchNormalization of a model by GroupNormalization. The new network computes something else and must be
 * trained again. Everything else stays as it is, byte for byte.
 * @param bytes A ModelProto of opset 7 to 28, float32, float64, float16 or bfloat16, with its weights in it or in files of
 *   their own.
 * @throws ModelError `MODEL_UNSUPPORTED` if the model has no BatchNormalization, or one that cannot be replaced, with the
 *   names and the reasons; `MODEL_INVALID`, `MODEL_TOO_LARGE` or `LIMIT_EXCEEDED`; GraphError `UNKNOWN_LOWERING`,
 *   `LOWERING_UNAVAILABLE` or `UNSUPPORTED_OPSET`; OptionError.
 */
export function batchNormToGroupNorm(bytes: Uint8Array, options: BatchNormOptions = {}): GroupNormModel {
  requireKnownOptions('batchNormToGroupNorm', options, BATCH_NORM_OPTIONS);
  if (!isUint8Array(bytes)) throw notBytes('batchNormToGroupNorm takes a Uint8Array', bytes);
  const { where = 'model', keepAffine = false } = options;
  const numGroups = requireGroups('batchNormToGroupNorm', options.numGroups);
  requireModelSize(bytes.byteLength, where);
  const own = unshared(bytes);
  const model = Model.decode(own, where, requireLimits('batchNormToGroupNorm', options.limits));
  const lowering = getLowering(options.lowering ?? defaultLowering(model.opset), MAX_OPSET).name;
  requireLowering(lowering, model.opset, where);
  requireValidNodes(model, where);
  const types = new ValueTypes(model);
  const nodes = model.nodes.filter((node) => isBatchNorm(node) && !model.isFunctionCall(node));
  const found = nodes.map((node) => {
    const site = describeBatchNorm(types, node, { numGroups, keepAffine, lowering });
    return typeof site === 'string' ? `${describeNode(node)}: ${site}` : site;
  });
  const problems = [...batchNormsElsewhere(own, model), ...found.filter((one) => typeof one === 'string')];
  if (problems.length > 0) throw unsupported(`${where}: ${listNames(problems, 5)}`);
  const convs = convsWithoutNorm(types);
  if (nodes.length === 0) throw unsupported(`${where}: ${whyNoBatchNorm(convs)}`);
  const sites = found as SiteRef[];
  const { sites: written, fresh } = keepAffine
    ? { sites: new Map(sites.map((site) => [site.output, site])), fresh: new Map<string, TensorData>() }
    : renew(model, sites, where);
  const removed = replaceAll(model, written, fresh, lowering);
  const norms = nodes.map((node) => reportOf(node, written.get(outputOf(node))!));
  const encoded = model.encode();
  requireModelSize(encoded.byteLength, `${where}, converted`);
  return {
    bytes: encoded,
    norms,
    removed,
    convsWithoutNorm: convs,
    warnings: warningsOf(sites, convs),
  };
}

const unsupported = (message: string): ModelError => new ModelError('MODEL_UNSUPPORTED', message);

const describeNode = ({ name, outputs }: ModelNode): string => `BatchNormalization '${name || outputs[0]}'`;

/** Returns what to say of each BatchNormalization in a local function or a body, which passes do not reach. */
function batchNormsElsewhere(bytes: Uint8Array, model: Model): string[] {
  if (!model.nestedOpTypes().has('BatchNormalization')) return [];
  const found: string[] = [];
  readOutline(bytes, (node, { kind, text }) => {
    if (kind === 'graph' || !isBatchNorm(node) || model.isFunctionCall(node)) return;
    found.push(
      `${describeNode(node)}: it is in the ${text}, where it is not replaced; ` +
        (kind === 'function'
          ? 'inline the function first (onnx.inliner.inline_local_functions)'
          : 'export the model again with a condition that is a constant'),
    );
  });
  return found;
}

/** Replaces the nodes. Returns the names of the statistics that are removed. */
function replaceAll(
  model: Model,
  sites: ReadonlyMap<string, SiteRef>,
  fresh: ReadonlyMap<string, TensorData>,
  lowering: LoweringName,
): string[] {
  const siteOf = (node: ModelNode) => (isBatchNorm(node) ? sites.get(outputOf(node)) : undefined);
  const replaced = model.nodes.filter((node) => siteOf(node) !== undefined);
  const statistics = replaced.flatMap(({ inputs, outputs }) => [...inputs.slice(3), ...outputs.slice(1)]);
  const names = new Set(statistics.filter(Boolean));
  const [taken, before] = [model.names(), readNames(model)];
  model.replaceNodes((node) => {
    const site = siteOf(node);
    return site && lowerWith(lowering, site, model, taken);
  });
  model.setConstants(fresh);
  const isGone = (name: string) => names.has(name) && !model.index.isRead(name);
  model.removeInputs(isGone);
  removeDeadCode(model, before);
  model.removeDeclared(isGone);
  return [...names].filter((name) => before.has(name) && isGone(name));
}

/** Nodes with new scales and biases. */
interface Renewed {
  /** By the node's output. */
  readonly sites: ReadonlyMap<string, SiteRef>;
  /** The new scales and biases, by name. */
  readonly fresh: ReadonlyMap<string, TensorData>;
}

/**
 * Makes scales of ones and biases of zeros under the names of the old tensors. Where something else reads an old tensor, or a
 * node makes it (Identity, where the exporter merged equal weights), the old tensor gets another name.
 */
function renew(model: Model, sites: readonly SiteRef[], where: string): Renewed {
  const taken = model.names();
  const fresh = new Map<string, TensorData>();
  const contents = new Map<string, 0 | 1>();
  const parameter = (ref: ValueRef, value: 0 | 1): ValueRef => {
    const isTaken = (contents.get(ref.name) ?? value) !== value;
    const name = isTaken ? freshName(ref.name, taken) : ref.name;
    contents.set(name, value);
    fresh.set(name, filledTensor(ref.dtype, ref.shape as number[], value));
    return { ...ref, name };
  };
  const renewed = sites.map(
    (site) =>
      [site.output, { ...site, scale: parameter(site.scale!, 1), bias: parameter(site.bias!, 0) }] as const,
  );
  const outputs = new Set(sites.map(({ output }) => output));
  const others = new Set(model.outputNames);
  for (const node of model.nodes) {
    const isReplaced = isBatchNorm(node) && outputs.has(outputOf(node));
    for (const name of isReplaced ? node.inputs.slice(0, 1) : model.index.readsOf(node)) others.add(name);
  }
  const moved = [...fresh.keys()].filter((name) => others.has(name) || model.index.producer(name));
  const stuck = moved.find((name) => model.index.boundary.some((declared) => declared.name === name));
  if (stuck !== undefined)
    throw unsupported(
      `${where}: '${stuck}' is a scale or bias, and more than that: other nodes or the caller read it`,
    );
  model.renameValues(new Map(moved.map((name) => [name, freshName(name, taken)])));
  return { sites: new Map(renewed), fresh };
}
