/**
 * Dtype and shape of what a node gives, for the operators that networks have around normalizations. Source: ONNX
 * operator pages. What is not here is unknown, which is always right.
 */
import { dtypeFromOnnx, productDim } from '../graph/index.js';
import { UNKNOWN_DIM, type ModelNode } from '../onnx/index.js';
import { elementCount, fromStart, isStatic, type Dim, type DType, type Shape } from '../tensor.js';
import { depthToSpace, pad, resize, slice, spaceToDepth, split, tile } from './cutting-rules.js';
import { input, shaped, type KnownValues, type Rule, type ValueType } from './type-rule.js';
import { convOf, convTranspose, globalPool, pool } from './window-rules.js';

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
