/** Declares the input of networks for images or volumes. */
import { GraphError } from '../lib/errors.js';
import type { GraphBuilder } from '../lib/graph/builder.js';
import type { Value } from '../lib/graph/types.js';
import { type Dim, type DType, formatShape, type Shape } from '../lib/tensor.js';

/** The sizes of H and W that a network accepts. */
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

/** The parameters of {@link imageInput}. */
interface ImageInput {
  /** Samples per pixel. */
  readonly channels: number;
  /** Spatial dimensions: 2 or 3. Default 2. */
  readonly dims?: number;
  readonly dtype: DType;
  /** Default: names for all dimensions but the channels. */
  readonly shape?: Shape | undefined;
  /** Default: every size fits. */
  readonly sizes?: SizeRule;
}

/**
 * Declares the input `x`: (N, channels, H, W), or for three spatial dimensions (N, channels, D, H, W).
 * @throws GraphError `SHAPE_MISMATCH` if `shape` has another rank or other channels; `INVALID_SHAPE` if it is not a
 *   shape, or a size does not fit.
 */
export function imageInput(g: GraphBuilder, { channels, dims = 2, dtype, shape, sizes }: ImageInput): Value {
  const layout: Shape = ['N', channels, ...(dims === 3 ? ['D'] : []), 'H', 'W'];
  const x = g.input('x', dtype, shape ?? layout);
  if (x.rank !== layout.length || x.shape[1] !== channels) {
    throw new GraphError(
      'SHAPE_MISMATCH',
      `graph '${g.name}': the input 'x' ${formatShape(x.shape)} must be ${formatShape(layout)}: of rank ` +
        `${layout.length}, with ${channels} channels`,
    );
  }
  if (sizes) x.shape.slice(2).forEach((size, index) => requireSize(g, x, layout[index + 2]!, size, sizes));
  return x;
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
    `graph '${g.name}': the input 'x' ${formatShape(x.shape)} has ${name} ${size}, but ${reason}; ` +
      `give a multiple of ${multiple}, such as ${nearest}`,
  );
}
