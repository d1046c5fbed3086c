/** What the names in a graph mean: who makes and who reads each value, and what the graph declares for it. */
import { dtypeFromOnnx } from '../../graph/types.js';
import { type DType, elementCount, type Shape, type TensorData } from '../../tensor.js';
import type { GraphField } from './graph.js';
import type { ModelNode } from './node.js';
import { GRAPH } from '../protobuf/schema.js';
import { readTensorData, type TensorHeader } from '../protobuf/tensors.js';
import type { DeclaredValue, TensorType } from './value-info.js';

/** The lists that declare values. The first list that has a name decides. */
const PRECEDENCE = [GRAPH.valueInfo, GRAPH.output, GRAPH.input];

/** An input that has an initializer: the value that it has if the caller of the model gives none. */
export interface OptionalInput {
  readonly name: string;
  /** `undefined` if it is not a dtype of this library. */
  readonly dtype: DType | undefined;
  /** `undefined` if it may be of any rank. */
  readonly shape: Shape | undefined;
}

/** What an index asks of a field of a graph. */
export type IndexedField = Pick<GraphField, 'tag'> &
  Partial<Pick<GraphField, 'node' | 'tensor' | 'value' | 'inner'>>;

/** An index over the fields of a graph, made in one pass. If a list has a name twice, the last one holds, as at run time. */
export class GraphIndex {
  readonly nodes: readonly ModelNode[];
  /** The declared inputs and outputs, in their order. */
  readonly boundary: readonly DeclaredValue[];
  /** The declared inputs, initializers among them. */
  readonly declaredInputs: ReadonlySet<string>;
  /** Inputs that are not initializers. */
  readonly inputNames: readonly string[];
  /** Inputs that are initializers, if callers may override these. */
  readonly optionalInputs: readonly OptionalInput[];
  readonly outputNames: readonly string[];
  /** The operators in the bodies of control flow. */
  readonly opTypesInBodies: ReadonlySet<string>;
  readonly #initializers = new Map<string, TensorHeader>();
  readonly #types = new Map<number, Map<string, TensorType>>(PRECEDENCE.map((tag) => [tag, new Map()]));
  readonly #outputs: ReadonlySet<string>;
  readonly #readsInBodies = new Map<ModelNode, ReadonlySet<string>>();
  readonly #overridable: ReadonlySet<string>;
  readonly #sparse = new Set<string>();
  /** The constants that were read: many nodes may read one constant. */
  readonly #constants = new Map<string, TensorData | undefined>();
  #uses: Uses | undefined;

