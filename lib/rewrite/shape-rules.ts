/** What is known of values, and rules that tell more. */
import { convDim, convTransposeDim, type DimWindow, productDim } from '../graph/dims.js';
import { dtypeFromOnnx } from '../graph/types.js';
import type { ModelNode } from '../onnx/node.js';
import { UNKNOWN_DIM } from '../onnx/value-info.js';
import { type Dim, type DType, elementCount, fromStart, isStatic, type Shape } from '../tensor.js';

/** What is known of a value; of each part there may be nothing. */
export interface ValueType {
  readonly dtype: DType | undefined;
  /** `?` (UNKNOWN_DIM) stands for a dimension of which nothing is known. */
  readonly shape: Shape | undefined;
}

/** What is known of the values that nodes read. */
export interface KnownValues {
  typeOf(name: string | undefined): ValueType;
  /** The elements of a vector of sizes, as far as they are known; nothing if not even their number is. */
  sizes(name: string | undefined): Shape | undefined;
}

/** What a node gives, of which nothing need be known. */
export type Rule = (node: ModelNode, types: KnownValues) => ValueType | undefined;

export const input = (node: ModelNode, types: KnownValues, index: number): ValueType =>
  types.typeOf(node.inputs[index]);

/** The first input's dtype, and a shape that its own shape is all that is needed for. */
export const shaped =
  (shapeOf: (shape: Shape, node: ModelNode, types: KnownValues) => Shape | undefined): Rule =>
  (node, types) => {
    const { dtype, shape } = input(node, types, 0);
    return { dtype, shape: shape && shapeOf(shape, node, types) };
  };

// SECTION:
// Shapes behind operators that cut, fill up, repeat and resize: exact where what they are told is constant, and
// otherwise of the axes that they leave alone. Sources: ONNX operator pages of the same names.

const isNumber = (dim: Dim | undefined): dim is number => typeof dim === 'number';

const unknown = (shape: Shape): Shape => shape.map(() => UNKNOWN_DIM);

/** Axes as they are counted from the start; nothing if one is not known. */
function axesIn(axes: Shape | undefined, rank: number): number[] | undefined {
  if (!axes?.every(isNumber)) return undefined;
  return axes.map((axis) => fromStart(axis, rank));
}

/** `shape` with other sizes along some axes. */
function withSizes(shape: Shape, axes: readonly number[], sizeAt: (dim: Dim, index: number) => Dim): Shape {
  return shape.map((dim, axis) => {
    const index = axes.indexOf(axis);
    return index < 0 ? dim : sizeAt(dim, index);
  });
}

/** No array is as long: an end from here on is the axis's own. */
const FAR = 2 ** 31 - 1;

/** How many elements of `dim` a cut leaves. Backwards, ONNX Runtime and numpy do not agree on all of them. */
function cutSize(dim: Dim, start?: Dim, end?: Dim, step: Dim | undefined = 1): Dim {
  if (!isNumber(start) || !isNumber(end) || !isNumber(step) || step < 1) return UNKNOWN_DIM;
  if (start === 0 && end >= FAR && step === 1) return dim;
  if (!isNumber(dim)) return UNKNOWN_DIM;
  const within = (index: number) => Math.min(Math.max(index < 0 ? index + dim : index, 0), dim);
  return Math.max(0, Math.ceil((within(end) - within(start)) / step));
}

export const slice: Rule = shaped((shape, node, types) => {
  const [starts, ends, steps] = [1, 2, 4].map((at) => types.sizes(node.inputs[at]));
  const axes = node.inputs[3]
    ? axesIn(types.sizes(node.inputs[3]), shape.length)
    : starts?.map((_, axis) => axis);
  if (!axes || !starts || !ends || (node.inputs[4] && !steps)) return unknown(shape);
  return withSizes(shape, axes, (dim, i) => cutSize(dim, starts[i], ends[i], steps?.[i]));
});

