/** Convolutions and pooling. Source: ONNX operator pages. */
import { convDim, convTransposeDim, type DimWindow } from '../graph/index.js';
import { UNKNOWN_DIM, type ModelNode } from '../onnx/index.js';
import type { Dim, DType, Shape } from '../tensor.js';
import { input, shaped, type KnownValues, type Rule } from './type-rule.js';

/** Of integers, it gives another dtype than it takes. */
export const convOf =
  (weightIndex: number, dtypeOf: (node: ModelNode, types: KnownValues) => DType | undefined): Rule =>
  (node, types) => {
    const [x, weight] = [input(node, types, 0), input(node, types, weightIndex)];
    const dtype = dtypeOf(node, types);
    if (!weight.shape) return { dtype, shape: x.shape?.map(() => UNKNOWN_DIM) };
    const [channels, , ...kernel] = weight.shape;
    const spatial = slide(node, x.shape, kernel, (dim, window) => convDim(dim, window));
    return { dtype, shape: [x.shape?.[0] ?? UNKNOWN_DIM, channels!, ...spatial] };
  };

export const convTranspose: Rule = (node, types) => {
  const [x, weight] = [input(node, types, 0), input(node, types, 1)];
  const dtype = x.dtype ?? weight.dtype;
  if (!weight.shape) return { dtype, shape: x.shape?.map(() => UNKNOWN_DIM) };
  const [, perGroup, ...kernel] = weight.shape;
  const channels = typeof perGroup === 'number' ? perGroup * (node.number('group') ?? 1) : UNKNOWN_DIM;
  const padding = node.numbers('output_padding') ?? [];
  const spatial = node.numbers('output_shape')
    ? kernel.map(() => UNKNOWN_DIM)
    : slide(node, x.shape, kernel, (dim, window, index) =>
        convTransposeDim(dim, window, padding[index] ?? 0),
      );
  return { dtype, shape: [x.shape?.[0] ?? UNKNOWN_DIM, channels, ...spatial] };
};

export const pool = shaped((shape, node) => {
  const kernel = node.numbers('kernel_shape') ?? [];
  if (kernel.length !== shape.length - 2) return undefined;
  const size = node.number('ceil_mode') ? () => UNKNOWN_DIM : convDim;
  return [...shape.slice(0, 2), ...slide(node, shape, kernel, size)];
});

export const globalPool = shaped((shape) => shape.map((dim, axis) => (axis < 2 ? dim : 1)));

/** The spatial dimensions that a window leaves of those of `x`. */
function slide(
  node: ModelNode,
  x: Shape | undefined,
  kernel: Shape,
  size: (dim: Dim, along: DimWindow, index: number) => Dim,
): Dim[] {
  const isExplicit = ['NOTSET', undefined].includes(node.text('auto_pad'));
  const [strides, pads, dilations] = ['strides', 'pads', 'dilations'].map((name) => node.numbers(name) ?? []);
  return kernel.map((extent, index) => {
    const dim = x?.[index + 2] ?? UNKNOWN_DIM;
    if (!isExplicit || dim === UNKNOWN_DIM || typeof extent !== 'number') return UNKNOWN_DIM;
    const along = {
      kernel: extent,
      stride: strides![index] ?? 1,
      dilation: dilations![index] ?? 1,
      padBegin: pads![index] ?? 0,
      padEnd: pads![index + kernel.length] ?? 0,
    };
    const left = size(dim, along, index);
    // Runtimes do not agree on a window that is larger than what it slides over.
    return typeof left === 'number' && left < 1 ? UNKNOWN_DIM : left;
  });
}
