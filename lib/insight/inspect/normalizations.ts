/** Describes normalizations: what a model, a body or a function says of each, and how sessions run it. */
import { DEFAULT_EPSILON } from '../../graph/ops/normalization.js';
import type { ContribSiteRef } from '../../lowering/contrib-site.js';
import { inputOf, type SiteRef } from '../../lowering/lower.js';
import { CONTRIB_DOMAIN } from '../../lowering/types.js';
import type { ModelNode } from '../../onnx/graph/node.js';
import { type NodePlace, operatorName } from '../../onnx/graph/outline.js';
import { describeContribGroupNorm, groupNormOf } from '../../rewrite/norms/contrib-group-norm.js';
import type { FoundGroupNorm } from '../../rewrite/norms/exported-group-norm.js';
import { matchActivation } from '../../rewrite/norms/fuse-group-norm.js';
import { isGroupNorm } from '../../rewrite/norms/group-normalization.js';
import { outputOf } from '../../rewrite/analysis/patterns.js';
import { describeSite, isConstant } from '../../rewrite/norms/sites.js';
import type { ValueTypes } from '../../rewrite/analysis/value-types.js';
import { type DType, isFloatDType, type Shape } from '../../tensor.js';
import {
  asLowered,
  executeGroupNorm,
  executeOperator,
  type Executions,
  onEach,
  whyNotRewritten,
} from './execution.js';
import type { LoweredGroupNorm } from './lowered-group-norm.js';
import { moduleOf } from '../values/module-path.js';
import { channelRows, lastChannelRows, type NormInput, type PlacedInput, rowsFrom } from './rows.js';
import type { NormalizationForm } from './types.js';
import type { Facts } from './warnings.js';

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

/** A normalization that was found. */
export interface FoundNormalization {
  readonly facts: Facts;
  /** Why sessions cannot rewrite it, if they cannot. */
  readonly reason: string | undefined;
  /**
   * The value that it takes statistics of, in each call of a function that it lies in, or why there is no such value;
   * `undefined` if it takes no mean.
   */
  readonly inputs: readonly PlacedInput[] | string | undefined;
}

/** Describes GroupNorm that is not one node. */
export function describeFound(
  types: ValueTypes,
  { norm, last, site, isUnstable }: FoundGroupNorm,
): FoundNormalization {
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
    providers: executeGroupNorm(types, isExported ? 'exported' : 'inlined', site),
    input: inputOfSite(site),
  });
}

function inputOfSite({ x: { name }, view, numGroups, epsilon }: SiteRef): NormInput {
  const channels = view?.isChannelsLast ? sizeIn(view.shape.at(-1)) : undefined;
  const rowsOf = channels ? lastChannelRows(numGroups, channels / numGroups) : channelRows(numGroups);
  return { name, epsilon, rowsOf };
}

/** @param inner What sessions see of it: the InstanceNormalization in the middle as a GroupNorm of centred values. */
export function describeLowered(
  types: ValueTypes,
  { lowering, norm, last, x, axis, numGroups, epsilon, affine }: LoweredGroupNorm,
  inner: FoundGroupNorm | undefined,
): FoundNormalization {
  const { shape, dtype } = types.typeOf(x);
  const isOfRows = axis !== undefined;
  const found = finish(types, {
    node: norm,
    last,
    operator: isOfRows ? 'LayerNormalization' : 'GroupNormalization',
    form: 'lowered',
    shape,
    dtype,
    groups: isOfRows ? undefined : numGroups,
    channels: isOfRows ? undefined : sizeIn(shape?.[1]),
    epsilon,
    affine,
    providers: asLowered(
      lowering,
      inner ? executeGroupNorm(types, 'exported', inner.site) : executeOperator(types, norm),
    ),
    input: { name: x, epsilon, rowsOf: isOfRows ? rowsFrom(axis) : channelRows(numGroups) },
  });
  // The lowering has put the operators under the name of the node that it replaced.
  const { name, module } = found.facts;
  return {
    ...found,
    facts: { ...found.facts, name: parentOf(name, '/') ?? name, module: module && parentOf(module, '.') },
  };
}

function parentOf(path: string, separator: string): string | undefined {
  const end = path.lastIndexOf(separator);
  return end > 0 ? path.slice(0, end) : undefined;
}

