/**
 * Lowers one normalization, which the builder and the model rewriter both call: a list of nodes replaces the node. Then, at
 * the end, all GroupNormalizations of a graph that this library builds.
 */
import { GraphError } from '../errors.js';
import { int } from '../graph/attr.js';
import { GraphBuilder, type Scope } from '../graph/builder.js';
import type { Place } from '../graph/checks.js';
import * as op from '../graph/ops/index.js';
import { DEFAULT_EPSILON, requireGroupNormalization } from '../graph/ops/normalization.js';
import type { Attributes, Graph, Node, Value } from '../graph/types.js';
import { type DType, type FloatDType, isStatic, type Shape } from '../tensor.js';
import { getLowering, getSessionLowering, requireRewrittenOpset } from './choose.js';
import { axesFrom, filled, flatRows, int64 } from './rows.js';
import { mayBeEmpty, skipEmpty, type SkipEmpty } from './skip-empty.js';
import { inItsDomain, type LoweringForm } from './types.js';

/** A value of a graph or model by name: the nodes of a fragment refer to it without owning it. */
export interface ValueRef {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
}

/** One GroupNormalization node to be replaced. */
export interface SiteRef {
  /** The node's name; the new nodes' names begin with its path. */
  readonly name: string;
  readonly x: ValueRef;
  /** (C), or (C, 1, ...), or (G) as in opset 18 to 20; `undefined` means ones. */
  readonly scale?: ValueRef | undefined;
  /** As `scale`; `undefined` means zeros. */
  readonly bias?: ValueRef | undefined;
  readonly numGroups: number;
  readonly epsilon: number;
  /** A number that the normalized values are multiplied by; `undefined` means 1. */
  readonly gain?: number | undefined;
  /** As that of {@link GroupNormSite}. */
  readonly isCorrected?: boolean | undefined;
  /** The shape that x is normalized in, if it is not x's own, and the result's shape. */
  readonly view?: SiteView | undefined;
  /** The name that the result must have. */
  readonly output: string;
}

/** How a site sees its input. */
export interface SiteView {
  /** (N, C, ...), or (N, ..., C). */
  readonly shape: Shape;
  /** The target by which Reshape makes this shape; `undefined` if x has it. */
  readonly reshape: { readonly target: ValueRef; readonly allowZero: boolean } | undefined;
  readonly isChannelsLast: boolean;
}

/** One LayerNormalization node to be replaced. */
export interface RowSiteRef extends Omit<SiteRef, 'numGroups' | 'gain' | 'isCorrected'> {
  /** The first axis of a row, from 0. */
  readonly axis: number;
  /** Of a shape that broadcasts to a row's from the right; `undefined` means ones. */
  readonly scale?: ValueRef | undefined;
  /** As `scale`; `undefined` means zeros. */
  readonly bias?: ValueRef | undefined;
}

/** The nodes that take a site's place, in the order in which they run, and the constants that they need. */
export interface Fragment {
  readonly nodes: readonly Node[];
  readonly constants: readonly Value[];
  /** If given, the nodes run only if their input has elements. */
  readonly skipEmpty?: SkipEmpty | undefined;
}

/** A lowering, or the name of one that a session may use. */
export type LoweringChoice = LoweringForm | string;

/** Returns a session's lowering in a form that also takes empty inputs, where the lowering itself does not. */
export const skippingEmpty = (name: string): LoweringChoice => ({
  lower: (g, site, opset) => getSessionLowering(name, opset).lower(g, site, opset),
  skipsEmpty: true,
});

/**
 * Lowers one GroupNormalization.
 * @param takenNames Every name of the surrounding graph. New names avoid these names and are added to them; the
 *   replaced node's own name is free again.
 * @throws GraphError `UNKNOWN_LOWERING`, `LOWERING_UNAVAILABLE`, `UNSUPPORTED_OPSET`.
 */
