/**
 * The table of shape functions by ONNX operator, for nodes of existing models: dtype and shape of a node's first result, as
 * far as they follow from its inputs. A contradiction makes a dimension unknown; it is never an error. An operator that the
 * table lacks has an unknown result, which is always right.
 *
 * An entry reads the node's attributes and inputs, and calls the shape function that the graph builder calls too.
 * Source: ONNX operator pages.
 */
import { type Dim, type DType, isStatic, type Shape, UNKNOWN_DIM } from '../tensor.js';
import { broadcast, gemm, matMul } from './broadcast.js';
import {
  depthToSpace,
  flatten,
  gather,
  reduce,
  reshape,
  shapePart,
  spaceToDepth,
  squeeze,
  transpose,
  unsqueeze,
} from './reshaping.js';
import { concat, equalParts, pad, resize, slice, split, tile } from './slicing.js';
import { conv, convTranspose, globalPool, pool, type Window } from './windows.js';

/** What is known of a value; each part may be unknown. */
export interface ValueType {
  readonly dtype: DType | undefined;
  /** {@link UNKNOWN_DIM} stands for a dimension of unknown size. */
  readonly shape: Shape | undefined;
}

/** A node, as this table reads it. An attribute that the node does not have is `undefined`. */
export interface KnownNode {
  readonly opType: string;
  /** In the order of the operator's definition; of an absent input neither dtype nor shape is known. */
  readonly inputs: readonly ValueType[];
  readonly outputCount: number;
  /** Whether the node has the input; an optional input may be absent. */
  readonly has: (index: number) => boolean;
  /** The elements of an input that is a vector of sizes, as far as they are known; `undefined` if their number is not. */
  readonly sizes: (index: number) => Shape | undefined;
  readonly number: (attribute: string) => number | undefined;
  readonly numbers: (attribute: string) => readonly number[] | undefined;
  readonly text: (attribute: string) => string | undefined;
  /** The dtype of an attribute that holds ONNX's number of a dtype. */
  readonly dtype: (attribute: string) => DType | undefined;
}

/** What follows from a node for its first result. */
interface InferredType extends ValueType {
  /** A number that comes out as a size although no tensor has it: below 0, or 2^53 or more. */
  readonly impossible?: number;
}

/** Returns what is known of the node's first result; of a Split, what all results have in common. */
export function inferType(node: KnownNode): InferredType | undefined {
  const shapeOf = SHAPES.get(node.opType);
  if (!shapeOf) return undefined;
  const dtypeOf = DTYPES.get(node.opType) ?? dtypeOfInput(0);
  const shape = shapeOf(node);
  const impossible = shape
    ?.filter((dim) => typeof dim === 'number')
    .find((size) => size < 0 || size > Number.MAX_SAFE_INTEGER);
  const type = { dtype: dtypeOf(node), shape: settled(shape, node) };
  return impossible === undefined ? type : { ...type, impossible };
}

/** Whether a node's result has the shape of its first input, even if that shape is unknown. */
export const keepsShape = ({ domain, opType }: Pick<KnownNode, 'opType'> & { domain: string }): boolean =>
  domain === '' && (opType === 'Cast' || KEEPING.includes(opType));

/** The longest expression that is kept: expressions of expressions would otherwise grow without bound. */
const MAX_EXPRESSION = 100;

/**
 * The most dimensions of a shape that is inferred; NumPy and PyTorch have at most 64. A few operators would otherwise make
 * a shape longer than any file: a Gather by its own result doubles the rank.
 */
export const MAX_RANK = 64;

/**
 * Returns `shape` with unknown dimensions in place of numbers that are not sizes, and of expressions, except those of
 * {@link WITH_EXPRESSIONS}. A declared size counts as stale if it differs from the inferred one, and exporters that
 * evaluate more than this table declare the number that an expression comes to. A shape of more than {@link MAX_RANK}
 * dimensions is unknown.
 */