  /** @param canOverride Whether an initializer that is an input too is a default value, and not a constant. */
  constructor(fields: Iterable<IndexedField>, canOverride = true) {
    const nodes: ModelNode[] = [];
    const boundary: DeclaredValue[] = [];
    const [inputs, outputs]: [string[], string[]] = [[], []];
    const opTypes = new Set<string>();
    for (const { tag, node, tensor, value, inner } of fields) {
      if (node) nodes.push(node);
      if (node && inner) this.#readsInBodies.set(node, inner.reads);
      if (tensor) this.#initializers.set(tensor.name, tensor);
      if (value?.type) this.#types.get(tag)!.set(value.name, value.type);
      if (value && tag !== GRAPH.valueInfo) {
        boundary.push(value);
        (tag === GRAPH.input ? inputs : outputs).push(value.name);
      }
      for (const opType of inner?.opTypes ?? []) opTypes.add(opType);
      if (tag === GRAPH.sparseInitializer) for (const name of inner?.names ?? []) this.#sparse.add(name);
    }
    this.nodes = nodes;
    this.boundary = boundary;
    this.declaredInputs = new Set(inputs);
    this.inputNames = inputs.filter((name) => !this.#initializers.has(name));
    const optional = canOverride ? inputs.filter((name) => this.#initializers.has(name)) : [];
    this.#overridable = new Set(optional);
    this.optionalInputs = optional.map((name) => ({
      name,
      dtype: dtypeFromOnnx(this.#initializers.get(name)!.dataType),
      shape: this.typeIn(GRAPH.input, name)?.shape,
    }));
    this.outputNames = outputs;
    this.opTypesInBodies = opTypes;
    this.#outputs = new Set(outputs);
  }

  /** Returns what one list declares, by its tag in GRAPH: inputs, outputs or intermediate values. */
  typeIn(list: number, name: string): TensorType | undefined {
    return this.#types.get(list)!.get(name);
  }

  /** Returns the declared type of a value, or that of the initializer with its name. */
  typeOf(name: string): TensorType | undefined {
    const list = PRECEDENCE.find((tag) => this.#types.get(tag)!.has(name));
    return list === undefined ? this.#typeOfInitializer(name) : this.typeIn(list, name);
  }

  /** Returns the data of an initializer, or `undefined` if the model does not hold it, or a caller may override it. */
  constant(name: string): TensorData | undefined {
    if (this.#constants.has(name)) return this.#constants.get(name);
    const initializer = this.#constantInitializer(name);
    const data = initializer && readTensorData(initializer);
    if (initializer) this.#constants.set(name, data);
    return data;
  }

  /**
   * Returns the nodes that read a value, each once, by an input or in the body of an If, Loop or Scan; an empty list if the
   * value is an output of the graph.
   */
  onlyReaders(name: string): readonly ModelNode[] {
    return this.#outputs.has(name) ? [] : (this.#usesOnce.readers.get(name) ?? []);
  }

  /** Returns the node that reads a value, as {@link onlyReaders}, if no other node does. */
  onlyReader(name: string): ModelNode | undefined {
    const readers = this.onlyReaders(name);
    return readers.length === 1 ? readers[0] : undefined;
  }

  /** Returns whether a value is an initializer, whose data may lie in a file. */
  hasInitializer(name: string): boolean {
    return this.#initializers.has(name);
  }

  /** Returns the number of elements of all initializers. */
  countParameters(): number {
    return [...this.#initializers.values()].reduce((sum, { dims }) => sum + elementCount(dims), 0);
  }

  /** Returns whether a node of the graph, or the caller of the model, reads a value. */
  isRead(name: string): boolean {
    return this.#outputs.has(name) || this.#usesOnce.readers.has(name);
  }

  /** Yields the values that a node reads: its inputs, and what its bodies read from outside of them. */
  *readsOf(node: ModelNode): Generator<string, void> {
    yield* node.inputs;
    yield* this.#readsInBodies.get(node) ?? [];
  }

  /** Returns whether a value of this name is the graph's own, and not of a graph around it. */
  defines(name: string): boolean {
    return (
      this.declaredInputs.has(name) ||
      this.#initializers.has(name) ||
      this.#sparse.has(name) ||
      this.#usesOnce.producers.has(name)
    );
  }

  /** Returns the node that a value comes from, or `undefined` for inputs and initializers. */
  producer(name: string): ModelNode | undefined {
    return this.#usesOnce.producers.get(name);
  }

  get #usesOnce(): Uses {
    return (this.#uses ??= usesOf(this.nodes, (node) => this.readsOf(node)));
  }

  #constantInitializer(name: string): TensorHeader | undefined {
    return this.#overridable.has(name) ? undefined : this.#initializers.get(name);
  }

  #typeOfInitializer(name: string): TensorType | undefined {
    const initializer = this.#constantInitializer(name);
    const dtype = initializer && dtypeFromOnnx(initializer.dataType);
    return dtype && { dtype, shape: initializer.dims };
  }
}

interface Uses {
  readonly readers: ReadonlyMap<string, readonly ModelNode[]>;
  readonly producers: ReadonlyMap<string, ModelNode>;
}

function usesOf(nodes: readonly ModelNode[], readsOf: (node: ModelNode) => Iterable<string>): Uses {
  const readers = new Map<string, ModelNode[]>();
  const producers = new Map<string, ModelNode>();
  for (const node of nodes) {
    for (const name of readsOf(node)) {
      const list = readers.get(name);
      if (!list) readers.set(name, [node]);
      // A node may read a value more than once.
      else if (list.at(-1) !== node) list.push(node);
    }
    for (const name of node.outputs) producers.set(name, node);
  }
  return { readers, producers };
}
