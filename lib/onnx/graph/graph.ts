/**
 * The graph of a model, decoded once: a list of fields, each with its bytes and what passes ask of it. Bodies of If,
 * Loop and Scan lie in the attributes of nodes; of those, and of local functions, only `InnerFacts` are kept.
 */
import { ModelError } from '../../errors.js';
import { dtypeFromOnnx } from '../../graph/types.js';
import type { Budget } from '../../limits.js';
import { bytesPerElement, elementCount } from '../../tensor.js';
import { delimited, joinChunks } from '../protobuf/chunks.js';
import { isBody, type ModelNode, readNode, takePart } from './node.js';
import { ATTRIBUTE, FUNCTION, GRAPH, SPARSE_TENSOR } from '../protobuf/schema.js';
import { sortNodes } from './sort.js';
import {
  checkTensor,
  isShape,
  notAShape,
  readDims,
  readTensorHeader,
  type TensorHeader,
} from '../protobuf/tensors.js';
import { type DeclaredValue, readValueInfo } from './value-info.js';
import { UNBOUNDED, WireReader, withContext } from '../protobuf/wire.js';

/** What a field of a graph holds. At most one of `node`, `tensor` and `value` is there, by the tag. */
interface FieldContent {
  readonly node?: ModelNode;
  /** An initializer, without its data. */
  readonly tensor?: TensorHeader;
  /** A declared input, output or intermediate value. */
  readonly value?: DeclaredValue;
  /** What the bodies and sparse tensors within the field hold; `undefined` if the field has neither. */
  readonly inner?: InnerFacts | undefined;
}

/** One field of a graph. */
export class GraphField {
  readonly tag: number;
  readonly node: ModelNode | undefined;
  readonly tensor: TensorHeader | undefined;
  readonly value: DeclaredValue | undefined;
  readonly inner: InnerFacts | undefined;
  readonly #graph: WireReader;
  readonly #start: number;
  readonly #end: number;

  /** @param graph Stands on the field. A view of each field would take more memory than a small field. */
  constructor(graph: WireReader, { node, tensor, value, inner }: FieldContent) {
    this.#graph = graph;
    this.tag = graph.tag;
    this.#start = graph.fieldStart;
    this.#end = graph.position;
    this.node = node;
    this.tensor = tensor;
    this.value = value;
    this.inner = inner;
  }

  /** A view of the whole field, with its tag and length. */
  get bytes(): Uint8Array {
    return this.#graph.between(this.#start, this.#end);
  }
}

/** What lies within nodes (bodies), sparse tensors and local functions. */
export interface InnerFacts {
  /** Names of values and nodes. */
  readonly names: Set<string>;
  /** The operators of nodes in bodies and functions. */
  readonly opTypes: Set<string>;
  /** The values that bodies read from outside of them. */
  readonly reads: Set<string>;
}

export const noFacts = (): InnerFacts => ({
  names: new Set(),
  opTypes: new Set(),
  reads: new Set(),
});

/**
 * Reads and checks the graph and the local functions of one model, and counts their entries. All nodes, initializers and
 * declared types are read, also in bodies, so that damage is reported when a model is decoded and not halfway through a
 * pass.
 * @throws ModelError.
 */
