/** Finds and describes the normalizations of a model, with the functions that sessions and `convertModel` find them by. */
import { DEFAULT_EPSILON } from '../graph/ops/normalization.js';
import { inputOf } from '../lowering/lower.js';
import { CONTRIB_DOMAIN } from '../lowering/types.js';
import type { ModelNode } from '../onnx/node.js';
import { type NodePlace, operatorName } from '../onnx/outline.js';
import { describeContribGroupNorm, groupNormOf, isContribGroupNorm } from '../rewrite/contrib-group-norm.js';
import {
  findExportedGroupNorm,
  findWrittenGroupNorm,
  type FoundGroupNorm,
} from '../rewrite/exported-group-norm.js';
import { matchActivation } from '../rewrite/fuse-group-norm.js';
import { isGroupNorm } from '../rewrite/group-normalization.js';
import { findInlinedGroupNorm } from '../rewrite/inlined-group-norm.js';
import { outputOf } from '../rewrite/patterns.js';
import { describeSite, isConstant } from '../rewrite/sites.js';
import type { ValueTypes } from '../rewrite/value-types.js';
import { type DType, isFloatDType, type Shape } from '../tensor.js';
import {
  type Executions,
  executeGroupNorm,
  executeInside,
  executeOperator,
  whyNotRewritten,
} from './execution.js';
import { moduleOf } from './module-path.js';
import type { Normalization, NormalizationForm } from './types.js';
import { warningsOf } from './warnings.js';

/** An operator that normalizes. Numbers say which input is the scale and which is the bias. */
interface NormOperator {
  readonly scale: number;
  readonly bias?: number;
  /** What ONNX and ONNX Runtime take if the node does not say. */
  readonly epsilon: number;
  /** Whether the channels are axis 1. Default false. */
  readonly hasChannels?: boolean;
}

const ofChannels = { scale: 1, bias: 2, epsilon: DEFAULT_EPSILON, hasChannels: true };
/** In ONNX Runtime's operators for transformers. */
const SMALL_EPSILON = 1e-12;

/** The operators by name. Sources: ONNX's operators, ONNX Runtime's ContribOperators.md and schemas. */
const OPERATORS: ReadonlyMap<string, NormOperator> = new Map<string, NormOperator>([
  ['GroupNormalization', ofChannels],
  ['InstanceNormalization', ofChannels],
  ['BatchNormalization', ofChannels],
  ['LayerNormalization', { scale: 1, bias: 2, epsilon: DEFAULT_EPSILON }],
  ['RMSNormalization', { scale: 1, epsilon: DEFAULT_EPSILON }],
  ['SimplifiedLayerNormalization', { scale: 1, epsilon: DEFAULT_EPSILON }],
  [`${CONTRIB_DOMAIN}.GroupNorm`, { scale: 1, bias: 2, epsilon: DEFAULT_EPSILON }],
  [`${CONTRIB_DOMAIN}.SkipGroupNorm`, { scale: 1, bias: 2, epsilon: DEFAULT_EPSILON }],
  [`${CONTRIB_DOMAIN}.SkipLayerNormalization`, { scale: 2, bias: 3, epsilon: SMALL_EPSILON }],
  [`${CONTRIB_DOMAIN}.SkipSimplifiedLayerNormalization`, { scale: 2, epsilon: SMALL_EPSILON }],
  [`${CONTRIB_DOMAIN}.EmbedLayerNormalization`, { scale: 5, bias: 6, epsilon: SMALL_EPSILON }],
]);

/** Returns whether a node is an operator that normalizes. */
export const isNormalization = ({ domain, opType }: ModelNode): boolean =>
  OPERATORS.has(operatorName(domain, opType));

/** Returns the normalizations of the graph, in the order in which they run. */
export function describeNormalizations(types: ValueTypes): Normalization[] {
  const { model } = types;
  const found = findGroupNorms(types);
  return model.nodes.flatMap((node) => {
    const groupNorm = found.get(node);
    if (groupNorm) return describeFound(types, groupNorm);
    if (!isNormalization(node) || model.isFunctionCall(node)) return [];
    return isContribGroupNorm(node) ? describeContrib(types, node) : describeOperator(types, node);
  });
}

/** Returns every GroupNorm that is not one node, by the node that normalizes. */
function findGroupNorms(types: ValueTypes): Map<ModelNode, FoundGroupNorm> {
  const all = [
    ...findInlinedGroupNorm(types),
    ...findWrittenGroupNorm(types),
    ...findExportedGroupNorm(types),
  ];
  // The rows of a whole GroupNorm are found as rows too: the last entry of a node holds.
  return new Map(all.map((found) => [found.norm, found]));
}

function describeFound(types: ValueTypes, { norm, last, site, isUnstable }: FoundGroupNorm): Normalization {
  const isExported = norm.opType === 'InstanceNormalization';
  // Rows by themselves: no Reshape behind them says what the channels are.
  const isRows = !isExported && site.view === undefined;
  const { shape, dtype } = inputOf(site);
  return finish(types, {
    node: norm,
    last,
    operator: 'GroupNormalization',
    form: isExported ? 'exported' : isUnstable ? 'inlined' : 'written',
    shape,
    dtype,
    groups: site.numGroups,
    channels: isRows ? undefined : sizeIn(shape[1]),
    epsilon: site.epsilon,
    affine: isRows ? undefined : site.scale !== undefined || site.bias !== undefined,
    providers: executeGroupNorm(isExported ? 'exported' : 'inlined', site, types.model.opset),
  });
}

