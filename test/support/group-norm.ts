/** One GroupNorm as every test of lowerings and sessions needs it: the float64 reference, the model, the run. */
import { GraphBuilder } from '../../lib/graph/builder.js';
import * as op from '../../lib/graph/ops/index.js';
import { castTensor, toFloat64Array } from '../../lib/half.js';
import type { LoweringName } from '../../lib/lowering/types.js';
import { encodeModel } from '../../lib/onnx/encode.js';
import type { SessionOptions } from '../../lib/runtime/core/contract.js';
import { createSession } from '../../lib/runtime/node.js';
import { elementCount, type FloatDType, type Shape, tensor, type TensorData } from '../../lib/tensor.js';
import { Random } from '../../lib/weights/initialize.js';

export interface GroupNormCase {
  readonly x: TensorData;
  readonly scale?: TensorData | undefined;
  readonly bias?: TensorData | undefined;
  readonly numGroups: number;
  readonly eps: number;
}

export interface Variant {
  readonly lowering: LoweringName;
  readonly opset: number;
  /** How the input is declared. Default: with names for all but the channels. */
  readonly shape?: Shape;
}

/** Group Normalization in float64, straight from its definition (Wu & He 2018, equations 1 to 3). */
export function referenceGroupNorm({ x, scale, bias, numGroups, eps }: GroupNormCase): Float64Array {
  const [batch = 0, channels = 0] = x.dims;
  const values = toFloat64Array(x);
  const gamma = scale && toFloat64Array(scale);
  const beta = bias && toFloat64Array(bias);
  const spatial = elementCount(x.dims.slice(2));
  const row = (channels / numGroups) * spatial;
  const y = new Float64Array(values.length);
  for (let r = 0; r < batch * numGroups; r++) {
    const group = values.subarray(r * row, (r + 1) * row);
    const mean = group.reduce((sum, v) => sum + v, 0) / row;
    const variance = group.reduce((sum, v) => sum + (v - mean) ** 2, 0) / row;
    group.forEach((v, i) => {
      const channel = Math.floor((r * row + i) / spatial) % channels;
      y[r * row + i] =
        ((v - mean) / Math.sqrt(variance + eps)) * (gamma?.[channel] ?? 1) + (beta?.[channel] ?? 0);
    });
  }
  return y;
}

/** A model of one GroupNorm: input `x`, output `y`, parameters `weight` and `bias` where the case has them. */
export function groupNormModel(
  { x, scale, bias, numGroups, eps }: GroupNormCase,
  variant: Variant,
): Uint8Array {
  const g = new GraphBuilder('test');
  const shape = variant.shape ?? x.dims.map((dim, axis) => (axis === 1 ? dim : `D${axis}`));
  const parameter = (name: string, data: TensorData | undefined) =>
    data && g.parameter(name, { dtype: data.dtype, shape: data.dims });
  const [weight, offset] = [parameter('weight', scale), parameter('bias', bias)];
  const input = g.input('x', x.dtype, shape);
  g.output('y', op.groupNormalization(g, input, weight, offset, { numGroups, epsilon: eps }));
  const weights = new Map<string, TensorData>();
  if (scale) weights.set('weight', scale);
  if (bias) weights.set('bias', bias);
  const { lowering, opset } = variant;
  return encodeModel(g.build(), weights, { lowering, opset });
}

export async function runModel(
  model: Uint8Array,
  x: TensorData,
  options?: SessionOptions,
): Promise<TensorData> {
  await using session = await createSession(model, options);
  return (await session.run({ x })).y!;
}

/** Normal numbers around `mean`, the same for the same arguments. */
export function randomTensor<D extends FloatDType>(
  dtype: D,
  dims: readonly number[],
  { seed = 0, stream = 'x', mean = 0, deviation = 1 } = {},
): TensorData<D> {
  const random = new Random(seed, stream);
  const values = Float64Array.from(
    { length: elementCount(dims) },
    (_, i) => mean + deviation * random.normal(i),
  );
  return castTensor(tensor('float64', dims, values), dtype);
}

/** The largest |actual − expected|; NaN if anything is NaN on one side only. */
export function maxAbsDifference(actual: TensorData, expected: Float64Array): number {
  return toFloat64Array(actual).reduce((max, value, i) => {
    const difference = Math.abs(value - expected[i]!);
    return Number.isNaN(difference) && !(Number.isNaN(value) && Number.isNaN(expected[i]))
      ? NaN
      : Math.max(max, difference || 0);
  }, 0);
}