function settled(shape: Shape | undefined, node: KnownNode): Shape | undefined {
  if (!shape || shape.length > MAX_RANK) return undefined;
  let names: Set<Dim> | undefined;
  // Runtimes differ on a window that is larger than its input.
  const least = WITH_WINDOWS.includes(node.opType) ? 1 : 0;
  const isReliable = (dim: Dim, axis: number): boolean => {
    if (typeof dim === 'number') return Number.isSafeInteger(dim) && dim >= (axis < 2 ? 0 : least);
    if (WITH_EXPRESSIONS.includes(node.opType) && dim.length <= MAX_EXPRESSION) return true;
    return dim === UNKNOWN_DIM || (names ??= namesIn(node)).has(dim);
  };
  return shape.every(isReliable)
    ? shape
    : shape.map((dim, axis) => (isReliable(dim, axis) ? dim : UNKNOWN_DIM));
}

/** Returns the dimensions of inputs, and the elements of inputs that hold sizes. */
function namesIn({ inputs, sizes }: KnownNode): Set<Dim> {
  const names = new Set<Dim>();
  for (const [index, { shape }] of inputs.entries()) {
    for (const dim of shape ?? []) names.add(dim);
    if (shape?.length === 1) for (const size of sizes(index) ?? []) names.add(size);
  }
  return names;
}

type DTypeOf = (node: KnownNode) => DType | undefined;
type ShapeOf = (node: KnownNode) => Shape | undefined;

const dtypeOfInput =
  (index: number): DTypeOf =>
  ({ inputs }) =>
    inputs[index]?.dtype;

/** The dtype of inputs `first` to `end`, which all have the same one. */
const sharedDType =
  (first = 0, end?: number): DTypeOf =>
  ({ inputs }) =>
    inputs.slice(first, end).find(({ dtype }) => dtype !== undefined)?.dtype;

/** The dtype of the first two inputs if they agree: at some opsets and runtimes they may differ, and either may win. */
const agreedDType: DTypeOf = ({ inputs: [a, b] }) => (a?.dtype === b?.dtype ? a?.dtype : undefined);

/** A shape that follows from the first input's shape; unknown if that shape is. */
const from =
  (infer: (x: Shape, node: KnownNode) => Shape | undefined): ShapeOf =>
  (node) => {
    const x = node.inputs[0]?.shape;
    return x && infer(x, node);
  };

/** A shape that follows from the shapes of the first two inputs; unknown if one of them is. */
const fromBoth = (infer: (a: Shape, b: Shape, node: KnownNode) => Shape | undefined): ShapeOf =>
  from((a, node) => {
    const b = node.inputs[1]?.shape;
    return b && infer(a, b, node);
  });

const sameShape: ShapeOf = from((x) => x);

const broadcastAll: ShapeOf = ({ inputs }) => broadcast(inputs.map(({ shape }) => shape));

/** The sizes in an optional input: `undefined` if it is absent, one unknown size if its sizes are not known. */
const optionalSizes = ({ has, sizes }: KnownNode, index: number): Shape | undefined =>
  has(index) ? (sizes(index) ?? [UNKNOWN_DIM]) : undefined;

/** The node's window; `undefined` if `auto_pad` chooses the padding. */
function windowOf({ text, numbers }: KnownNode): Omit<Window, 'kernel'> | undefined {
  if (!['NOTSET', undefined].includes(text('auto_pad'))) return undefined;
  return { strides: numbers('strides'), pads: numbers('pads'), dilations: numbers('dilations') };
}

/** Returns `shape` with unknown spatial dimensions. */
const withoutSpatial = (shape: Shape): Shape => shape.map((dim, axis) => (axis < 2 ? dim : UNKNOWN_DIM));

const convolved =
  (weightIndex: number): ShapeOf =>
  (node) => {
    const [x, weight] = [node.inputs[0]?.shape, node.inputs[weightIndex]?.shape];
    if (!weight) return x?.map(() => UNKNOWN_DIM);
    const window = windowOf(node);
    return window ? conv(x, weight, window) : withoutSpatial(conv(x, weight, {}));
  };

const transposedConvolved: ShapeOf = (node) => {
  const [x, weight] = [node.inputs[0]?.shape, node.inputs[1]?.shape];
  if (!weight) return x?.map(() => UNKNOWN_DIM);
  const transposed = { group: node.number('group') ?? 1, outputPadding: node.numbers('output_padding') };
  const window = node.numbers('output_shape') ? undefined : windowOf(node);
  const shape = convTranspose(x, weight, { ...transposed, ...window });
  return window ? shape : withoutSpatial(shape);
};