/** All results are of one type here: the sizes are known if they are equal. */
export const split: Rule = shaped((shape, node, types) => {
  const along = fromStart(node.number('axis') ?? 0, shape.length);
  const sizes = node.inputs[1] ? types.sizes(node.inputs[1]) : undefined;
  return withSizes(shape, [along], (dim) => {
    if (node.inputs[1])
      return sizes?.every((size) => size === sizes[0]) ? (sizes[0] ?? UNKNOWN_DIM) : UNKNOWN_DIM;
    const count = node.outputs.length;
    return isNumber(dim) && dim % count === 0 ? dim / count : UNKNOWN_DIM;
  });
});

export const pad: Rule = shaped((shape, node, types) => {
  const pads = types.sizes(node.inputs[1]);
  const axes = node.inputs[3]
    ? axesIn(types.sizes(node.inputs[3]), shape.length)
    : shape.map((_, axis) => axis);
  if (!axes || pads?.length !== 2 * axes.length) return unknown(shape);
  return withSizes(shape, axes, (dim, i) => {
    const [before, after] = [pads[i]!, pads[i + axes.length]!];
    if (before === 0 && after === 0) return dim;
    return isNumber(dim) && isNumber(before) && isNumber(after) ? dim + before + after : UNKNOWN_DIM;
  });
});

export const resize: Rule = shaped((shape, node, types) => {
  const axes = axesIn(node.numbers('axes'), shape.length) ?? shape.map((_, axis) => axis);
  const [scales, sizes] = [2, 3].map((at) => types.sizes(node.inputs[at]));
  // Of its values one is the default, and makes the sizes what they are asked to be.
  const fitsExactly = (node.text('keep_aspect_ratio_policy') ?? 'stretch') === 'stretch';
  return withSizes(shape, axes, (dim, i) => {
    if (sizes?.length === axes.length) return fitsExactly ? sizes[i]! : UNKNOWN_DIM;
    const scale = scales?.length === axes.length ? scales[i] : undefined;
    if (scale === 1) return dim;
    return isNumber(dim) && isNumber(scale) ? Math.floor(Math.fround(dim * scale)) : UNKNOWN_DIM;
  });
});

export const tile: Rule = shaped((shape, node, types) => {
  const repeats = types.sizes(node.inputs[1]);
  if (repeats?.length !== shape.length) return unknown(shape);
  return shape.map((dim, axis) => {
    const times = repeats[axis];
    if (times === 1) return dim;
    return isNumber(dim) && isNumber(times) ? dim * times : UNKNOWN_DIM;
  });
});

/** (N, C, H, W) with each `blocksize`² channels as a block of pixels. */
export const depthToSpace: Rule = shaped((shape, node) => {
  const size = node.number('blocksize') ?? 0;
  const [batch, channels, ...image] = shape;
  if (image.length !== 2) return unknown(shape);
  return [
    batch!,
    divided(channels!, size ** 2),
    ...image.map((dim) => (isNumber(dim) ? dim * size : UNKNOWN_DIM)),
  ];
});

/** The other way round. */
export const spaceToDepth: Rule = shaped((shape, node) => {
  const size = node.number('blocksize') ?? 0;
  const [batch, channels, ...image] = shape;
  if (image.length !== 2) return unknown(shape);
  const deeper = isNumber(channels) ? channels * size ** 2 : UNKNOWN_DIM;
  return [batch!, deeper, ...image.map((dim) => divided(dim, size))];
});

const divided = (dim: Dim, by: number): Dim => (isNumber(dim) && dim % by === 0 ? dim / by : UNKNOWN_DIM);

// SECTION: Convolutions and pooling. Source: ONNX operator pages.

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

// SECTION:
// Dtype and shape of what a node gives, for the operators that networks have around normalizations. Source: ONNX
// operator pages. What is not here is unknown, which is always right.

/** The type of a node's first result; of a Split's, that of all. */
export const inferType: Rule = (node, types) => RULES.get(node.opType)?.(node, types);

const likeFirst: Rule = (node, types) => input(node, types, 0);

