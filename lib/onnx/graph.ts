/**
 * The graph of a model, decoded once: a list of fields, each with its bytes and what passes ask of it. Bodies of If,
 * Loop and Scan lie in the attributes of nodes; of those, and of local functions, only `InnerFacts` are kept.
 */
import { DEFAULT_LIMITS, type Limits, NO_LIMITS } from '../limits.js';
import { delimited, joinChunks } from './chunks.js';
import { type ModelNode, readNode } from './node.js';
import { ATTRIBUTE, FUNCTION, GRAPH, SPARSE_TENSOR } from './schema.js';
import { sortNodes } from './sort.js';
import { checkTensor, readTensorHeader, type TensorHeader } from './tensors.js';
import { type DeclaredValue, readValueInfo } from './value-info.js';
import { tooLarge, WireReader } from './wire.js';

/** One field of a graph. At most one of `node`, `tensor` and `value` is there, by the tag. */
export interface GraphField {
  readonly tag: number;
  /** The whole field, with its tag and length. */
  readonly bytes: Uint8Array;
  readonly node?: ModelNode;
  /** An initializer, without its data. */
  readonly tensor?: TensorHeader;
  /** A declared input, output or intermediate value. */
  readonly value?: DeclaredValue;
  /** What the bodies within a node hold, and the name of a sparse initializer; `undefined` in other fields. */
  readonly inner: InnerFacts | undefined;
}

/** What lies within nodes (bodies), sparse initializers and local functions. */
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
  #entries = 0;

  constructor(readonly limits: Limits = DEFAULT_LIMITS) {}

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

  #readField(field: WireReader): GraphField {
    this.#count();
    const { tag } = field;
    const bytes = field.between(field.fieldStart, field.position);
    if (tag === GRAPH.node) {
      let inner: InnerFacts | undefined;
      const node = readNode(field, (attribute) => {
        inner = this.#readAttribute(attribute, inner);
      });
      return { tag, bytes, node, inner };
    }
    if (tag === GRAPH.initializer) return { tag, bytes, tensor: checkTensor(field), inner: undefined };
    if (DECLARING.has(tag)) return { tag, bytes, value: readValueInfo(field), inner: undefined };
    if (tag !== GRAPH.sparseInitializer) return { tag, bytes, inner: undefined };
    const inner = noFacts();
    readSparse(field, inner);
    return { tag, bytes, inner };
  }

  /** Adds to `facts` what the bodies in an attribute hold, and makes them if they are `undefined`. */
  #readAttribute(field: WireReader, facts: InnerFacts | undefined): InnerFacts | undefined {
    const attribute = field.enter();
    let found = facts;
    while (attribute.next()) {
      const { tag } = attribute;
      if (tag === ATTRIBUTE.g || tag === ATTRIBUTE.graphs)
        this.#readBody(attribute.enter(), (found ??= noFacts()));
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
        this.#count();
        const tensor = checkTensor(graph);
        body.names.add(tensor.name);
        own.add(tensor.name);
      } else if (DECLARING.has(tag)) {
        this.#count();
        const { name } = readValueInfo(graph);
        body.names.add(name);
        if (tag === GRAPH.input) own.add(name);
        if (tag === GRAPH.output) body.reads.add(name);
      }
    }
    for (const name of body.reads) if (!own.has(name)) facts.reads.add(name);
  }

  #readInnerNode(field: WireReader, facts: InnerFacts): ModelNode {
    this.#count();
    const node = readNode(field, (attribute) => void this.#readAttribute(attribute, facts));
    facts.opTypes.add(node.opType);
    for (const name of namesOfNode(node)) if (name) facts.names.add(name);
    for (const name of node.inputs) if (name) facts.reads.add(name);
    return node;
  }

  #count(): void {
    const { modelEntries } = this.limits;
    if (++this.#entries > modelEntries)
      throw tooLarge(`more than ${modelEntries} nodes, tensors and declared values`, 'modelEntries');
  }
}

/** The lists of declared values. */
const DECLARING: ReadonlySet<number> = new Set([GRAPH.input, GRAPH.output, GRAPH.valueInfo]);

/** Returns the name of a sparse tensor, which is that of its values. */
function readSparse(field: WireReader, facts: InnerFacts): string {
  let name = '';
  const sparse = field.enter();
  while (sparse.next()) {
    if (sparse.tag !== SPARSE_TENSOR.values) continue;
    const values = readTensorHeader(sparse);
    name = values.name;
    facts.names.add(name);
  }
  return name;
}

const namesOfNode = ({ name, outputs }: ModelNode): string[] => [name, ...outputs];

/** Returns the names of values and nodes that fields take, also in bodies: new names must differ from them. */
export function takenNames(fields: Iterable<GraphField>): Set<string> {
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
  const reader = WireReader.of(bytes, NO_LIMITS);
  reader.next();
  return reader;
}

const isNodeField = (field: GraphField): field is GraphField & { readonly node: ModelNode } =>
  field.node !== undefined;

/** The fields of a graph, which edits replace. Only replacements are decoded again. */
export class GraphFields implements Iterable<GraphField> {
  #fields: readonly GraphField[];

  constructor(graph: WireReader, decoder = new GraphDecoder()) {
    this.#fields = decoder.readFields(graph);
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
      if (replacement) fields.push(...fieldsIn(replacement));
      else fields.push(field);
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
    this.#fields = [...fieldsOf(tag, messages), ...this.#fields];
  }

  /** Puts messages after all fields, in this order. */
  append(tag: number, messages: readonly Uint8Array[]): void {
    this.#fields = [...this.#fields, ...fieldsOf(tag, messages)];
  }
}

const fieldsIn = (chunks: readonly Uint8Array[]): GraphField[] =>
  new GraphDecoder(NO_LIMITS).readFields(WireReader.of(joinChunks(chunks), NO_LIMITS));

const fieldsOf = (tag: number, messages: readonly Uint8Array[]): GraphField[] =>
  fieldsIn(messages.flatMap((message) => delimited(tag, [message])));
