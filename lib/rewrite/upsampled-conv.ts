/**
 * A convolution of an image that was upsampled by 2, as decoders and U-Nets have it:
 *
 *     Resize (nearest, by 2 in height and width) → Conv (3×3, pads 1) → y
 *
 * matches if
 *
 * - Resize maps places `asymmetric` and rounds by `floor`, as PyTorch's `Upsample(mode='nearest')` is exported, its scales are a
 *   constant, and only the convolution reads its result;
 * - the convolution has a 3×3 weight that is a constant or an initializer of float32, stride 1, dilation 1 and one group;
 * - it has at least {@link LEAST_CHANNELS} input channels: below, writing the parts costs what the smaller kernels save.
 *
 * Three neighbouring rows of the upsampled image are two rows of the image, one of them twice. An even row of the result reads
 * the rows (i − 1, i, i) and an odd row (i, i, i + 1), and columns likewise. So each of the four combinations of even and odd
 * is a 2×2 convolution of the image itself, whose weight has sums of the 3×3 weight's elements:
 *
 *     Reshape (weight), MatMul, Reshape for each of the four weights, which ONNX Runtime computes once, at load
 *     four Conv (2×2) → Concat → DepthToSpace → y
 *
 * That is 4/9 of the multiplications.
 */
import { int } from '../graph/attr.js';
import type { Scope } from '../graph/builder.js';
import * as op from '../graph/ops/index.js';
import type { Value } from '../graph/types.js';
import { buildFragment, type Fragment, pathOf, type ValueRef } from '../lowering/lower.js';
import type { ModelNode } from '../onnx/graph/node.js';
import { UNKNOWN_DIM } from '../tensor.js';
import { type Chain, isOp, outputOf, replaceChains } from './analysis/patterns.js';
import type { ValueTypes } from './analysis/value-types.js';

/** From here on, the four convolutions took less time in every size that was measured, on one and on two threads. */
const LEAST_CHANNELS = 128;

/** Resize maps places by this attribute from here on. */
const MIN_OPSET = 11;

interface UpsampledConv extends Chain {
  /** The image. */
  readonly x: ValueRef;
  /** (M, C, 3, 3). */
  readonly weight: ValueRef;
  readonly bias: ValueRef | undefined;
}

/** Replaces every match. Returns how many there are: 0 if the model is not modified. */
export function splitUpsampledConvs(types: ValueTypes): number {
  const { model } = types;
  if (model.opset < MIN_OPSET || model.redefinesOperators()) return 0;
  const found = model.nodes.flatMap((node) => matchUpsampledConv(types, node) ?? []);
  if (found.length === 0) return 0;
  const taken = model.names();
  return replaceChains(model, found, (one) => fourConvs(one, taken));
}

function matchUpsampledConv(types: ValueTypes, conv: ModelNode): UpsampledConv | undefined {
  if (!isOp(conv, 'Conv')) return undefined;
  const [enlarged, weightName, biasName] = conv.inputs;
  const upsampling = types.index.producer(enlarged!);
  if (!upsampling || !doublesNearest(types, upsampling)) return undefined;
  if (types.index.onlyReader(enlarged!) !== conv) return undefined;
  const [channelsOut, channels, ...kernel] = constantShape(types, weightName!) ?? [];
  if (channelsOut === undefined || channels === undefined || channels < LEAST_CHANNELS) return undefined;
  if (!isSame(kernel, [3, 3]) || !keepsSize(conv)) return undefined;
  const ref = (name: string, shape: ValueRef['shape']): ValueRef => ({ name, dtype: 'float32', shape });
  return {
    last: conv,
    inner: [upsampling],
    x: ref(upsampling.inputs[0]!, [UNKNOWN_DIM, channels, UNKNOWN_DIM, UNKNOWN_DIM]),
    weight: ref(weightName!, [channelsOut, channels, 3, 3]),
    bias: biasName ? ref(biasName, [channelsOut]) : undefined,
  };
}