export class GraphDecoder {
  /** Reads the fields of a graph. */
  readFields(graph: WireReader): GraphField[] {
    const fields: GraphField[] = [];
    while (graph.next()) fields.push(this.#readField(graph));
    return fields;
  }

  /** Adds what a local function holds to `facts`. Its names are its own and are left out. */
  readFunction(body: WireReader, facts: InnerFacts): void {
    const within = { ...noFacts(), opTypes: facts.opTypes };
    while (body.next()) {
      if (body.tag === FUNCTION.node) this.#readInnerNode(body, within);
      if (body.tag === FUNCTION.attributeProto) this.#readAttribute(body, within);
    }
  }

  /** Reads the node in a field, and what its bodies hold. */
  readNode(field: WireReader): { readonly node: ModelNode; readonly inner: InnerFacts | undefined } {
    let inner: InnerFacts | undefined;
    const node = readNode(field, (attribute) => {
      inner = this.#readAttribute(attribute, inner);
    });
    return { node, inner };
  }

  #readField(field: WireReader): GraphField {
    return new GraphField(field, this.#readContent(field));
  }

  #readContent(field: WireReader): FieldContent {
    const { tag } = field;
    if (tag === GRAPH.node) return this.readNode(field);
    takePart(field, DECLARING.has(tag) ? 'value' : isTensor(tag) ? 'tensor' : 'other');
    if (tag === GRAPH.initializer) return { tensor: checkTensor(field) };
    if (DECLARING.has(tag)) return { value: readValueInfo(field) };
    if (tag !== GRAPH.sparseInitializer) return {};
    const inner = noFacts();
    readSparse(field, inner);
    return { inner };
  }

  /** Adds to `facts` what the bodies and sparse tensors in an attribute hold, and makes them if they are `undefined`. */
  #readAttribute(field: WireReader, facts: InnerFacts | undefined): InnerFacts | undefined {
    const attribute = field.enter();
    let found = facts;
    while (attribute.next()) {
      const { tag } = attribute;
      if (isBody(tag)) this.#readBody(attribute.enter(), (found ??= noFacts()));
      else if (tag === ATTRIBUTE.sparseTensor || tag === ATTRIBUTE.sparseTensors)
        readSparse(attribute, (found ??= noFacts()));
    }
    return found;
  }

  #readBody(graph: WireReader, facts: InnerFacts): void {
    const body = { ...facts, reads: new Set<string>() };
    /** The body's own values. Their names may be those of outer values too. */
    const own = new Set<string>();
    while (graph.next()) {
      const { tag } = graph;
      if (tag === GRAPH.node) for (const name of this.#readInnerNode(graph, body).outputs) own.add(name);
      else if (tag === GRAPH.sparseInitializer) own.add(readSparse(graph, body));
      else if (tag === GRAPH.initializer) {
        takePart(graph, 'tensor');
        const tensor = checkTensor(graph);
        body.names.add(tensor.name);
        own.add(tensor.name);
      } else if (DECLARING.has(tag)) {
        takePart(graph, 'value');
        const { name } = readValueInfo(graph);
        body.names.add(name);
        if (tag === GRAPH.input) own.add(name);
        if (tag === GRAPH.output) body.reads.add(name);
      }
    }
    for (const name of body.reads) if (!own.has(name)) facts.reads.add(name);
  }

  #readInnerNode(field: WireReader, facts: InnerFacts): ModelNode {
    const node = readNode(field, (attribute) => void this.#readAttribute(attribute, facts));
    facts.opTypes.add(node.opType);
    for (const name of namesOfNode(node)) if (name) facts.names.add(name);
    for (const name of node.inputs) if (name) facts.reads.add(name);
    return node;
  }
}

const isTensor = (tag: number): boolean => tag === GRAPH.initializer || tag === GRAPH.sparseInitializer;

/** The lists of declared values. */
const DECLARING: ReadonlySet<number> = new Set([GRAPH.input, GRAPH.output, GRAPH.valueInfo]);

/**
 * Returns the name of a sparse tensor, which is that of its values. ONNX Runtime makes the tensor dense when it reads it, so
 * that one element may take any amount of memory.
 */
function readSparse(field: WireReader, facts: InnerFacts): string {
  let name = '';
  let width = 1;
  const dims: number[] = [];
  const sparse = field.enter();
  while (sparse.next()) {
    if (sparse.tag === SPARSE_TENSOR.dims || sparse.tag === SPARSE_TENSOR.packedDims) readDims(sparse, dims);
    if (sparse.tag !== SPARSE_TENSOR.values) continue;
    const values = readTensorHeader(sparse);
    const dtype = dtypeFromOnnx(values.dataType);
    width = dtype ? bytesPerElement(dtype) : WIDEST;
    name = values.name;
    facts.names.add(name);
  }
  if (!isShape(dims)) throw new ModelError('TENSOR_INVALID', `sparse tensor '${name}': ${notAShape(dims)}`);
  sparse.take('modelSparseBytes', elementCount(dims) * width, 'bytes in sparse tensors, when they are dense');
  return name;
}

