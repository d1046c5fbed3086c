/**
 * The table of shape functions by ONNX operator, for nodes of models that others have made: dtype and shape of a node's
 * first result, as far as they follow from what is known of its inputs. A contradiction makes the result unknown; it is
 * never an error. An operator that the table lacks has an unknown result, which is always right.
 *
 * An entry reads the node's attributes and inputs, and calls the shape function that the graph builder calls too.
 * Source: ONNX operator pages.
 */
import { type Dim, type DType, isStatic, type Shape, UNKNOWN_DIM } from '../tensor.js';
import { gather, reduce, shapePart, transpose, unsqueeze } from './axes.js';
import { broadcast } from './broadcast.js';
import { gemm, matMul } from './products.js';
import { depthToSpace, flatten, reshape, spaceToDepth } from './reshaping.js';
import { pad, resize, tile } from './resizing.js';
import { concat, equalParts, slice, split } from './slicing.js';
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

/** Returns what is known of the node's first result; of a Split, what all results have in common. */
export function inferType(node: KnownNode): ValueType | undefined {
  const operator = OPERATORS.get(node.opType);
  return operator && { dtype: operator.dtype(node), shape: settled(operator.shape(node), node) };
}

/** Operators whose result has the dtype and the shape of their first input. */
const KEEPING: readonly string[] = [
  ...['Abs', 'Ceil', 'Celu', 'Clip', 'Cos', 'Dropout', 'Elu', 'Erf', 'Exp', 'Floor', 'Gelu', 'HardSigmoid'],
  ...[
    'HardSwish',
    'Identity',
    'LRN',
    'LeakyRelu',
    'Log',
    'LogSoftmax',
    'LpNormalization',
    'Mish',
    'Neg',
    'PRelu',
  ],
  ...[
    'Reciprocal',
    'Relu',
    'Round',
    'Selu',
    'Sigmoid',
    'Sign',
    'Sin',
    'Softmax',
    'Softplus',
    'Softsign',
    'Sqrt',
  ],
  ...['Swish', 'Tanh', 'ThresholdedRelu'],
];

/** Whether a node's result has the shape of its first input, even where that shape is unknown. */
export const keepsShape = ({
  domain,
  opType,
}: {
  readonly domain: string;
  readonly opType: string;
}): boolean => domain === '' && (opType === 'Cast' || KEEPING.includes(opType));

/** Operators whose results may have expressions of names as sizes. */
const WITH_EXPRESSIONS: readonly string[] = [
  ...['Conv', 'ConvInteger', 'ConvTranspose', 'QLinearConv', 'AveragePool', 'LpPool', 'MaxPool', 'Flatten'],
];

/** The longest expression that is kept: expressions of expressions would otherwise grow without bound. */
const MAX_EXPRESSION = 100;

/**
 * Returns `shape` with unknown dimensions in place of numbers that are not sizes, and of expressions, except those of
 * {@link WITH_EXPRESSIONS}. A declared size counts as stale where it differs from the inferred one, and exporters that
 * evaluate more than this table declare the number that an expression comes to.
 */
function settled(shape: Shape | undefined, node: KnownNode): Shape | undefined {
  const isReliable = (dim: Dim): boolean => {
    if (typeof dim === 'number') return Number.isSafeInteger(dim) && dim >= 0;
    if (WITH_EXPRESSIONS.includes(node.opType) && dim.length <= MAX_EXPRESSION) return true;
    return dim === UNKNOWN_DIM || isNameIn(dim, node);
  };
  return shape?.map((dim) => (isReliable(dim) ? dim : UNKNOWN_DIM));
}

/** Whether a dimension is a dimension of an input, or an element of an input that holds sizes. */
const isNameIn = (dim: Dim, { inputs, sizes }: KnownNode): boolean =>
  inputs.some(({ shape }) => shape?.includes(dim)) ||
  inputs.some(({ shape }, index) => shape?.length === 1 && sizes(index)?.includes(dim));

interface Operator {
  readonly dtype: (node: KnownNode) => DType | undefined;
  readonly shape: (node: KnownNode) => Shape | undefined;
}
type DTypeOf = Operator['dtype'];
type ShapeOf = Operator['shape'];

// Dtypes.

const dtypeOf =
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

// Shapes.

const shapeOfFirst: ShapeOf = ({ inputs }) => inputs[0]?.shape;

/** A shape that follows from the first input's shape alone. */
const fromFirst =
  (infer: (x: Shape, node: KnownNode) => Shape | undefined): ShapeOf =>
  (node) => {
    const x = node.inputs[0]?.shape;
    return x && infer(x, node);
  };