/** Returns the shape of a float32 tensor that no run changes, whose data may lie in a file. */
function constantShape(types: ValueTypes, name: string): readonly number[] | undefined {
  const { dtype, shape } = types.typeOf(name);
  const { index, model } = types;
  const isOptional = model.optionalInputs.some((input) => input.name === name);
  const isConstant = types.constant(name) !== undefined || (index.hasInitializer(name) && !isOptional);
  return isConstant && dtype === 'float32' ? (shape as readonly number[] | undefined) : undefined;
}

function doublesNearest(types: ValueTypes, node: ModelNode): boolean {
  if (!isOp(node, 'Resize') || (node.text('mode') ?? 'nearest') !== 'nearest') return false;
  if (node.text('coordinate_transformation_mode') !== 'asymmetric') return false;
  if (node.text('nearest_mode') !== 'floor') return false;
  const scales = types.constant(node.inputs[2]);
  const axes = node.numbers('axes') ?? [0, 1, 2, 3];
  if (!scales || scales.data.length !== axes.length) return false;
  const scaleOf = (axis: number) => Number(scales.data[axes.indexOf(axis)] ?? 1);
  return isSame([0, 1, 2, 3].map(scaleOf), [1, 1, 2, 2]);
}

function keepsSize(conv: ModelNode): boolean {
  const is = (name: string, values: readonly number[], absent: boolean) => {
    const given = conv.numbers(name);
    return given ? isSame(given, values) : absent;
  };
  const autoPad = conv.text('auto_pad') ?? 'NOTSET';
  const isPadded = autoPad === 'NOTSET' ? is('pads', [1, 1, 1, 1], false) : autoPad.startsWith('SAME');
  return (
    isPadded &&
    is('strides', [1, 1], true) &&
    is('dilations', [1, 1], true) &&
    (conv.number('group') ?? 1) === 1
  );
}

const isSame = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((value, index) => value === b[index]);

const EVEN_ODD = [0, 1] as const;

/** For the even and the odd rows of the result: which rows of the 3×3 kernel meet the first and the second row that is read. */
const KERNEL_ROWS = [
  [[0], [1, 2]],
  [[0, 1], [2]],
] as const;

function fourConvs({ last, x, weight, bias }: UpsampledConv, taken: Set<string>): Fragment {
  return buildFragment(last.name, pathOf(last), taken, (g, importValue) => {
    const image = importValue(x);
    const offsets = bias && importValue(bias);
    const elements = op.reshape(g, importValue(weight), [-1, 9]);
    const parts = EVEN_ODD.flatMap((row) =>
      EVEN_ODD.map((column) => {
        const summed = summedWeight(g, elements, weight, row, column);
        // An even row needs a row above the image, an odd row one below.
        const pads = [1 - row, 1 - column, row, column];
        return op.conv(g, image, summed, offsets, { pads });
      }),
    );
    const joined = op.concat(g, parts, { axis: 1 });
    const shape = [UNKNOWN_DIM, weight.shape[0]!, UNKNOWN_DIM, UNKNOWN_DIM];
    const type = { dtype: image.dtype, shape };
    return [[outputOf(last), g.node('DepthToSpace', [joined], { blocksize: int(2) }, [type])[0]!]];
  });
}

/**
 * Returns a weight (M, C, 2, 2) for one combination of even and odd.
 * @param elements The 3×3 weight as (M · C, 9).
 */
function summedWeight(g: Scope, elements: Value, weight: ValueRef, row: 0 | 1, column: 0 | 1): Value {
  const sums = new Float32Array(9 * 4);
  KERNEL_ROWS[row].forEach((rows, y) =>
    KERNEL_ROWS[column].forEach((columns, x) => {
      for (const kernelRow of rows)
        for (const kernelColumn of columns) sums[(3 * kernelRow + kernelColumn) * 4 + 2 * y + x] = 1;
    }),
  );
  const chosen = g.constant({ dtype: 'float32', dims: [9, 4], data: sums }, 'sums');
  const [channelsOut, channels] = weight.shape as number[];
  return op.reshape(g, op.matMul(g, elements, chosen), [channelsOut!, channels!, 2, 2]);
}