const pooled = from((x, node) => {
  const kernel = node.numbers('kernel_shape') ?? [];
  if (kernel.length !== x.length - 2) return undefined;
  const window = windowOf(node);
  // With ceil_mode, opsets below 22 count a window that later opsets do not.
  if (!window || node.number('ceil_mode')) return withoutSpatial(x);
  return pool(x, { ...window, kernel }, false);
});

const reduced = from((x, { has, sizes, number, numbers }) => {
  const axes = numbers('axes') ?? sizes(1);
  const keepDims = number('keepdims') !== 0;
  const isOfAll = axes ? axes.length === 0 : !has(1);
  if (isOfAll) return number('noop_with_empty_axes') ? x : reduce(x, undefined, keepDims);
  return axes && isStatic(axes) ? reduce(x, axes, keepDims) : undefined;
});

/** What the shapes of all parts have in common. */
const parts = from((x, node) => {
  const axis = node.number('axis') ?? 0;
  const sizes = node.numbers('split') ?? optionalSizes(node, 1) ?? equalParts(x.at(axis), node.outputCount);
  const [size] = sizes;
  if (size === undefined) return undefined;
  return split(x, axis, [sizes.every((other) => other === size) ? size : UNKNOWN_DIM])[0];
});

const resized = from((x, { has, sizes, numbers, text }) => {
  // Of the policies, only the default makes the sizes exactly the given ones.
  const isExact = [undefined, 'stretch'].includes(text('keep_aspect_ratio_policy'));
  const given = isExact ? sizes(3) : sizes(3)?.map(() => UNKNOWN_DIM);
  // In opset 10 the second input has the scales, and there are no more.
  const scales = sizes(has(2) || has(3) ? 2 : 1);
  return resize(x, { scales, sizes: given, axes: numbers('axes') });
});

/** Upsample, which has its scales in an attribute up to opset 8. */
const upsampled = from((x, { sizes, numbers }) => resize(x, { scales: numbers('scales') ?? sizes(1) }));

/** Operators whose result has the dtype and the shape of their first input. */
const KEEPING: readonly string[] = (
  'Abs Ceil Celu Clip Cos Dropout Elu Erf Exp Floor Gelu HardSigmoid HardSwish Identity LRN LeakyRelu Log ' +
  'LogSoftmax LpNormalization Mish Neg PRelu Reciprocal Relu Round Selu Sigmoid Sign Sin Softmax Softplus ' +
  'Softsign Sqrt Swish Tanh ThresholdedRelu'
).split(' ');

/** Operators whose windows slide along the spatial dimensions. */
const WITH_WINDOWS: readonly string[] =
  'Conv ConvInteger ConvTranspose QLinearConv AveragePool LpPool MaxPool'.split(' ');

/** Operators whose results may have expressions of names as sizes. */
const WITH_EXPRESSIONS: readonly string[] = [...WITH_WINDOWS, 'Flatten'];

/** Returns the same entry for each of `names`, separated by spaces. */
const forAll = <T>(names: string, value: T): Record<string, T> =>
  Object.fromEntries(names.split(' ').map((name) => [name, value]));