/** A shape that follows from the shapes of the first two inputs. */
const fromBoth =
  (infer: (a: Shape, b: Shape, node: KnownNode) => Shape | undefined): ShapeOf =>
  (node) => {
    const [a, b] = [node.inputs[0]?.shape, node.inputs[1]?.shape];
    return a && b && infer(a, b, node);
  };

const broadcastAll: ShapeOf = ({ inputs }) => broadcast(...inputs.map(({ shape }) => shape));

/** The node's window; `undefined` if `auto_pad` chooses the padding. */
function windowOf(node: KnownNode): Omit<Window, 'kernel'> | undefined {
  if (!['NOTSET', undefined].includes(node.text('auto_pad'))) return undefined;
  return {
    strides: node.numbers('strides'),
    pads: node.numbers('pads'),
    dilations: node.numbers('dilations'),
  };
}

const withoutSpatial = (shape: Shape): Shape => shape.map((dim, axis) => (axis < 2 ? dim : UNKNOWN_DIM));

/** Returns `shape` with unknown spatial dimensions where they are below 1: runtimes differ on a window that is too large. */
const withFittingSpatial = (shape: Shape): Shape =>
  shape.map((dim, axis) => (axis >= 2 && typeof dim === 'number' && dim < 1 ? UNKNOWN_DIM : dim));

const convolved =
  (weightIndex: number): ShapeOf =>
  (node) => {
    const [x, weight] = [node.inputs[0]?.shape, node.inputs[weightIndex]?.shape];
    if (!weight) return x?.map(() => UNKNOWN_DIM);
    const window = windowOf(node);
    return window ? withFittingSpatial(conv(x, weight, window)) : withoutSpatial(conv(x, weight, {}));
  };

const transposedConvolved: ShapeOf = (node) => {
  const [x, weight] = [node.inputs[0]?.shape, node.inputs[1]?.shape];
  if (!weight) return x?.map(() => UNKNOWN_DIM);
  const group = node.number('group') ?? 1;
  const window = node.numbers('output_shape') ? undefined : windowOf(node);
  if (!window) return withoutSpatial(convTranspose(x, weight, { group }));
  const outputPadding = node.numbers('output_padding');
  return withFittingSpatial(convTranspose(x, weight, { group, outputPadding, ...window }));
};

const pooled = fromFirst((x, node) => {
  const kernel = node.numbers('kernel_shape') ?? [];
  if (kernel.length !== x.length - 2) return undefined;
  const window = windowOf(node);
  // With ceil_mode, opsets below 22 count a window that later opsets do not.
  if (!window || node.number('ceil_mode')) return withoutSpatial(x);
  return withFittingSpatial(pool(x, { ...window, kernel }, false));
});

const reduced = fromFirst((x, node) => {
  const axes = node.numbers('axes') ?? node.sizes(1);
  const keepDims = node.number('keepdims') !== 0;
  if (axes ? axes.length === 0 : !node.has(1)) {
    return node.number('noop_with_empty_axes') ? x : reduce(x, undefined, keepDims);
  }
  return axes && isStatic(axes) ? reduce(x, axes, keepDims) : undefined;
});

/** What the shapes of all parts have in common. */
const parts = fromFirst((x, node) => {
  const axis = node.number('axis') ?? 0;
  const sizes = node.has(1) ? node.sizes(1) : equalParts(x.at(axis), node.outputCount);
  const [first, ...others] = split(x, axis, sizes?.length ? sizes : [UNKNOWN_DIM]);
  return first?.map((dim, index) => (others.every((part) => part[index] === dim) ? dim : UNKNOWN_DIM));
});

const resized = fromFirst((x, node) => {
  // Of the policies, only the default makes the sizes exactly the given ones.
  const isExact = (node.text('keep_aspect_ratio_policy') ?? 'stretch') === 'stretch';
  const sizes = node.sizes(3);
  return resize(x, {
    scales: node.sizes(2),
    sizes: isExact ? sizes : sizes?.map(() => UNKNOWN_DIM),
    axes: node.numbers('axes'),
  });
});

const lengthOfShape: ShapeOf = (node) => {
  const x = node.inputs[0]?.shape;
  return [x ? shapePart(x, node.number('start'), node.number('end')).length : UNKNOWN_DIM];
};

const entry = (name: string, dtype: DTypeOf, shape: ShapeOf): [string, Operator] => [name, { dtype, shape }];
const entries = (names: readonly string[], dtype: DTypeOf, shape: ShapeOf): [string, Operator][] =>
  names.map((name) => entry(name, dtype, shape));

