/** What is known of the values of a model: what it declares, and what follows from that. */
import { FUSED_DOMAIN } from '../lowering/index.js';
import { UNKNOWN_DIM, type Model, type ModelNode } from '../onnx/index.js';
import { int64Vector, tensor, type Shape, type TensorData } from '../tensor.js';
import { inferType } from './infer-type.js';
import type { KnownValues, ValueType } from './type-rule.js';

const UNKNOWN: ValueType = { dtype: undefined, shape: undefined };

/**
 * Exporters leave much out: TorchScript's declares nothing but inputs and outputs. One pass over the nodes, which are
 * in an order in which they can run, tells the rest.
 */
export class ValueTypes implements KnownValues {
  readonly #inferred = new Map<string, ValueType>();
  readonly #constants = new Map<string, TensorData>();
  /** Values that hold the shape of another one. */
  readonly #shapesOf = new Map<string, string>();

  constructor(readonly model: Model) {
    for (const node of model.nodes) if (!model.isFunctionCall(node)) this.#read(node);
  }

  /** What the model declares has the first word. */
  typeOf(name: string | undefined): ValueType {
    if (!name) return UNKNOWN;
    return this.model.typeOf(name) ?? this.#inferred.get(name) ?? UNKNOWN;
  }

  /** The data of an initializer or of what a Constant gives, if the model holds it. */
  constant(name: string | undefined): TensorData | undefined {
    return name ? (this.#constants.get(name) ?? this.model.constant(name)) : undefined;
  }

  /** The value whose shape a value holds, as Shape gives it. */
  shapeIsOf(name: string | undefined): string | undefined {
    return name ? this.#shapesOf.get(name) : undefined;
  }

  sizes(name: string | undefined): Shape | undefined {
    const constant = this.constant(name);
    if (constant) return Array.from(constant.data as ArrayLike<number | bigint>, Number);
    const source = this.shapeIsOf(name);
    if (source !== undefined) return this.typeOf(source).shape;
    const [length, ...others] = this.typeOf(name).shape ?? [];
    return typeof length === 'number' && others.length === 0 && length <= MAX_RANK
      ? Array<string>(length).fill(UNKNOWN_DIM)
      : undefined;
  }

  #read(node: ModelNode): void {
    const [output] = node.outputs;
    if (!output || (node.domain !== '' && node.domain !== FUSED_DOMAIN)) return;
    const constant = node.opType === 'Constant' ? constantOf(node) : undefined;
    if (constant) this.#constants.set(output, constant);
    if (isWholeShape(node)) this.#shapesOf.set(output, node.inputs[0]!);
    const type = constant ? { dtype: constant.dtype, shape: constant.dims } : inferType(node, this);
    if (!type) return;
    for (const name of node.opType === 'Split' ? node.outputs : [output]) this.#inferred.set(name, type);
  }
}

/** No tensor in use has more dimensions. */
const MAX_RANK = 64;

const isWholeShape = (node: ModelNode): boolean =>
  node.opType === 'Shape' && !node.number('start') && node.number('end') === undefined;

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
