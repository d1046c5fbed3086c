/** Adds layers that change the spatial size and have no parameters. Sources: `torch.nn.MaxPool*d`, `torch.nn.Upsample`. */
import type { Scope } from '../../lib/graph/builder.js';
import { requireRank } from '../../lib/graph/checks.js';
import * as op from '../../lib/graph/ops/index.js';
import type { Value } from '../../lib/graph/types.js';

/** Options of {@link maxPool}. */
export interface MaxPoolOptions {
  /** The size of the window in every spatial dimension. */
  readonly kernelSize: number;
  /** The step of the window in every spatial dimension. Default: `kernelSize`, as in PyTorch. */
  readonly stride?: number;
  /** Elements of −∞ added at both ends of every spatial dimension. Default 0. */
  readonly padding?: number;
}

/**
 * Adds `torch.nn.MaxPool1d`, `MaxPool2d` or `MaxPool3d`, by `x`'s rank.
 * @param x (N, C, D1, ...) of rank 3 or more, any float.
 * @returns (N, C, ...), each spatial dimension ⌊(D + 2·padding − k) / stride⌋ + 1.
 * @throws GraphError `RANK_TOO_LOW`, `INVALID_*`.
 */
export function maxPool(
  g: Scope,
  x: Value,
  { kernelSize, stride = kernelSize, padding = 0 }: MaxPoolOptions,
): Value {
  requireRank(g, 'MaxPool', x, 3, '(N, C, D1, ...)');
  const along = (value: number) => Array<number>(x.rank - 2).fill(value);
  return op.maxPool(g, x, {
    kernelShape: along(kernelSize),
    strides: along(stride),
    pads: [...along(padding), ...along(padding)],
  });
}

/**
 * Adds `torch.nn.Upsample(scale_factor, mode='nearest')`: repeats every element along every spatial dimension.
 * @param x (N, C, D1, ...) of rank 3 or more, any float.
 * @param options `scaleFactor`, an integer of at least 1.
 * @returns (N, C, ...), each spatial dimension D·scaleFactor.
 * @throws GraphError `RANK_TOO_LOW`, `INVALID_*`.
 */
export function upsampleNearest(
  g: Scope,
  x: Value,
  { scaleFactor }: { readonly scaleFactor: number },
): Value {
  requireRank(g, 'Resize', x, 3, '(N, C, D1, ...)');
  return op.resize(g, x, {
    scales: x.shape.map((_, axis) => (axis < 2 ? 1 : scaleFactor)),
    mode: 'nearest',
    coordinateTransformationMode: 'asymmetric',
    nearestMode: 'floor',
  });
}
