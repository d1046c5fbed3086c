/**
 * Adds convolutions like PyTorch's modules. Sources: `torch.nn.Conv*d` and `ConvTranspose*d`; for the initialisation
 * `_ConvNd.reset_parameters` and `torch.nn.init._calculate_fan_in_and_fan_out`.
 */
import type { Scope } from '../../lib/graph/builder.js';
import { requireChannels, requireRank } from '../../lib/graph/checks.js';
import * as op from '../../lib/graph/ops/index.js';
import type { Value } from '../../lib/graph/types.js';

/** Options of {@link convTranspose}. */
export interface ConvTransposeOptions {
  /** The number of channels of the result. */
  readonly outChannels: number;
  /** The size of the kernel in every spatial dimension. */
  readonly kernelSize: number;
  /** The step of the kernel in every spatial dimension. Default 1. */
  readonly stride?: number;
  /** Whether the convolution has a bias. Default true. */
  readonly bias?: boolean;
}

/** Options of {@link conv} and {@link sharedConv}. */
export interface ConvOptions extends ConvTransposeOptions {
  /** Zeros added at both ends of every spatial dimension. Default 0. */
  readonly padding?: number;
  /** Zeros added at the end of every spatial dimension in place of `padding`, as `F.pad` can add them. */
  readonly paddingEnd?: number;
  /** The distance between the elements of the kernel in every spatial dimension. Default 1. */
  readonly dilation?: number;
  /** The number of groups of channels, each convolved by itself. Default 1. */
  readonly groups?: number;
  /**
   * The number added to the variance of each output channel's weights, which are standardised, as in timm's `StdConv2d`: the
   * model has the standardised weights. Default: the weights stay as they are.
   */
  readonly standardizeEps?: number | undefined;
}

/**
 * Adds `torch.nn.Conv1d`, `Conv2d` or `Conv3d`, by `x`'s rank: parameters `weight` (outChannels, C / groups, k, ...)
 * and `bias` (outChannels).
 * @param x (N, C, D1, ...) of rank 3 or more, any float.
 * @returns (N, outChannels, ...), each spatial dimension ⌊(D + padding + paddingEnd − (k − 1)·dilation − 1) / stride⌋ + 1.
 * @throws GraphError `RANK_TOO_LOW`, `INVALID_SHAPE`, `INVALID_ATTRIBUTE`, `DUPLICATE_NAME`.
 */
export const conv = (g: Scope, x: Value, options: ConvOptions): Value => sharedConv(g, [x], options)[0]!;

/**
 * Adds one convolution module called on several values: its parameters are declared once.
 * @param inputs As {@link conv} takes them, all of the same rank, channels and dtype.
 * @returns The results in the order of `inputs`.
 * @throws GraphError as {@link conv} does, and `SHAPE_MISMATCH` or `DTYPE_MISMATCH` if the inputs differ.
 */
export function sharedConv(
  g: Scope,
  inputs: readonly [Value, ...Value[]],
  {
    outChannels,
    kernelSize,
    stride = 1,
    padding = 0,
    paddingEnd = padding,
    dilation = 1,
    groups = 1,
    bias = true,
    standardizeEps,
  }: ConvOptions,
): Value[] {
  const [first] = inputs;
  const inChannels = channelsOf(g, 'Conv', first);
  const shape = [outChannels, inChannels / groups, ...alongSpatial(first, kernelSize)];
  const parameters = declareParameters(g, first, {
    shape,
    biasLength: bias ? outChannels : undefined,
    standardizeEps,
  });
  const pads = [...alongSpatial(first, padding), ...alongSpatial(first, paddingEnd)];
  const window = {
    strides: alongSpatial(first, stride),
    pads,
    dilations: alongSpatial(first, dilation),
    group: groups,
  };
  return inputs.map((x) => op.conv(g, x, parameters.weight, parameters.bias, window));
}

/**
 * Adds `torch.nn.ConvTranspose1d`, `ConvTranspose2d` or `ConvTranspose3d`, by `x`'s rank: parameters `weight`
 * (C, outChannels, k, ...) and `bias` (outChannels).
 * @param x (N, C, D1, ...) of rank 3 or more, any float.
 * @returns (N, outChannels, ...), each spatial dimension (D − 1)·stride + k.
 * @throws GraphError `RANK_TOO_LOW`, `INVALID_SHAPE`, `INVALID_ATTRIBUTE`, `DUPLICATE_NAME`.
 */
export function convTranspose(
  g: Scope,
  x: Value,
  { outChannels, kernelSize, stride = 1, bias = true }: ConvTransposeOptions,
): Value {
  const shape = [channelsOf(g, 'ConvTranspose', x), outChannels, ...alongSpatial(x, kernelSize)];
  const parameters = declareParameters(g, x, { shape, biasLength: bias ? outChannels : undefined });
  return op.convTranspose(g, x, parameters.weight, parameters.bias, { strides: alongSpatial(x, stride) });
}

/**
 * Declares `weight`, and `bias` if it has a length. Both are initialised uniformly within ±1/√fan_in, which is PyTorch's
 * kaiming_uniform(a=√5). fan_in is always weight.size(1) times the kernel's size, also for ConvTranspose, whose second
 * dimension is the output's channels.
 */
function declareParameters(
  g: Scope,
  { dtype }: Value,
  {
    shape,
    biasLength,
    standardizeEps,
  }: {
    readonly shape: readonly number[];
    readonly biasLength: number | undefined;
    readonly standardizeEps?: number | undefined;
  },
) {
  const fanIn = shape.slice(1).reduce((product, dim) => product * dim, 1);
  const init = { uniform: 1 / Math.sqrt(fanIn) };
  const weight = g.parameter('weight', { dtype, shape, init, standardizeEps });
  const bias =
    biasLength === undefined ? undefined : g.parameter('bias', { dtype, shape: [biasLength], init });
  return { weight, bias };
}

function channelsOf(g: Scope, opType: string, x: Value): number {
  requireRank(g, opType, x, 3, '(N, C, D1, ...)');
  return requireChannels(g, opType, x);
}

/** Repeats `value` for each spatial dimension of `x`. */
const alongSpatial = (x: Value, value: number): number[] => Array<number>(x.rank - 2).fill(value);