/** The shape of each operator's result. */
const SHAPES = new Map<string, ShapeOf>(
  Object.entries({
    ...forAll(KEEPING.join(' '), sameShape),
    ...forAll('Cast CastLike DequantizeLinear DynamicQuantizeLinear QuantizeLinear', sameShape),
    ...forAll(
      'BatchNormalization BlockedGroupNormalization FusedGroupNormalization GroupNormalization',
      sameShape,
    ),
    ...forAll('InstanceNormalization LayerNormalization RMSNormalization', sameShape),
    // Of ONNX Runtime's own domain.
    ...forAll('BiasAdd GroupNorm QuickGelu SkipGroupNorm', sameShape),
    NhwcConv: ({ inputs: [x, weight] }) => [
      x?.shape?.[0] ?? UNKNOWN_DIM,
      UNKNOWN_DIM,
      UNKNOWN_DIM,
      weight?.shape?.[0] ?? UNKNOWN_DIM,
    ],
    ...forAll('Add Div Max Mean Min Mul Pow Sub Sum Where', broadcastAll),
    ...forAll('And Equal Greater GreaterOrEqual Less LessOrEqual Or', broadcastAll),
    ...forAll('Conv ConvInteger', convolved(1)),
    QLinearConv: convolved(3),
    ConvTranspose: transposedConvolved,
    ...forAll('AveragePool LpPool MaxPool', pooled),
    ...forAll('GlobalAveragePool GlobalMaxPool', from(globalPool)),
    ...forAll('ReduceL2 ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum', reduced),

    Concat: ({ inputs, number }) => {
      const shapes = inputs.map(({ shape }) => shape);
      return concat(shapes, number('axis') ?? 0);
    },
    DepthToSpace: from((x, { number }) => depthToSpace(x, number('blocksize') ?? 0)),
    Expand: ({ inputs, sizes }) => broadcast([inputs[0]?.shape, sizes(1)]),
    Flatten: from((x, { number }) => flatten(x, number('axis') ?? 1)),
    Gather: fromBoth((x, indices, { number }) => gather(x, indices, number('axis') ?? 0)),
    Gemm: ({ inputs: [a, b], number }) =>
      gemm(a?.shape, b?.shape, { transA: Boolean(number('transA')), transB: Boolean(number('transB')) }),
    MatMul: fromBoth((a, b) => (a.length && b.length ? matMul(a, b) : undefined)),
    Pad: from((x, node) => pad(x, node.numbers('pads') ?? node.sizes(1), optionalSizes(node, 3))),
    Reshape: ({ inputs, sizes, number }) => {
      const target = sizes(1);
      return target && reshape(inputs[0]?.shape, target, number('allowzero') === 1);
    },
    Resize: resized,
    Shape: ({ inputs: [x], number }) => [
      x?.shape ? shapePart(x.shape, number('start'), number('end')).length : UNKNOWN_DIM,
    ],
    Slice: from((x, node) => {
      const [starts, ends, axes] = ['starts', 'ends', 'axes'].map((name) => node.numbers(name));
      return slice(x, {
        starts: starts ?? node.sizes(1),
        ends: ends ?? node.sizes(2),
        axes: axes ?? optionalSizes(node, 3),
        steps: optionalSizes(node, 4),
      });
    }),
    SpaceToDepth: from((x, { number }) => spaceToDepth(x, number('blocksize') ?? 0)),
    Split: parts,
    Squeeze: from((x, { has, numbers, sizes }) => {
      const axes = numbers('axes') ?? sizes(1);
      if (axes) return isStatic(axes) ? squeeze(x, axes) : undefined;
      // Without axes, all dimensions of size 1 go.
      return !has(1) && isStatic(x) ? x.filter((dim) => dim !== 1) : undefined;
    }),
    Tile: from((x, { sizes }) => tile(x, sizes(1))),
    Transpose: from((x, { numbers }) => transpose(x, numbers('perm'))),
    Upsample: upsampled,
    Unsqueeze: from((x, { numbers, sizes }) => {
      const axes = numbers('axes') ?? sizes(1);
      return axes && isStatic(axes) ? unsqueeze(x, axes) : undefined;
    }),
  } satisfies Record<string, ShapeOf>),
);

/** The dtype of each operator's result if it is not that of the first input. */
const DTYPES = new Map<string, DTypeOf>(
  Object.entries({
    ...forAll('Add Concat Div Max Mean Min Mul Sub Sum', sharedDType()),
    ...forAll('Conv ConvTranspose Gemm MatMul NhwcConv', sharedDType(0, 2)),
    ...forAll('FusedGroupNormalization GroupNormalization InstanceNormalization', sharedDType(0, 2)),
    ...forAll('BatchNormalization LayerNormalization RMSNormalization', agreedDType),
    ...forAll('And Equal Greater GreaterOrEqual Less LessOrEqual Or', () => 'bool' as const),
    Cast: ({ dtype }) => dtype('to'),
    CastLike: dtypeOfInput(1),
    ConvInteger: () => 'int32',
    DequantizeLinear: (node) => node.dtype('output_dtype') ?? dtypeOfInput(1)(node),
    DynamicQuantizeLinear: () => 'uint8',
    QLinearConv: dtypeOfInput(7),
    QuantizeLinear: dtypeOfInput(2),
    Shape: () => 'int64',
    Where: sharedDType(1),
  } satisfies Record<string, DTypeOf>),
);