export function lowerSite(
  site: SiteRef,
  lowering: LoweringChoice,
  opset: number,
  takenNames: Set<string>,
): Fragment {
  const chosen = resolve(lowering, opset);
  // The nodes of a decomposition go under the node's own name, which is unique; the operator keeps the node's path.
  const path = lowering === 'op' ? pathOf(site).slice(0, -1) : pathOf(site);
  const { numGroups, epsilon, gain = 1, isCorrected, view } = site;
  const fragment = makeFragment(site, path, takenNames, (g, values) => {
    const shaped = view?.reshape && values.target ? reshaped(g, values.x, values.target, view) : values.x;
    if (isEmpty(shaped.shape)) return op.identity(g, shaped);
    const isLast = view?.isChannelsLast === true;
    const x = isLast ? op.transpose(g, shaped, { perm: channelsFirst(shaped.rank) }) : shaped;
    const perChannel = (value: Value | undefined) => value && toChannels(g, value, x, numGroups);
    const scale = multiplied(g, perChannel(values.scale), x, gain);
    const bias = perChannel(values.bias);
    const y = chosen.lower(g, { x, scale, bias, numGroups, epsilon, isCorrected }, opset);
    return isLast ? op.transpose(g, y, { perm: channelsLast(y.rank) }) : y;
  });
  const { x, output } = site;
  const isGuarded = chosen.skipsEmpty && !isEmpty(view?.shape ?? x.shape) && mayBeEmpty(x.shape);
  return isGuarded ? skipEmpty(fragment, x.name, output, takenNames, view?.reshape) : fragment;
}

/** Returns a site's input as lowerings see it: (N, C, ...). */
export function inputOf({ x, view }: SiteRef): Pick<ValueRef, 'dtype' | 'shape'> {
  const shape = view?.shape ?? x.shape;
  const axes = view?.isChannelsLast ? channelsFirst(shape.length) : shape.map((_, axis) => axis);
  return { dtype: x.dtype, shape: axes.map((axis) => shape[axis]!) };
}

function reshaped(g: Scope, x: Value, target: Value, { shape, reshape }: SiteView): Value {
  const attributes = reshape?.allowZero ? { allowzero: int(1) } : {};
  return g.node('Reshape', [x, target], attributes, [{ dtype: x.dtype, shape }])[0]!;
}

const channelsFirst = (rank: number): number[] => [0, rank - 1, ...axesFrom(1, rank - 1)];
const channelsLast = (rank: number): number[] => [0, ...axesFrom(2, rank), 1];

/** Multiplies a scale (C) by a number; without a scale, the number is the scale. */
function multiplied(g: Scope, scale: Value | undefined, x: Value, factor: number): Value | undefined {
  if (factor === 1) return scale;
  const dtype = x.dtype as FloatDType;
  return scale
    ? op.mul(g, scale, filled(g, dtype, 1, factor))
    : filled(g, dtype, x.shape[1] as number, factor);
}

/**
 * Returns the lowering of a choice.
 * @throws GraphError if it cannot be written at this opset, or a name is unknown.
 */
export function resolve(lowering: LoweringChoice, opset: number): LoweringForm {
  if (typeof lowering === 'string') return getSessionLowering(lowering, opset);
  if (!lowering.isOfAnyOpset) requireRewrittenOpset(opset);
  return lowering;
}

/** Makes a scale or bias (C), of x's dtype. */
function toChannels(g: Scope, given: Value, x: Value, numGroups: number): Value {
  const value = given.dtype === x.dtype ? given : op.cast(g, given, x.dtype);
  const channels = x.shape[1] as number;
  const isOf = (length: number) => value.rank === 1 && value.shape[0] === length;
  if (isOf(channels)) return value;
  if (!isOf(numGroups)) return op.reshape(g, value, [channels]);
  const target = [numGroups, channels / numGroups];
  const column = op.reshape(g, value, [numGroups, 1]);
  return op.reshape(g, op.expand(g, column, int64(g, target), { outputShape: target }), [channels]);
}

