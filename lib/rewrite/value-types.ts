/**
 * What is known of the values of a model: what it declares, and what follows from its nodes by the shape functions of
 * `lib/shapes`.
 */
import { dtypeFromOnnx } from '../graph/types.js';
import { CONTRIB_DOMAIN, CONTRIB_OP, CONTRIB_SKIP_OP, FUSED_DOMAIN } from '../lowering/types.js';
import type { Model } from '../onnx/model.js';
import type { ModelNode } from '../onnx/node.js';
import { inferType, type KnownNode, type ValueType } from '../shapes/operators.js';
import { shapePart } from '../shapes/reshaping.js';
import { type Dim, int64Vector, type Shape, tensor, type TensorData, UNKNOWN_DIM } from '../tensor.js';

const UNKNOWN: ValueType = { dtype: undefined, shape: undefined };

/** What follows from the nodes, by the name of the value. */
interface Inferred {
  readonly types: Map<string, ValueType>;
  /** The results of Constant nodes. */
  readonly constants: Map<string, TensorData>;
  /** For a value that holds the whole shape of another value: the name of the other. */
  readonly shapesOf: Map<string, string>;
  /** The elements of vectors that are made from parts of shapes. */
  readonly vectors: Map<string, Shape>;
  /** Values whose sizes may depend on optional inputs. The model declares the sizes that the default values give. */
  readonly variable: Set<string>;
}

/**
 * Knows dtypes, shapes and constants of a model's values. Exporters leave much out (TorchScript's declares only inputs and
 * outputs), so the first question walks the nodes once, in an order in which they can run, and infers the rest. The
 * answers stay true while passes replace nodes.
 */
export class ValueTypes {
  #inferred: Inferred | undefined;

  constructor(readonly model: Model) {}

  /** Returns what the model declares, except sizes that contradict the inferred ones, or else what is inferred. */
  typeOf(name: string | undefined): ValueType {
    if (!name) return UNKNOWN;
    const { types, variable } = this.#known();
    const inferred = types.get(name);
    const declared = variable.has(name) ? undefined : this.model.typeOf(name);
    return declared ? withoutContradictions(declared, inferred?.shape) : (inferred ?? UNKNOWN);
  }

  /** Returns the data of an initializer or of a Constant's result, if the model holds it. */
  constant(name: string | undefined): TensorData | undefined {
    return name ? (this.#known().constants.get(name) ?? this.model.constant(name)) : undefined;
  }

  /** Returns the name of the value whose whole shape this value holds. */
  shapeIsOf(name: string | undefined): string | undefined {
    return name ? this.#known().shapesOf.get(name) : undefined;
  }

  /** Returns the elements of a vector of sizes, as far as they are known; `undefined` if even their number is not. */
  sizes(name: string | undefined): Shape | undefined {
    const constant = this.constant(name);
    if (constant) return Array.from(constant.data as ArrayLike<number | bigint>, Number);
    const source = this.shapeIsOf(name);
    if (source !== undefined) return this.typeOf(source).shape;
    const vector = name && this.#known().vectors.get(name);
    if (vector) return vector;
    const [length, ...others] = this.typeOf(name).shape ?? [];
    return typeof length === 'number' && others.length === 0 && length <= MAX_RANK
      ? Array<string>(length).fill(UNKNOWN_DIM)
      : undefined;
  }

  #known(): Inferred {
    if (this.#inferred) return this.#inferred;
    const variable = new Set<string>();
    this.#inferred = {
      types: new Map(),
      constants: new Map(),
      shapesOf: new Map(),
      vectors: new Map(),
      variable,
    };
    const integers = this.model.optionalInputs.filter(({ dtype }) => dtype === 'int64');
    const sizes = new Set(integers.map(({ name }) => name));
    const isVariable = (name: string) => variable.has(name) || sizes.has(name);
    for (const node of this.model.nodes) {
      if (node.inputs.some(isVariable)) for (const name of node.outputs) variable.add(name);
      if (!this.model.isFunctionCall(node)) this.#read(node, this.#inferred);
    }
    return this.#inferred;
  }

  /**
   * Returns the name of the value whose whole shape a Gather takes: the result of a Transpose, by its perm. ONNX Runtime
   * writes Gather(Shape(x), perm) for Shape(Transpose(x, perm)).
   */
  #transposedOf(node: ModelNode, shapesOf: ReadonlyMap<string, string>): string | undefined {
    const source = node.opType === 'Gather' ? shapesOf.get(node.inputs[0]!) : undefined;
    if (source === undefined) return undefined;
    const order = this.constant(node.inputs[1])?.data.join();
    const readers = this.model.index.onlyReaders(source);
    const isSame = (reader: ModelNode) =>
      reader.opType === 'Transpose' && reader.numbers('perm')?.join() === order;
    return readers.find((reader) => reader.domain === '' && isSame(reader))?.outputs[0];
  }

  #read(node: ModelNode, { types, constants, shapesOf, vectors }: Inferred): void {
    const [output] = node.outputs;
    if (!output || !isKnownOperator(node)) return;
    const constant = node.opType === 'Constant' ? constantOf(node) : undefined;
    if (constant) constants.set(output, constant);
    if (isWholeShape(node)) shapesOf.set(output, node.inputs[0]!);
    const transposed = this.#transposedOf(node, shapesOf);
    if (transposed !== undefined) shapesOf.set(output, transposed);
    const vector = vectorOf(node, this);
    if (vector) vectors.set(output, vector);
    const type = constant
      ? { dtype: constant.dtype, shape: constant.dims }
      : inferType(asKnownNode(node, this));
    if (!type) return;
    const outputs = ['Split', CONTRIB_SKIP_OP].includes(node.opType) ? node.outputs : [output];
    for (const name of outputs) if (name) types.set(name, type);
  }
}

