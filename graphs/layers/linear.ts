/** Adds linear layers like PyTorch's. Sources: `torch.nn.Linear`, and for the initialisation `Linear.reset_parameters`. */
import { GraphError } from '../../lib/errors.js';
import type { Scope } from '../../lib/graph/builder.js';
import { describeValue, requireRank } from '../../lib/graph/checks.js';
import * as op from '../../lib/graph/ops/index.js';
import type { Value } from '../../lib/graph/types.js';

/** Options of {@link linear}. */
export interface LinearOptions {
  /** The size of the last dimension of the result. */
  readonly outFeatures: number;
  /** Whether the layer has a bias. Default true. */
  readonly bias?: boolean;
}

/**
 * Adds `torch.nn.Linear`: parameters `weight` (outFeatures, inFeatures) and `bias` (outFeatures). A matrix becomes one Gemm,
 * any other rank a MatMul with the transposed weight, which runtimes transpose once, at load.
 * @param x (..., inFeatures) of rank 2 or more, any float; inFeatures must be a number.
 * @returns (..., outFeatures).
 * @throws GraphError `RANK_TOO_LOW`, `INVALID_SHAPE`, `DUPLICATE_NAME`.
 */
export function linear(g: Scope, x: Value, { outFeatures, bias = true }: LinearOptions): Value {
  requireRank(g, 'Linear', x, 2, '(..., inFeatures)');
  const { dtype } = x;
  const inFeatures = x.shape.at(-1)!;
  if (typeof inFeatures === 'string') {
    throw new GraphError(
      'INVALID_SHAPE',
      `${g.describe('Linear')}: ${describeValue(x)}: the last dimension must be a number, because weights depend on it`,
    );
  }
  const init = { uniform: 1 / Math.sqrt(inFeatures) };
  const weight = g.parameter('weight', { dtype, shape: [outFeatures, inFeatures], init });
  const offset = bias ? g.parameter('bias', { dtype, shape: [outFeatures], init }) : undefined;
  if (x.rank === 2) return op.gemm(g, x, weight, offset, { transB: true });
  const product = op.matMul(g, x, op.transpose(g, weight));
  return offset ? op.add(g, product, offset) : product;
}