/**
 * Lowers one LayerNormalization: its rows become the groups of a GroupNormalization. float16 and bfloat16 are cast to
 * float32 in between, so that the result is rounded once.
 * @throws GraphError as {@link lowerSite}.
 */
export function lowerRowSite(
  site: RowSiteRef,
  lowering: LoweringChoice,
  opset: number,
  takenNames: Set<string>,
): Fragment {
  const chosen = resolve(lowering, opset);
  return makeFragment(site, pathOf(site), takenNames, (g, { x, scale, bias }) => {
    const wide = (value: Value) => (isNarrow(x) ? op.cast(g, value, 'float32') : value);
    const normalized = asGroups(g, wide(x), site.axis, opset, (groups, numGroups) =>
      chosen.lower(
        g,
        { x: groups, scale: undefined, bias: undefined, numGroups, epsilon: site.epsilon },
        opset,
      ),
    );
    const scaled = scale ? op.mul(g, normalized, wide(scale)) : normalized;
    const y = bias ? op.add(g, scaled, wide(bias)) : scaled;
    return isNarrow(x) ? op.cast(g, y, x.dtype) : y;
  });
}

/** Normalizes rows as groups: rows of (N, G, ...) from axis 2 on are groups already; others become (R, 1, K). */
function asGroups(
  g: Scope,
  x: Value,
  axis: number,
  opset: number,
  normalize: (groups: Value, numGroups: number) => Value,
): Value {
  const [, groups] = x.shape;
  if (axis === 2 && typeof groups === 'number' && groups > 0) return normalize(x, groups);
  const rows = normalize(flatRows(g, x, axis), 1);
  if (isStatic(x.shape) && !x.shape.includes(0)) return op.reshape(g, rows, x.shape);
  // A 0 in the target must mean the size 0, not the input's size in that place; before opset 14 it always means that.
  const attributes = opset < 14 ? {} : { allowzero: int(1) };
  return g.node('Reshape', [rows, op.shape(g, x)], attributes, [{ dtype: x.dtype, shape: x.shape }])[0]!;
}

export const isNarrow = ({ dtype }: Value): boolean => dtype === 'float16' || dtype === 'bfloat16';

interface SiteValues {
  readonly x: Value;
  readonly scale: Value | undefined;
  readonly bias: Value | undefined;
  /** The target of the view's Reshape. */
  readonly target: Value | undefined;
}

/** Returns the parts of a node's name. A control character, which names that this library writes do not have, ends a part too. */
export const pathOf = ({ name }: { readonly name: string }): string[] =>
  name.split(/[/.\u0000-\u001f]/).filter(Boolean);

function makeFragment(
  site: Omit<SiteRef, 'numGroups' | 'gain' | 'isCorrected'>,
  path: readonly string[],
  takenNames: Set<string>,
  body: (g: Scope, values: SiteValues) => Value,
): Fragment {
  return buildFragment(site.name, path, takenNames, (g, importValue) => {
    const values = {
      x: importValue(site.x),
      scale: site.scale && importValue(site.scale),
      bias: site.bias && importValue(site.bias),
      target: site.view?.reshape && importValue(site.view.reshape.target),
    };
    return [[site.output, body(g, values)]];
  });
}

/**
 * Builds a fragment that takes a node's place.
 * @param name The name of the node.
 * @param body Adds the nodes. Its second argument makes a value of the surrounding graph a value of the fragment. Returns
 *   the results, with the names that they must have.
 */
export function buildFragment(
  name: string,
  path: readonly string[],
  takenNames: Set<string>,
  body: (g: Scope, importValue: (ref: ValueRef) => Value) => readonly (readonly [name: string, Value])[],
): Fragment {
  takenNames.delete(name);
  const g = new GraphBuilder(name, takenNames);
  const imported = new Map<string, Value>();
  const importValue = ({ name: ofValue, dtype, shape }: ValueRef): Value => {
    const value = imported.get(ofValue) ?? g.input(ofValue, dtype, shape);
    imported.set(ofValue, value);
    return value;
  };
  const results = body(path.length > 0 ? g.scope(path.join('.')) : g, importValue);
  for (const [output, value] of results) g.output(output, value);
  const { nodes, constants } = g.build();
  return { nodes: nodes.map(inItsDomain), constants };
}