/** The operators of ONNX Runtime's domain that the table of shape functions has. */
const CONTRIB_OPERATORS: readonly string[] = [
  CONTRIB_OP,
  CONTRIB_SKIP_OP,
  'BiasAdd',
  'NhwcConv',
  'QuickGelu',
];

const isKnownOperator = ({ domain, opType }: ModelNode): boolean =>
  domain === '' ||
  domain === FUSED_DOMAIN ||
  (domain === CONTRIB_DOMAIN && CONTRIB_OPERATORS.includes(opType));

/** Returns the node as the table of shape functions reads it. */
const asKnownNode = (node: ModelNode, types: ValueTypes): KnownNode => ({
  opType: node.opType,
  inputs: node.inputs.map((name) => types.typeOf(name)),
  outputCount: node.outputs.length,
  has: (index) => Boolean(node.inputs[index]),
  sizes: (index) => types.sizes(node.inputs[index]),
  number: (attribute) => node.number(attribute),
  numbers: (attribute) => node.numbers(attribute),
  text: (attribute) => node.text(attribute),
  dtype: (attribute) => dtypeFromOnnx(node.number(attribute) ?? 0),
});

/**
 * Returns the declared type without sizes that the inferred shape contradicts. A model whose inputs got other sizes after
 * its export still declares the old sizes inside; such a dimension is unknown, even where a name is inferred.
 */
function withoutContradictions(declared: ValueType, inferred: Shape | undefined): ValueType {
  const { dtype, shape } = declared;
  if (!shape || shape.length !== inferred?.length) return declared;
  const isContradicted = (dim: Dim, axis: number) =>
    typeof dim === 'number' && inferred[axis] !== UNKNOWN_DIM && inferred[axis] !== dim;
  if (!shape.some(isContradicted)) return declared;
  return { dtype, shape: shape.map((dim, axis) => (isContradicted(dim, axis) ? UNKNOWN_DIM : dim)) };
}

/** The most elements of a vector of sizes; no tensor in use has more dimensions. */
const MAX_RANK = 64;

const isWholeShape = (node: ModelNode): boolean =>
  node.opType === 'Shape' && !node.number('start') && node.number('end') === undefined;

/** Returns the elements of a node's result if they are sizes: a part of a shape, or several such parts joined. */
function vectorOf(node: ModelNode, types: ValueTypes): Shape | undefined {
  if (node.opType === 'Shape') {
    const { shape } = types.typeOf(node.inputs[0]);
    return shape && shapePart(shape, node.number('start'), node.number('end'));
  }
  if (node.opType === 'Slice') return sliceOf(node, types);
  if (node.opType !== 'Concat') return undefined;
  const parts = node.inputs.map((name) => (isShort(types.typeOf(name)) ? types.sizes(name) : undefined));
  return parts.every((part) => part !== undefined) ? parts.flat() : undefined;
}

/** Returns the elements of a slice of a vector of sizes, from one known index to another with step 1. */
function sliceOf(node: ModelNode, types: ValueTypes): Shape | undefined {
  if (!isShort(types.typeOf(node.inputs[0]))) return undefined;
  const [whole, start, end, , step = [1]] = node.inputs.map((name) => types.sizes(name));
  const [from, to] = [start?.[0], end?.[0]];
  if (typeof from !== 'number' || typeof to !== 'number' || step[0] !== 1) return undefined;
  return whole?.slice(from, to);
}

const isShort = ({ shape }: ValueType): boolean =>
  shape?.length === 1 && typeof shape[0] === 'number' && shape[0] <= MAX_RANK;

/** Returns the data of a Constant node, in each of the attributes that may hold it. */
function constantOf(node: ModelNode): TensorData | undefined {
  const held = node.tensor('value');
  if (held) return held;
  const [oneFloat, oneInt] = [node.number('value_float'), node.number('value_int')];
  if (oneFloat !== undefined) return tensor('float32', [], Float32Array.of(oneFloat));
  if (oneInt !== undefined) return tensor('int64', [], BigInt64Array.of(BigInt(oneInt)));
  const [floats, ints] = [node.numbers('value_floats'), node.numbers('value_ints')];
  if (floats) return tensor('float32', [floats.length], Float32Array.from(floats));
  return ints && int64Vector(ints);
}
