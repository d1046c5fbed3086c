/** Convolutions. Sources: ONNX operator pages Conv and ConvTranspose; `torch.nn.Conv*d`, `ConvTranspose*d`. */
import { GraphError } from '../../errors.js';
import * as infer from '../../shapes/windows.js';
import { isStatic } from '../../tensor.js';
import { int, ints } from '../attr.js';
import type { Scope } from '../builder.js';
import {
  describeValue,
  knownOptions,
  formatList,
  requireChannels,
  requireFloat,
  requireIntegers,
  requireRank,
  requireSameDType,
  requireValues,
} from '../checks.js';
import type { Value } from '../types.js';
import { requireWindowFits, resolveWindow, windowAttributes, type WindowOptions } from './window.js';

/** Options of {@link conv}. */
export interface ConvOptions extends WindowOptions {
  /** The number of groups of channels, each convolved by itself. Default 1. */
  readonly group?: number;
}

/** Options of {@link convTranspose}. */
export interface ConvTransposeOptions extends ConvOptions {
  /** The number of elements to add at the end of each spatial dimension, below its stride or dilation. Default 0. */
  readonly outputPadding?: readonly number[];
}

const CONV_OPTIONS = ['group', 'strides', 'pads', 'dilations'] as const;

/**
 * Convolves `x` with `weight`, whose shape is the kernel's (`torch.nn.Conv1d`, `Conv2d`, `Conv3d`).
 * @param x (N, C, D1, ...) of rank 3 or more, any float; C must be a number.
 * @param weight (M, C / group, k1, ...), all numbers, of the same dtype.
 * @param bias (M), of the same dtype, or undefined.
 * @returns (N, M, ...), each spatial dimension ⌊(D + pads − (k − 1)·dilation − 1) / stride⌋ + 1.
 * @throws OptionError, GraphError `RANK_TOO_LOW`, `SHAPE_MISMATCH`, `DTYPE_MISMATCH`, `MISSING_VALUE`, `INVALID_*`.
 */
export function conv(
  g: Scope,
  x: Value,
  weight: Value,
  bias: Value | undefined,
  options: ConvOptions = {},
): Value {
  const opType = 'Conv';
  const { group = 1, ...sliding } = knownOptions(g, opType, options, CONV_OPTIONS);
  const [outChannels, , ...kernel] = requireWeight(g, opType, x, weight, bias);
  requireGroup(g, opType, group, outChannels!, `output channels of weight ${describeValue(weight)}`);
  requireInputChannels(g, opType, x, weight, { expected: (weight.shape[1] as number) * group, group });
  requireBias(g, opType, weight, bias, outChannels!);
  const window = resolveWindow(g, opType, x, kernel, sliding);
  const shape = requireWindowFits(g, opType, x, window, infer.conv(x.shape, weight.shape, window));
  const attributes = { ...windowAttributes(window), group: int(group) };
  return g.node(opType, [x, weight, bias], attributes, [{ dtype: x.dtype, shape }])[0]!;
}

/**
 * Convolves `x` with `weight`, transposed (`torch.nn.ConvTranspose1d`, `ConvTranspose2d`, `ConvTranspose3d`).
 * @param x (N, C, D1, ...) of rank 3 or more, any float; C must be a number.
 * @param weight (C, M / group, k1, ...), all numbers, of the same dtype.
 * @param bias (M), of the same dtype, or undefined.
 * @returns (N, M, ...), each spatial dimension (D − 1)·stride + (k − 1)·dilation + 1 − pads + outputPadding.
 * @throws OptionError, GraphError `RANK_TOO_LOW`, `SHAPE_MISMATCH`, `DTYPE_MISMATCH`, `MISSING_VALUE`, `INVALID_*`.
 */