/** Describes one of ONNX Runtime's own operators for GroupNorm. */
export function describeContrib(types: ValueTypes, node: ModelNode): FoundNormalization {
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
    providers: executeGroupNorm(types, 'contrib', site && groupNormOf(site)),
    reason: typeof described === 'string' ? described : undefined,
    input: site ? inputOfContrib(site, node) : NOT_DESCRIBED,
  });
}

function inputOfContrib(
  { x, skip, layout, scale, numGroups, epsilon }: ContribSiteRef,
  node: ModelNode,
): NormInput {
  const length = (scale.shape[0] as number) / numGroups;
  const rowsOf = layout === 'last' ? lastChannelRows(numGroups, length) : channelRows(numGroups);
  return { ...(skip ? outputAt(node, SUM_OF_SKIP) : { name: x.name }), epsilon, rowsOf };
}

/** Returns the output of a node, which the model may leave out. */
const outputAt = (node: ModelNode, index: number): Pick<NormInput, 'name' | 'output'> =>
  node.outputs[index] ? { name: node.outputs[index] } : { name: outputOf(node), output: index };

/** The output of SkipGroupNorm that is the sum of the inputs. */
const SUM_OF_SKIP = 1;
const NOT_DESCRIBED = 'its groups are not known';

const channelsFirst = (shape: Shape): Shape => [shape[0]!, shape.at(-1)!, ...shape.slice(1, -1)];

/** Describes any other operator. */
export function describeOperator(types: ValueTypes, node: ModelNode): FoundNormalization {
  const facts = plainFacts(types, node);
  const { hasChannels } = OPERATORS.get(facts.operator)!;
  const site = hasChannels && node.opType !== 'BatchNormalization' ? describeSite(types, node, false) : '';
  const { shape, dtype } = typeof site === 'string' ? types.typeOf(node.inputs[0]) : site.x;
  const channels = hasChannels ? sizeIn(shape?.[1]) : undefined;
  const common = { ...facts, shape, dtype, channels };
  if (!isGroupNorm(node)) {
    const groups = node.opType === 'InstanceNormalization' ? channels : undefined;
    const input = inputOfOperator(node, facts);
    return finish(types, { ...common, groups, providers: executeOperator(types, node), input });
  }
  const groups = node.number('num_groups');
  return finish(types, {
    ...common,
    groups,
    providers: executeGroupNorm(types, 'operator', typeof site === 'string' ? undefined : site),
    reason: typeof site === 'string' ? site : undefined,
    input: { name: node.inputs[0]!, epsilon: facts.epsilon, rowsOf: channelRows(groups) },
  });
}

/** Returns the value that an operator takes statistics of. Operators that add their inputs can return the sum. */
function inputOfOperator(
  node: ModelNode,
  { operator, epsilon }: ReturnType<typeof plainFacts>,
): NormInput | undefined {
  if (operator === 'InstanceNormalization') return { name: node.inputs[0]!, epsilon, rowsOf: channelRows() };
  const rowsOf = rowsFrom(node.number('axis') ?? -1);
  if (operator === 'LayerNormalization') return { name: node.inputs[0]!, epsilon, rowsOf };
  const sum = SUMS.get(operator);
  return sum === undefined ? undefined : { ...outputAt(node, sum), epsilon, rowsOf };
}

/** The output that is the sum of the inputs, by the operator. */
const SUMS: ReadonlyMap<string, number> = new Map([
  [`${CONTRIB_DOMAIN}.SkipLayerNormalization`, 3],
  [`${CONTRIB_DOMAIN}.EmbedLayerNormalization`, 2],
]);

/**
 * Describes a node in a body or function by itself: no node calls the function, or the node breaks a rule, which is not checked
 * there.
 * @param problem The rule that it breaks.
 */
export function describeAlone(node: ModelNode, { text }: NodePlace, problem?: string): FoundNormalization {
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
    providers: onEach(() => (problem === undefined ? 'onnxruntime' : 'refused')),
  };
  return {
    facts,
    reason: problem,
    inputs: problem === undefined ? `no node calls the ${text}` : `it breaks a rule of ONNX`,
  };
}

/** What {@link finish} makes a row of. */
interface Found {
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
  readonly input: NormInput | string | undefined;
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

/** Adds what follows the normalization, and its names. */
function finish(types: ValueTypes, { node, last, reason, input, ...found }: Found): FoundNormalization {
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
    where: types.inside?.graph.place.text ?? 'graph',
    providers: found.providers,
  };
  return {
    facts,
    reason: reason ?? opsetReason,
    inputs: typeof input === 'object' ? [{ way: [], ...input }] : input,
  };
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
