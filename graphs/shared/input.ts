/** Declares the inputs of networks: any inputs by their layouts, and the one input of networks for images or volumes. */
import { GraphError } from '../../lib/errors.js';
import type { GraphBuilder } from '../../lib/graph/builder.js';
import { requireShape } from '../../lib/graph/declarations.js';
import type { Value } from '../../lib/graph/types.js';
import { requireKnownOptions } from '../../lib/options.js';
import { type Dim, type DType, formatShape, type Shape } from '../../lib/tensor.js';
import type { InputType } from './definition.js';

/** The sizes of D, H and W that a network accepts. */
export interface SizeRule {
  readonly fits: (size: number) => boolean;
  /** A number all of whose multiples fit. */
  readonly multiple: number;
  /** The reason for the rule, for messages: `it is halved four times`. */
  readonly reason: string;
}

/** The option of networks for both images and volumes. */
export const DIMS_OPTION = {
  type: 'integer',
  min: 2,
  max: 3,
  default: 2,
  description: 'spatial dimensions: 2 for images, 3 for volumes',
} as const;

/** One input of a network, as its options make it. */
export interface InputLayout {
  /** The sizes that the network needs, and names for all others: `['N', 4, 'H', 'W']`. */
  readonly layout: Shape;
  /** Default: the float dtype of the graph. */
  readonly dtype?: DType;
  /** The rule for the dimensions after the second. Default: every size fits. */
  readonly sizes?: SizeRule | undefined;
}

/**
 * Declares the inputs of a network, in the order of the layouts, and returns them by name. The caller of the network may
 * give shapes; a size or a name that it gives for a dimension of a layout holds in all inputs: if `sample` is
 * `[1, 4, 64, 64]`, then `timestep` with the layout `['N']` is `[1]`.
 * @param layouts By the name of the input; `undefined` for an input that the options leave out.
 * @throws OptionError `UNKNOWN_OPTION` for the shape of an unknown input; GraphError `SHAPE_MISMATCH` if a shape has another
 *   rank or size than its layout, or contradicts another shape; `INVALID_SHAPE` if it is not a shape, or a size does not fit.
 */
export function declareInputs<Layouts extends Readonly<Record<string, InputLayout | undefined>>>(
  g: GraphBuilder,
  { dtype, shape }: InputType & { dtype: DType },
  layouts: Layouts,
): { [Name in keyof Layouts]: undefined extends Layouts[Name] ? Value | undefined : Value } {
  const inputs = Object.entries(layouts).filter((entry): entry is [string, InputLayout] => !!entry[1]);
  const given = shapesByName(
    g.name,
    shape,
    inputs.map(([name]) => name),
  );
  const bound = new Map<string, { readonly dim: Dim; readonly input: string }>();
  for (const [name, { layout }] of inputs) {
    if (given[name] !== undefined) bindDims(g, name, given[name], layout, bound);
  }
  const values = inputs.map(([name, { layout, dtype: own = dtype, sizes }]) => {
    const dims = layout.map((dim) => (typeof dim === 'string' ? (bound.get(dim)?.dim ?? dim) : dim));
    const value = g.input(name, own, dims);
    if (sizes) dims.slice(2).forEach((size, index) => requireSize(g, value, layout[index + 2]!, size, sizes));
    return [name, value];
  });
  return Object.fromEntries(values) as ReturnType<typeof declareInputs<Layouts>>;
}

/**
 * Returns the shapes that a caller gave, by the names of the inputs.
 * @throws OptionError `UNKNOWN_OPTION` for an unknown input.
 */
export function shapesByName(
  graph: string,
  shape: InputType['shape'],
  names: readonly string[],
): Readonly<Record<string, Shape>> {
  if (shape === undefined) return {};
  if (isShape(shape)) return { [names[0]!]: shape };
  requireKnownOptions(`the shape of graph '${graph}', by input,`, shape, names);
  return shape;
}

/** `Array.isArray` does not narrow to a readonly array. */
const isShape = (shape: NonNullable<InputType['shape']>): shape is Shape => Array.isArray(shape);

/** Adds what a given shape says about the named dimensions of a layout to `bound`. */
function bindDims(
  g: GraphBuilder,
  name: string,
  given: Shape,
  layout: Shape,
  bound: Map<string, { readonly dim: Dim; readonly input: string }>,
): void {
  const where = `graph '${g.name}': the input '${name}'`;
  requireShape(given, where);
  const fits = layout.every((dim, axis) => typeof dim === 'string' || dim === given[axis]);
  if (given.length !== layout.length || !fits) {
    throw new GraphError(
      'SHAPE_MISMATCH',
      `${where} ${formatShape(given)} must be ${formatShape(layout)}: of rank ${layout.length}${fixedSizes(layout)}`,
    );
  }
  layout.forEach((dim, axis) => {
    if (typeof dim === 'number') return;
    const { dim: before, input } = bound.get(dim) ?? { dim: given[axis]!, input: name };
    if (before !== given[axis]) {
      throw new GraphError(
        'SHAPE_MISMATCH',
        `${where} ${formatShape(given)} has ${dim} ${given[axis]}, but the input '${input}' has ${dim} ${before}`,
      );
    }
    bound.set(dim, { dim: before, input });
  });
}

/** Returns `, with 4 at axis 1`, to follow the rank of a layout in a message. */
function fixedSizes(layout: Shape): string {
  const fixed = layout.flatMap((dim, axis) => (typeof dim === 'number' ? [`${dim} at axis ${axis}`] : []));
  return fixed.length === 0 ? '' : `, with ${fixed.join(' and ')}`;
}

/** The parameters of {@link imageInput}. */
interface ImageInput extends InputType {
  /** Samples per pixel. */
  readonly channels: number;
  /** Spatial dimensions: 2 or 3. Default 2. */
  readonly dims?: number;
  readonly dtype: DType;
  /** Default: every size fits. */
  readonly sizes?: SizeRule;
}

/**
 * Declares the input `x`: (N, channels, H, W), or for three spatial dimensions (N, channels, D, H, W).
 * @throws The errors of {@link declareInputs}.
 */
export function imageInput(g: GraphBuilder, { channels, dims = 2, sizes, ...input }: ImageInput): Value {
  const layout: Shape = ['N', channels, ...(dims === 3 ? ['D'] : []), 'H', 'W'];
  return declareInputs(g, input, { x: { layout, sizes } }).x;
}

function requireSize(
  g: GraphBuilder,
  x: Value,
  name: Dim,
  size: Dim,
  { fits, multiple, reason }: SizeRule,
): void {
  if (typeof size === 'string' || fits(size)) return;
  const above = Math.ceil(size / multiple) * multiple;
  const nearest = above > multiple ? `${above - multiple} or ${above}` : `${multiple}`;
  throw new GraphError(
    'INVALID_SHAPE',
    `graph '${g.name}': the input '${x.name}' ${formatShape(x.shape)} has ${name} ${size}, but ${reason}; ` +
      `give a multiple of ${multiple}, such as ${nearest}`,
  );
}