export function convTranspose(
  g: Scope,
  x: Value,
  weight: Value,
  bias: Value | undefined,
  options: ConvTransposeOptions = {},
): Value {
  const opType = 'ConvTranspose';
  const known = [...CONV_OPTIONS, 'outputPadding'] as const;
  const { group = 1, outputPadding, ...sliding } = knownOptions(g, opType, options, known);
  const [inChannels, perGroup, ...kernel] = requireWeight(g, opType, x, weight, bias);
  requireGroup(g, opType, group, inChannels!, `input channels of weight ${describeValue(weight)}`);
  requireInputChannels(g, opType, x, weight, { expected: inChannels!, group });
  requireBias(g, opType, weight, bias, perGroup! * group);
  const window = resolveWindow(g, opType, x, kernel, sliding);
  const extra = outputPadding ?? kernel.map(() => 0);
  requireOutputPadding(g, opType, x, extra, window);
  const inferred = infer.convTranspose(x.shape, weight.shape, { ...window, group, outputPadding: extra });
  const shape = requireWindowFits(g, opType, x, window, inferred);
  const attributes = { ...windowAttributes(window), output_padding: ints([...extra]), group: int(group) };
  return g.node(opType, [x, weight, bias], attributes, [{ dtype: x.dtype, shape }])[0]!;
}

/** Checks everything except the numbers of channels, and returns the weight's shape. */
function requireWeight(
  g: Scope,
  opType: string,
  x: Value,
  weight: Value,
  bias: Value | undefined,
): readonly number[] {
  requireValues(g, opType, { x, weight }, { bias });
  requireRank(g, opType, x, 3, '(N, C, D1, ...)');
  requireFloat(g, opType, x);
  requireSameDType(g, opType, x, weight, bias);
  if (weight.rank === x.rank && isStatic(weight.shape)) return weight.shape;
  throw new GraphError(
    weight.rank === x.rank ? 'INVALID_SHAPE' : 'SHAPE_MISMATCH',
    `${g.describe(opType)}: weight ${describeValue(weight)} must have ${x.rank} dimensions, all of them numbers, ` +
      `to fit the input ${describeValue(x)}`,
  );
}

function requireGroup(g: Scope, opType: string, group: number, channels: number, whose: string): void {
  if (Number.isSafeInteger(group) && group >= 1 && channels >= 1 && channels % group === 0) return;
  throw new GraphError(
    'INVALID_ATTRIBUTE',
    `${g.describe(opType)}: group ${group} must be an integer of at least 1 that divides the ${channels} ${whose}`,
  );
}

function requireInputChannels(
  g: Scope,
  opType: string,
  x: Value,
  weight: Value,
  { expected, group }: { expected: number; group: number },
): void {
  const channels = requireChannels(g, opType, x);
  if (channels === expected) return;
  throw new GraphError(
    'SHAPE_MISMATCH',
    `${g.describe(opType)}: weight ${describeValue(weight)} expects ${expected} input channels (group ${group}), ` +
      `but the input ${describeValue(x)} has ${channels}`,
  );
}

function requireBias(
  g: Scope,
  opType: string,
  weight: Value,
  bias: Value | undefined,
  outChannels: number,
): void {
  if (!bias || (bias.rank === 1 && bias.shape[0] === outChannels)) return;
  throw new GraphError(
    'SHAPE_MISMATCH',
    `${g.describe(opType)}: bias ${describeValue(bias)} does not fit weight ${describeValue(weight)}: ` +
      `its shape must be [${outChannels}], one element an output channel`,
  );
}

function requireOutputPadding(
  g: Scope,
  opType: string,
  x: Value,
  outputPadding: readonly number[],
  { strides, dilations }: { strides: readonly number[]; dilations: readonly number[] },
): void {
  requireIntegers(g, opType, 'outputPadding', outputPadding, {
    length: x.rank - 2,
    least: 0,
    reason: `one for each spatial dimension of ${describeValue(x)}`,
  });
  if (outputPadding.every((size, index) => size < Math.max(strides[index]!, dilations[index]!))) return;
  throw new GraphError(
    'INVALID_ATTRIBUTE',
    `${g.describe(opType)}: outputPadding ${formatList(outputPadding)} must be below the stride or the dilation ` +
      `in each dimension: strides ${formatList(strides)}, dilations ${formatList(dilations)}`,
  );
}