function describeContrib(types: ValueTypes, node: ModelNode): Normalization {
  const described = describeContribGroupNorm(types, node);
  const site = typeof described === 'string' ? undefined : described;
  const input = types.typeOf(node.inputs[0]);
  const first = site && (site.layout === 'first' ? site.x.shape : channelsFirst(site.x.shape));
  return finish(types, {
    ...plainFacts(types, node),
    shape: first ?? input.shape,
    dtype: input.dtype,
    groups: node.number('groups'),
    channels: site?.scale.shape[0] as number | undefined,
    activation: site?.hasSilu ? 'silu' : undefined,
    providers: executeGroupNorm('contrib', site && groupNormOf(site), types.model.opset),
    reason: typeof described === 'string' ? described : undefined,
  });
}

const channelsFirst = (shape: Shape): Shape => [shape[0]!, shape.at(-1)!, ...shape.slice(1, -1)];

function describeOperator(types: ValueTypes, node: ModelNode): Normalization {
  const facts = plainFacts(types, node);
  const { hasChannels } = OPERATORS.get(facts.operator)!;
  const site = hasChannels && node.opType !== 'BatchNormalization' ? describeSite(types, node, false) : '';
  const { shape, dtype } = typeof site === 'string' ? types.typeOf(node.inputs[0]) : site.x;
  const channels = hasChannels ? sizeIn(shape?.[1]) : undefined;
  const common = { ...facts, shape, dtype, channels };
  if (!isGroupNorm(node)) {
    const groups = node.opType === 'InstanceNormalization' ? channels : undefined;
    return finish(types, { ...common, groups, providers: executeOperator(types, node) });
  }
  return finish(types, {
    ...common,
    groups: node.number('num_groups'),
    providers: executeGroupNorm('operator', typeof site === 'string' ? undefined : site, types.model.opset),
    reason: typeof site === 'string' ? site : undefined,
  });
}

/** Returns what a node in a function or a body tells by itself. */
export function describeInside(node: ModelNode, { text }: NodePlace): Normalization {
  const operator = operatorName(node.domain, node.opType);
  const facts = {
    name: nameOf(node),
    module: moduleOf(node),
    operator,
    form: 'operator' as const,
    shape: undefined,
    groups: node.number('num_groups') ?? node.number('groups'),
    channels: undefined,
    epsilon: shortest(node.number('epsilon') ?? OPERATORS.get(operator)!.epsilon),
    affine: undefined,
    activation: undefined,
    residual: undefined,
    dtype: undefined,
    where: text,
    providers: executeInside(operator),
  };
  return { ...facts, warnings: warningsOf(facts, undefined) };
}

/** The facts that {@link finish} makes a row of. */
interface Facts {
  readonly node: ModelNode;
  /** The node whose output is the result. */
  readonly last: ModelNode;
  readonly operator: string;
  readonly form: NormalizationForm;
  readonly shape: Shape | undefined;
  readonly dtype: DType | undefined;
  readonly groups: number | undefined;
  readonly channels: number | undefined;
  readonly epsilon: number;
  readonly affine: boolean | undefined;
  /** The activation that the node itself has. */
  readonly activation?: 'silu' | undefined;
  readonly providers: Executions;
  /** Why sessions cannot rewrite the node. */
  readonly reason?: string | undefined;
}

function plainFacts(types: ValueTypes, node: ModelNode) {
  const operator = operatorName(node.domain, node.opType);
  const { scale, bias, epsilon } = OPERATORS.get(operator)!;
  const changes = (index: number | undefined, neutral: 0 | 1): boolean => {
    const name = index === undefined ? undefined : node.inputs[index];
    return Boolean(name) && !isConstant(types, name, neutral);
  };
  return {
    node,
    last: node,
    operator,
    form: 'operator' as const,
    epsilon: node.number('epsilon') ?? epsilon,
    affine: changes(scale, 1) || changes(bias, 0),
  };
}

/** Adds what follows the normalization, its names, and the warnings. */
function finish(types: ValueTypes, { node, last, reason, ...found }: Facts): Normalization {
  const { model } = types;
  const [output, shape] = [outputOf(last), types.typeOf(outputOf(last)).shape ?? found.shape];
  const isOwn = found.activation !== undefined || model.redefinesOperators();
  const next = isOwn ? undefined : matchActivation(types, output, shape);
  const opsetReason = Object.values(found.providers).includes('refused')
    ? whyNotRewritten(model.opset)
    : undefined;
  const facts = {
    name: nameOf(node),
    module: moduleOf(node),
    operator: found.operator,
    form: found.form,
    shape: found.shape,
    groups: found.groups,
    channels: found.channels,
    epsilon: shortest(found.epsilon),
    affine: found.affine,
    activation: found.activation ?? next?.activation ?? ('none' as const),
    residual: next?.residual,
    dtype: found.dtype && isFloatDType(found.dtype) ? found.dtype : undefined,
    where: 'graph',
    providers: found.providers,
  };
  return { ...facts, warnings: warningsOf(facts, reason ?? opsetReason) };
}

/** A node in a function or a body is not checked before, and may have no output. */
const nameOf = ({ name, outputs }: ModelNode): string => name || (outputs[0] ?? '');

const sizeIn = (dim: Shape[number] | undefined) => (typeof dim === 'number' ? dim : undefined);

/** Returns the shortest decimal number of the same float32; other numbers stay. */
function shortest(value: number): number {
  if (Math.fround(value) !== value) return value;
  for (let digits = 1; digits < 9; digits++) {
    const rounded = Number(value.toPrecision(digits));
    if (Math.fround(rounded) === value) return rounded;
  }
  return value;
}
