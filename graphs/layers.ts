/** PyTorch's modules as nodes: each declares its parameters under the module's own state_dict keys. */
import { GraphError } from '../lib/errors.js';
import { op, type Scope, type Value } from '../lib/graph/index.js';
import { formatShape } from '../lib/tensor.js';

export interface GroupNormOptions {
  readonly numGroups: number;
  readonly numChannels: number;
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number;
  /** Whether there are a weight and a bias. Default true. */
  readonly affine?: boolean;
}

/**
 * `torch.nn.GroupNorm(num_groups, num_channels, eps, affine)`: parameters `weight` and `bias`, (C) each.
 * @param x (N, numChannels, ...), any float.
 * @throws GraphError `NUM_GROUPS_MISMATCH`, `SHAPE_MISMATCH`, `RANK_TOO_LOW`.
 */
export function groupNorm(
  g: Scope,
  x: Value,
  { numGroups, numChannels, eps = 1e-5, affine = true }: GroupNormOptions,
): Value {
  requireChannelCount(g, x, numChannels);
  const shape = [numChannels];
  const weight = affine ? g.parameter('weight', { dtype: x.dtype, shape, init: 'ones' }) : undefined;
  const bias = affine ? g.parameter('bias', { dtype: x.dtype, shape, init: 'zeros' }) : undefined;
  return op.groupNormalization(g, x, weight, bias, { numGroups, epsilon: eps });
}

function requireChannelCount(g: Scope, x: Value, numChannels: number): void {
  if (x.rank < 2 || x.shape[1] === numChannels) return;
  throw new GraphError(
    'SHAPE_MISMATCH',
    `${g.describe('GroupNorm')}: '${x.name}' ${formatShape(x.shape)} has ${x.shape[1]} channels, ` +
      `but numChannels is ${numChannels}`,
  );
}