/** The parameters are of the input's dtype. */
const normalization: Rule = (node, types) => {
  const [x, scale] = [input(node, types, 0), input(node, types, 1)];
  return { dtype: x.dtype ?? scale.dtype, shape: x.shape };
};

/** Those of some opsets and runtimes are not, and the result is then of one or the other. */
const mixedNormalization: Rule = (node, types) => {
  const [x, scale] = [input(node, types, 0), input(node, types, 1)];
  return { dtype: x.dtype === scale.dtype ? x.dtype : undefined, shape: x.shape };
};

/** The exponent may be of another dtype. */
const power: Rule = (node, types) => ({
  dtype: input(node, types, 0).dtype,
  shape: broadcast(node.inputs.map((name) => types.typeOf(name).shape)),
});

/** All of one dtype. */
const elementwise: Rule = (node, types) => broadcastType(node.inputs.map((name) => types.typeOf(name)));

const comparison: Rule = (node, types) => ({
  dtype: 'bool',
  shape: broadcast(node.inputs.map((name) => types.typeOf(name).shape)),
});

const broadcastType = (inputs: readonly ValueType[]): ValueType => ({
  dtype: inputs.find(({ dtype }) => dtype !== undefined)?.dtype,
  shape: broadcast(inputs.map(({ shape }) => shape)),
});

const withDType =
  (dtypeOf: (node: ModelNode, types: KnownValues) => DType | undefined): Rule =>
  (node, types) => ({ dtype: dtypeOf(node, types), shape: input(node, types, 0).shape });

const reshape: Rule = (node, types) => {
  const { dtype, shape } = input(node, types, 0);
  const target = types.sizes(node.inputs[1]);
  const keepsZeros = node.number('allowzero') === 1;
  const dims = target?.map((size, axis): Dim => {
    if (size === 0 && !keepsZeros) return shape?.[axis] ?? UNKNOWN_DIM;
    return size === -1 ? inferredSize(shape, target, keepsZeros) : size;
  });
  return { dtype, shape: dims };
};

/** What −1 stands for. */
function inferredSize(shape: Shape | undefined, target: Shape, keepsZeros: boolean): Dim {
  const others = target.flatMap((size, axis) =>
    size === -1 ? [] : [size === 0 && !keepsZeros ? (shape?.[axis] ?? UNKNOWN_DIM) : size],
  );
  if (!shape) return UNKNOWN_DIM;
  // A dimension that is copied, as that of the batch is, need not be known.
  const [all, rest] = withoutCommon(shape, others);
  if (!isStatic(all) || !isStatic(rest)) return UNKNOWN_DIM;
  const size = elementCount(all) / elementCount(rest);
  return Number.isInteger(size) ? size : UNKNOWN_DIM;
}

/** Two lists of dimensions without the names that are in both. */
function withoutCommon(a: Shape, b: Shape): [Dim[], Dim[]] {
  const [left, right] = [[...a], [...b]];
  for (const dim of a) {
    const index = dim === UNKNOWN_DIM || typeof dim === 'number' ? -1 : right.indexOf(dim);
    if (index < 0) continue;
    right.splice(index, 1);
    left.splice(left.indexOf(dim), 1);
  }
  return [left, right];
}

const transpose = shaped((shape, node) => {
  const perm = node.numbers('perm') ?? shape.map((_, axis) => shape.length - 1 - axis);
  return perm.map((axis) => shape[axis] ?? UNKNOWN_DIM);
});

const concat: Rule = (node, types) => {
  const inputs = node.inputs.map((name) => types.typeOf(name));
  const shapes = inputs.flatMap(({ shape }) => (shape ? [shape] : []));
  const [first] = shapes;
  const axis = node.number('axis') ?? 0;
  const along = fromStart(axis, first?.length ?? 0);
  const shape = first?.map((dim, index) => {
    const dims = shapes.map((other) => other[index] ?? UNKNOWN_DIM);
    if (index !== along) return dims.find((one) => typeof one === 'number') ?? dim;
    return shapes.length === inputs.length && isStatic(dims)
      ? dims.reduce<number>((sum, size) => sum + (size as number), 0)
      : UNKNOWN_DIM;
  });
  return { dtype: broadcastType(inputs).dtype, shape };
};