const OPERATORS: ReadonlyMap<string, Operator> = new Map([
  ...entries(KEEPING, dtypeOf(0), shapeOfFirst),
  entry('Cast', (node) => node.dtype('to'), shapeOfFirst),
  entry('DequantizeLinear', (node) => node.dtype('output_dtype') ?? dtypeOf(1)(node), shapeOfFirst),
  entry('DynamicQuantizeLinear', () => 'uint8', shapeOfFirst),
  entry('QuantizeLinear', dtypeOf(2), shapeOfFirst),
  entry('FusedGroupNormalization', sharedDType(0, 2), shapeOfFirst),
  entry('GroupNormalization', sharedDType(0, 2), shapeOfFirst),
  entry('InstanceNormalization', sharedDType(0, 2), shapeOfFirst),
  ...entries(['BatchNormalization', 'LayerNormalization', 'RMSNormalization'], agreedDType, shapeOfFirst),

  ...entries(['Add', 'Div', 'Max', 'Mean', 'Min', 'Mul', 'Sub', 'Sum'], sharedDType(), broadcastAll),
  ...entries(
    ['And', 'Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual', 'Or'],
    () => 'bool',
    broadcastAll,
  ),
  entry('Pow', dtypeOf(0), broadcastAll),
  entry('Where', sharedDType(1), broadcastAll),

  entry('Conv', sharedDType(0, 2), convolved(1)),
  entry('ConvInteger', () => 'int32', convolved(1)),
  entry('ConvTranspose', sharedDType(0, 2), transposedConvolved),
  entry('QLinearConv', dtypeOf(7), convolved(3)),
  ...entries(['AveragePool', 'LpPool', 'MaxPool'], dtypeOf(0), pooled),
  ...entries(['GlobalAveragePool', 'GlobalMaxPool'], dtypeOf(0), fromFirst(globalPool)),

  entry('Gemm', sharedDType(0, 2), ({ inputs: [a, b], number }) =>
    gemm(a?.shape, b?.shape, { transA: Boolean(number('transA')), transB: Boolean(number('transB')) }),
  ),
  entry(
    'MatMul',
    sharedDType(0, 2),
    fromBoth((a, b) => (a.length && b.length ? matMul(a, b) : undefined)),
  ),

  entry(
    'Gather',
    dtypeOf(0),
    fromBoth((x, indices, { number }) => gather(x, indices, number('axis') ?? 0)),
  ),
  ...entries(['ReduceL2', 'ReduceMax', 'ReduceMean', 'ReduceMin', 'ReduceSum'], dtypeOf(0), reduced),
  entry('Shape', () => 'int64', lengthOfShape),
  entry(
    'Transpose',
    dtypeOf(0),
    fromFirst((x, { numbers }) => transpose(x, numbers('perm'))),
  ),
  entry(
    'Unsqueeze',
    dtypeOf(0),
    fromFirst((x, { sizes }) => {
      const axes = sizes(1);
      return axes && isStatic(axes) ? unsqueeze(x, axes) : undefined;
    }),
  ),

  entry(
    'DepthToSpace',
    dtypeOf(0),
    fromFirst((x, { number }) => depthToSpace(x, number('blocksize') ?? 0)),
  ),
  entry('Expand', dtypeOf(0), ({ inputs, sizes }) => broadcast(inputs[0]?.shape, sizes(1))),
  entry(
    'Flatten',
    dtypeOf(0),
    fromFirst((x, { number }) => flatten(x, number('axis') ?? 1)),
  ),
  entry('Reshape', dtypeOf(0), ({ inputs, sizes, number }) => {
    const target = sizes(1);
    return target && reshape(inputs[0]?.shape, target, number('allowzero') === 1);
  }),
  entry(
    'SpaceToDepth',
    dtypeOf(0),
    fromFirst((x, { number }) => spaceToDepth(x, number('blocksize') ?? 0)),
  ),

  entry('Concat', sharedDType(), ({ inputs, number }) =>
    concat(
      inputs.map(({ shape }) => shape),
      number('axis') ?? 0,
    ),
  ),
  entry(
    'Slice',
    dtypeOf(0),
    fromFirst((x, { has, sizes }) => {
      const [axes, steps] = [3, 4].map((index) => (has(index) ? (sizes(index) ?? [UNKNOWN_DIM]) : undefined));
      return slice(x, { starts: sizes(1), ends: sizes(2), axes, steps });
    }),
  ),
  entry('Split', dtypeOf(0), parts),

  entry(
    'Pad',
    dtypeOf(0),
    fromFirst((x, { has, sizes }) => pad(x, sizes(1), has(3) ? (sizes(3) ?? [UNKNOWN_DIM]) : undefined)),
  ),
  entry('Resize', dtypeOf(0), resized),
  entry(
    'Tile',
    dtypeOf(0),
    fromFirst((x, { sizes }) => tile(x, sizes(1))),
  ),
]);