/** Whether a site has no elements. Reshape cannot make its shape: a 0 in the target means the input's size. */
export const isEmpty = (shape: Shape): boolean => shape.slice(1).includes(0);

/** Returns the names that a fragment takes, that of its result among them. */
export const namesOfFragment = ({ nodes, constants, skipEmpty }: Fragment): string[] => [
  ...namesOf(nodes, constants),
  ...(skipEmpty ? [skipEmpty.empty, skipEmpty.size, skipEmpty.hasElements] : []),
];

/** Returns the names that nodes and values take: their own and those of the nodes' results. */
const namesOf = (nodes: readonly Node[], values: readonly Value[]): string[] => [
  ...values.map(({ name }) => name),
  ...nodes.flatMap(({ name, outputs, branches = [] }) => [
    name,
    ...outputs.map((output) => output.name),
    ...branches.flatMap((branch) => namesOf(branch.nodes, [])),
  ]),
];

/**
 * Returns the same graph with every GroupNormalization lowered, ready to be encoded at `opset`. Inputs, outputs and
 * parameters stay as they are.
 * @throws GraphError `UNKNOWN_LOWERING`, `LOWERING_UNAVAILABLE`, `UNSUPPORTED_OPSET`, and, for a GroupNormalization that
 *   was added by hand with wrong inputs or attributes, the errors of `op.groupNormalization`.
 */
export function lowerGraph(graph: Graph, lowering: string, opset: number): Graph {
  getLowering(lowering, opset);
  const { inputs, parameters, constants, nodes } = graph;
  const takenNames = new Set(namesOf(nodes, [...inputs, ...parameters, ...constants]));
  const fragments = nodes.map((node): Fragment =>
    node.opType === 'GroupNormalization'
      ? lowerSite(siteOf(node), lowering, opset, takenNames)
      : { nodes: [node], constants: [] },
  );
  return {
    ...graph,
    nodes: fragments.flatMap((fragment) => fragment.nodes),
    constants: [...constants, ...fragments.flatMap((fragment) => fragment.constants)],
  };
}

/** Reads and checks a node: `Scope.node` adds a GroupNormalization without the checks of `op.groupNormalization`. */
function siteOf({ name, inputs, outputs, attributes }: Node): SiteRef {
  const place = { describe: (opType: string) => `${opType} '${name}'` };
  const [x, scale, bias] = inputs;
  const numGroups = numberOf(place, attributes, 'num_groups', 'INT');
  const epsilon = numberOf(place, attributes, 'epsilon', 'FLOAT', DEFAULT_EPSILON);
  requireGroupNormalization(place, { x: x!, scale, bias, numGroups, epsilon });
  requireOneOutput(place, outputs);
  return { name, x: x!, scale, bias, numGroups, epsilon, output: outputs[0]!.name };
}

function numberOf(
  place: Place,
  attributes: Attributes,
  name: string,
  type: 'INT' | 'FLOAT',
  absent?: number,
): number {
  const attribute = attributes[name];
  if (attribute?.type === type) return attribute.value;
  if (attribute === undefined && absent !== undefined) return absent;
  throw new GraphError(
    'INVALID_ATTRIBUTE',
    `${place.describe('GroupNormalization')}: its attribute ${name} must be an attr.${type.toLowerCase()}`,
  );
}

function requireOneOutput(place: Place, outputs: readonly Value[]): void {
  if (outputs.length === 1) return;
  throw new GraphError(
    'MISSING_VALUE',
    `${place.describe('GroupNormalization')} must have one output, but has ${outputs.length}`,
  );
}