const expand: Rule = (node, types) => {
  const { dtype, shape } = input(node, types, 0);
  return { dtype, shape: broadcast([shape, types.sizes(node.inputs[1])]) };
};

const unsqueeze = shaped((shape, node, types) => {
  const axes = types.sizes(node.inputs[1]);
  if (!axes || !isStatic(axes)) return undefined;
  const rank = shape.length + axes.length;
  const added = new Set(axes.map((axis) => fromStart(axis, rank)));
  const rest = [...shape];
  return Array.from({ length: rank }, (_, axis) => (added.has(axis) ? 1 : (rest.shift() ?? UNKNOWN_DIM)));
});

/** Of names that are put together: those of a name's products grow without end. */
const MAX_NAME = 100;

const flatten = shaped((shape, node) => {
  const axis = node.number('axis') ?? 1;
  const isKnown = (dim: Dim) => dim !== UNKNOWN_DIM && String(dim).length <= MAX_NAME;
  const product = (dims: Shape) => (dims.every(isKnown) ? productDim(dims) : UNKNOWN_DIM);
  return [product(shape.slice(0, axis)), product(shape.slice(axis))];
});

const matMul: Rule = (node, types) => {
  const [a, b] = [input(node, types, 0), input(node, types, 1)];
  const dtype = a.dtype ?? b.dtype;
  if (!a.shape || !b.shape || a.shape.length < 2 || b.shape.length < 2) return { dtype, shape: undefined };
  const batch = broadcast([a.shape.slice(0, -2), b.shape.slice(0, -2)])!;
  return { dtype, shape: [...batch, a.shape.at(-2)!, b.shape.at(-1)!] };
};

const gemm: Rule = (node, types) => {
  const [a, b] = [input(node, types, 0), input(node, types, 1)];
  const rows = a.shape?.[node.number('transA') ? 1 : 0] ?? UNKNOWN_DIM;
  const columns = b.shape?.[node.number('transB') ? 0 : 1] ?? UNKNOWN_DIM;
  return { dtype: a.dtype ?? b.dtype, shape: [rows, columns] };
};

const reduce = shaped((shape, node, types) => {
  const axes = node.numbers('axes') ?? types.sizes(node.inputs[1]);
  const isOfAll = axes ? axes.length === 0 : !node.inputs[1];
  if (isOfAll && node.number('noop_with_empty_axes')) return shape;
  if (!isOfAll && !axes?.every((axis) => typeof axis === 'number')) return undefined;
  const reduced = new Set(((axes ?? []) as readonly number[]).map((axis) => fromStart(axis, shape.length)));
  const isReduced = (axis: number) => isOfAll || reduced.has(axis);
  return node.number('keepdims') === 0
    ? shape.filter((_, axis) => !isReduced(axis))
    : shape.map((dim, axis) => (isReduced(axis) ? 1 : dim));
});

const gather: Rule = (node, types) => {
  const [{ dtype, shape }, indices] = [input(node, types, 0), input(node, types, 1)];
  if (!shape || !indices.shape) return { dtype, shape: undefined };
  const axis = node.number('axis') ?? 0;
  const along = fromStart(axis, shape.length);
  return { dtype, shape: [...shape.slice(0, along), ...indices.shape, ...shape.slice(along + 1)] };
};

const where: Rule = (node, types) => {
  const [condition, ...branches] = node.inputs.map((name) => types.typeOf(name));
  const { dtype } = broadcastType(branches);
  return { dtype, shape: broadcast([condition!, ...branches].map(({ shape }) => shape)) };
};

const shapeVector: Rule = (node, types) => {
  const part = input(node, types, 0).shape?.slice(node.number('start') ?? 0, node.number('end'));
  return { dtype: 'int64', shape: [part?.length ?? UNKNOWN_DIM] };
};

