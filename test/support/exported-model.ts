import { GraphBuilder, type Scope } from '../../lib/graph/builder.js';
import * as op from '../../lib/graph/ops/index.js';
import type { Value } from '../../lib/graph/types.js';
import { encodeModel } from '../../lib/onnx/encode.js';
import { elementCount, type FloatDType, type Shape } from '../../lib/tensor.js';
import { type GroupNormCase, randomTensor } from './group-norm.js';

/** GroupNorm as PyTorch exports it below opset 21: input `x`, output `y`. */
export function exportedModel(
  { x, scale, bias, numGroups, eps }: GroupNormCase,
  opset: number,
  shape: Shape = x.dims.map((dim, axis) => (axis === 1 ? dim : `D${axis}`)),
): Uint8Array {
  const g = new GraphBuilder('exported');
  const input = g.input('x', x.dtype, shape);
  const dtype = x.dtype as FloatDType;
  const rows = op.reshape(g, input, [0, numGroups, -1]);
  const [ones, zeros] = [1, 0].map((mean) =>
    g.constant(randomTensor(dtype, [numGroups], { mean, deviation: 0 })),
  );
  const norm = op.instanceNormalization(g, rows, ones!, zeros!, { epsilon: eps });
  const joined = op.reshape(g, norm, op.shape(g, input), { outputShape: shape });
  const column = (data: GroupNormCase['scale'], apply: (g: Scope, a: Value, b: Value) => Value, to: Value) =>
    data
      ? apply(g, to, g.constant({ ...data, dims: [elementCount(data.dims), ...x.dims.slice(2).fill(1)] }))
      : to;
  g.output('y', column(bias, op.add, column(scale, op.mul, joined)));
  return encodeModel(g.build(), new Map(), { opset });
}