/** An element of a dtype that this library does not hold takes no more than a complex number of 128 bits. */
const WIDEST = 16;

const namesOfNode = ({ name, outputs }: ModelNode): string[] => [name, ...outputs];

/** Returns the names of values and nodes that fields take, also in bodies: new names must differ from them. */
export function takenNames(
  fields: Iterable<Partial<Pick<GraphField, 'node' | 'tensor' | 'value' | 'inner'>>>,
): Set<string> {
  const names = new Set<string>();
  for (const { node, tensor, value, inner } of fields) {
    const own = node ? namesOfNode(node) : [(tensor ?? value)?.name];
    for (const name of own) if (name) names.add(name);
    for (const name of inner?.names ?? []) names.add(name);
  }
  return names;
}

/** Returns a reader that stands on a field. */
export function readerOf({ bytes }: GraphField): WireReader {
  const reader = WireReader.of(bytes, UNBOUNDED);
  reader.next();
  return reader;
}

const isNodeField = (field: GraphField): field is GraphField & { readonly node: ModelNode } =>
  field.node !== undefined;

/** The fields of a graph, which edits replace. Only replacements are decoded again. */
export class GraphFields implements Iterable<GraphField> {
  #fields: readonly GraphField[];
  /** What the model may take. Replacements take their part of it. */
  readonly budget: Budget;

  /** @param where What messages call the model. */
  constructor(
    graph: WireReader,
    private readonly where: string,
  ) {
    this.#fields = new GraphDecoder().readFields(graph);
    this.budget = graph.budget;
  }

  [Symbol.iterator](): Iterator<GraphField> {
    return this.#fields[Symbol.iterator]();
  }

  /** The graph's bytes, in order. */
  get chunks(): Uint8Array[] {
    return this.#fields.map(({ bytes }) => bytes);
  }

  /** Replaces fields: `replace` returns the whole fields that take one's place, or `undefined` to keep it. */
  splice(replace: (field: GraphField) => Uint8Array[] | undefined): void {
    const fields: GraphField[] = [];
    for (const field of this.#fields) {
      const replacement = replace(field);
      if (!replacement) fields.push(field);
      else for (const added of this.#fieldsIn(replacement)) fields.push(added);
    }
    this.#fields = fields;
  }

  /**
   * Puts the nodes into an order in which they can run. The other fields keep their places.
   * @throws ModelError `MODEL_INVALID` if nodes form a cycle.
   */
  sortNodes(where: string): void {
    const nodes = this.#fields.filter(isNodeField);
    const sorted = sortNodes(nodes, where).values();
    this.#fields = this.#fields.map((field) => (isNodeField(field) ? sorted.next().value! : field));
  }

  /** Puts messages before all fields, in this order. */
  prepend(tag: number, messages: readonly Uint8Array[]): void {
    this.#fields = [...this.#fieldsOf(tag, messages), ...this.#fields];
  }

  /** Puts messages after all fields, in this order. */
  append(tag: number, messages: readonly Uint8Array[]): void {
    this.#fields = [...this.#fields, ...this.#fieldsOf(tag, messages)];
  }

  #fieldsOf(tag: number, messages: readonly Uint8Array[]): GraphField[] {
    return this.#fieldsIn(messages.flatMap((message) => delimited(tag, [message])));
  }

  #fieldsIn(chunks: readonly Uint8Array[]): GraphField[] {
    return withContext(this.where, () =>
      new GraphDecoder().readFields(WireReader.of(joinChunks(chunks), this.budget)),
    );
  }
}