/** As numpy broadcasts: from the right, a 1 to any size. */
function broadcast(shapes: readonly (Shape | undefined)[]): Shape | undefined {
  const known = shapes.filter((shape) => shape !== undefined);
  if (known.length < shapes.length) return undefined;
  const rank = Math.max(0, ...known.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) =>
    broadcastDim(known.flatMap((shape) => shape[axis - rank + shape.length] ?? [])),
  );
}

function broadcastDim(dims: readonly Dim[]): Dim {
  const larger = dims.filter((dim) => dim !== 1);
  const [first = 1] = larger;
  const size = larger.find((dim) => typeof dim === 'number');
  return size ?? (larger.every((dim) => dim === first) ? first : UNKNOWN_DIM);
}

/** Of a type attribute, which is ONNX's number of a dtype. */
const dtypeIn = (node: ModelNode, attribute: string): DType | undefined =>
  dtypeFromOnnx(node.number(attribute) ?? 0);

/** Operators whose result has the shape of their first input, whatever it is. */
const KEEPING =
  'Abs Ceil Celu Clip Cos Dropout Elu Erf Exp Floor Gelu HardSigmoid HardSwish Identity LRN LeakyRelu Log ' +
  'LogSoftmax LpNormalization Mish Neg PRelu Reciprocal Relu Round Selu Sigmoid Sign Sin Softmax Softplus ' +
  'Softsign Sqrt Swish Tanh ThresholdedRelu';

const KEEPS_SHAPE: ReadonlySet<string> = new Set(['Cast', ...KEEPING.split(' ')]);

export const keepsShape = ({ domain, opType }: ModelNode): boolean =>
  domain === '' && KEEPS_SHAPE.has(opType);

const rules = (rule: Rule, names: string): [string, Rule][] => names.split(' ').map((name) => [name, rule]);

const RULES: ReadonlyMap<string, Rule> = new Map([
  ...rules(likeFirst, KEEPING),
  ...rules(normalization, 'FusedGroupNormalization GroupNormalization InstanceNormalization'),
  ...rules(mixedNormalization, 'BatchNormalization LayerNormalization RMSNormalization'),
  ...rules(elementwise, 'Add Div Max Mean Min Mul Sub Sum'),
  ...rules(comparison, 'And Equal Greater GreaterOrEqual Less LessOrEqual Or'),
  ...rules(pool, 'AveragePool LpPool MaxPool'),
  ...rules(globalPool, 'GlobalAveragePool GlobalMaxPool'),
  ...rules(reduce, 'ReduceL2 ReduceMax ReduceMean ReduceMin ReduceSum'),
  ['Cast', withDType((node) => dtypeIn(node, 'to'))],
  ['Concat', concat],
  ['Conv', convOf(1, (node, types) => input(node, types, 0).dtype ?? input(node, types, 1).dtype)],
  ['ConvInteger', convOf(1, () => 'int32')],
  ['ConvTranspose', convTranspose],
  [
    'DequantizeLinear',
    withDType((node, types) => dtypeIn(node, 'output_dtype') ?? input(node, types, 1).dtype),
  ],
  ['DepthToSpace', depthToSpace],
  ['DynamicQuantizeLinear', withDType(() => 'uint8')],
  ['Expand', expand],
  ['Flatten', flatten],
  ['Gather', gather],
  ['Gemm', gemm],
  ['MatMul', matMul],
  ['QLinearConv', convOf(3, (node, types) => input(node, types, 7).dtype)],
  ['QuantizeLinear', withDType((node, types) => input(node, types, 2).dtype)],
  ['Pad', pad],
  ['Pow', power],
  ['Reshape', reshape],
  ['Resize', resize],
  ['Shape', shapeVector],
  ['Slice', slice],
  ['SpaceToDepth', spaceToDepth],
  ['Split', split],
  ['Tile', tile],
  ['Transpose', transpose],
  ['Unsqueeze', unsqueeze],
  ['Where', where],
]);
