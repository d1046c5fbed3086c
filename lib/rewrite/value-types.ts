/** What is known of the values of a model: what it declares, and what follows from that. */
import { FUSED_DOMAIN } from '../lowering/types.js';
import type { Model } from '../onnx/model.js';
import type { ModelNode } from '../onnx/node.js';
import { UNKNOWN_DIM } from '../onnx/value-info.js';
import { type Dim, int64Vector, type Shape, tensor, type TensorData } from '../tensor.js';
import { inferType, type KnownValues, type ValueType } from './shape-rules.js';

const UNKNOWN: ValueType = { dtype: undefined, shape: undefined };

/** What follows from the nodes. */
interface Inferred {
  readonly types: Map<string, ValueType>;
  readonly constants: Map<string, TensorData>;
  /** Values that hold the shape of another one. */
  readonly shapesOf: Map<string, string>;
  /** Vectors that are put together of sizes. */
  readonly vectors: Map<string, Shape>;
}

/**
 * Exporters leave much out: TorchScript's declares nothing but inputs and outputs. One pass over the nodes, which are
 * in an order in which they can run, tells the rest, once somebody asks. It stays true where nodes are replaced.
 */
export class ValueTypes implements KnownValues {
  #inferred: Inferred | undefined;

  constructor(readonly model: Model) {}

  /** What the model declares has the first word, but for sizes that contradict what they come from. */
  typeOf(name: string | undefined): ValueType {
    if (!name) return UNKNOWN;
    const [declared, inferred] = [this.model.typeOf(name), this.#known().types.get(name)];
    return declared ? withoutContradictions(declared, inferred?.shape) : (inferred ?? UNKNOWN);
  }

  /** The data of an initializer or of what a Constant gives, if the model holds it. */
  constant(name: string | undefined): TensorData | undefined {
    return name ? (this.#known().constants.get(name) ?? this.model.constant(name)) : undefined;
  }

  /** The value whose shape a value holds, as Shape gives it. */
  shapeIsOf(name: string | undefined): string | undefined {
    return name ? this.#known().shapesOf.get(name) : undefined;
  }

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
    this.#inferred = { types: new Map(), constants: new Map(), shapesOf: new Map(), vectors: new Map() };
    for (const node of this.model.nodes)
      if (!this.model.isFunctionCall(node)) this.#read(node, this.#inferred);
    return this.#inferred;
  }

  #read(node: ModelNode, { types, constants, shapesOf, vectors }: Inferred): void {
    const [output] = node.outputs;
    if (!output || (node.domain !== '' && node.domain !== FUSED_DOMAIN)) return;
    const constant = node.opType === 'Constant' ? constantOf(node) : undefined;
    if (constant) constants.set(output, constant);
    if (isWholeShape(node)) shapesOf.set(output, node.inputs[0]!);
    const vector = vectorOf(node, this);
    if (vector) vectors.set(output, vector);
    const type = constant ? { dtype: constant.dtype, shape: constant.dims } : inferType(node, this);
    if (!type) return;
    for (const name of node.opType === 'Split' ? node.outputs : [output]) types.set(name, type);
  }
}

/**
 * A model whose inputs were given other sizes after it was exported still declares the old ones within: neither they
 * nor a name, which other sizes may follow, is known then.
 */
function withoutContradictions(declared: ValueType, inferred: Shape | undefined): ValueType {
  const { dtype, shape } = declared;
  if (!shape || shape.length !== inferred?.length) return declared;
  const isContradicted = (dim: Dim, axis: number) =>
    typeof dim === 'number' && inferred[axis] !== UNKNOWN_DIM && inferred[axis] !== dim;
  if (!shape.some(isContradicted)) return declared;
  return { dtype, shape: shape.map((dim, axis) => (isContradicted(dim, axis) ? UNKNOWN_DIM : dim)) };
}

/** No tensor in use has more dimensions. */
const MAX_RANK = 64;

const isWholeShape = (node: ModelNode): boolean =>
  node.opType === 'Shape' && !node.number('start') && node.number('end') === undefined;

/** Of a part of a shape, and of such parts one after the other. */
function vectorOf(node: ModelNode, types: KnownValues): Shape | undefined {
  if (node.opType === 'Shape') {
    return types.typeOf(node.inputs[0]).shape?.slice(node.number('start') ?? 0, node.number('end'));
  }
  if (node.opType === 'Slice') return partOf(node, types);
  if (node.opType !== 'Concat') return undefined;
  const parts = node.inputs.map((name) => (isShort(types.typeOf(name)) ? types.sizes(name) : undefined));
  return parts.every((part) => part !== undefined) ? parts.flat() : undefined;
}

/** Of a vector, from one known index to another. */
function partOf(node: ModelNode, types: KnownValues): Shape | undefined {
  if (!isShort(types.typeOf(node.inputs[0]))) return undefined;
  const [whole, start, end, , step = [1]] = node.inputs.map((name) => types.sizes(name));
  const [from, to] = [start?.[0], end?.[0]];
  if (typeof from !== 'number' || typeof to !== 'number' || step[0] !== 1) return undefined;
  return whole?.slice(from, to);
}

const isShort = ({ shape }: ValueType): boolean =>
  shape?.length === 1 && typeof shape[0] === 'number' && shape[0] <= MAX_RANK;

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
