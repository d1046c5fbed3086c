/** The graphs within a graph: bodies of If, Loop and Scan lie in the attributes of nodes. */
import { dtypeFromOnnx } from '../graph/types.js';
import type { DType, TensorData } from '../tensor.js';
import { ATTRIBUTE, FUNCTION, GRAPH, NODE, SPARSE_TENSOR, TENSOR, VALUE_INFO } from './schema.js';
import { type GraphFields, spliceWithin, textField } from './splice.js';
import { heldTensor, readTensor, type TensorHeader } from './tensors.js';
import { readType, type TensorType } from './value-info.js';
import { requireOnce, type WireReader } from './wire.js';

/** Sees a field of a graph, and whether that is the outermost one or one within it. */
export type Visit = (field: WireReader, isNested: boolean) => void;

/** Visits the fields of a graph and of all graphs within it. How deep they go is what the reader allows. */
export function visitGraph(graph: WireReader, visit: Visit, isNested = false): void {
  while (graph.next()) {
    visit(graph, isNested);
    if (graph.tag === GRAPH.node) visitBodies(graph.enter(), visit);
  }
}

/** Visits the nodes of a local function, each as a field, and the graphs within them and within its attributes. */
export function visitFunction(body: WireReader, visitNode: Visit, visit: Visit): void {
  while (body.next()) {
    if (body.tag === FUNCTION.node) {
      visitNode(body, true);
      visitBodies(body.enter(), visit);
    }
    if (body.tag === FUNCTION.attributeProto) visitAttribute(body.enter(), visit);
  }
}

function visitBodies(node: WireReader, visit: Visit): void {
  while (node.next()) {
    if (node.tag === NODE.attribute) visitAttribute(node.enter(), visit);
  }
}

function visitAttribute(attribute: WireReader, visit: Visit): void {
  let graphs = 0;
  while (attribute.next()) {
    const { tag } = attribute;
    if (tag !== ATTRIBUTE.g && tag !== ATTRIBUTE.graphs) continue;
    if (tag === ATTRIBUTE.g && ++graphs > 1) throw requireOnce('an attribute', 'graph');
    visitGraph(attribute.enter(), visit, true);
  }
}

// SECTION: The names in a graph's fields.

const NAME_OF: ReadonlyMap<number, number> = new Map([
  [GRAPH.input, VALUE_INFO.name],
  [GRAPH.output, VALUE_INFO.name],
  [GRAPH.valueInfo, VALUE_INFO.name],
  [GRAPH.initializer, TENSOR.name],
]);

/** The names of the values that a field of a graph brings into being: the outputs of a node, an input, a tensor. */
export function* definedNames(field: WireReader): Generator<string, void> {
  if (field.tag === GRAPH.node) yield* texts(field.enter(), NODE.output);
  else if (field.tag === GRAPH.sparseInitializer) yield* sparseNames(field.enter());
  else if (field.tag === GRAPH.input || field.tag === GRAPH.initializer) yield nameIn(field);
}

/** All names in a field of a graph, of values and of nodes: those that a new one must differ from. */
export function* takenNames(field: WireReader): Generator<string, void> {
  if (field.tag === GRAPH.node) yield* texts(field.enter(), NODE.name, NODE.output);
  else if (field.tag === GRAPH.valueInfo || field.tag === GRAPH.output) yield nameIn(field);
  else yield* definedNames(field);
}

/** The name of the value or tensor that a field of a graph declares. */
export function nameIn(field: WireReader): string {
  const tag = NAME_OF.get(field.tag)!;
  let name = '';
  for (const text of texts(field.enter(), tag)) name = text;
  return name;
}

function* texts(message: WireReader, ...tags: readonly number[]): Generator<string, void> {
  while (message.next()) {
    if (tags.includes(message.tag)) yield message.text();
  }
}

function* sparseNames(sparse: WireReader): Generator<string, void> {
  while (sparse.next()) {
    if (sparse.tag === SPARSE_TENSOR.values) yield* texts(sparse.enter(), TENSOR.name);
  }
}

// SECTION: New names for values, in nodes and in the bodies that refer to values outside of them.

/** The new name of a value, or the one that it has. */
export type Rename = (name: string) => string;

/** Renames what the node in a field takes and gives, and what its bodies take from outside. */
export const renameInNode = (field: WireReader, rename: Rename): Uint8Array[] | undefined =>
  spliceWithin(field, (part) => {
    if (part.tag === NODE.input || part.tag === NODE.output) return renamedField(part, rename);
    return part.tag === NODE.attribute ? renameInAttribute(part, rename) : undefined;
  });

/** Renames the tensor in a field, without a copy of its data. */
export const renameTensor = (field: WireReader, rename: Rename): Uint8Array[] | undefined =>
  spliceWithin(field, (part) => (part.tag === TENSOR.name ? renamedField(part, rename) : undefined));

/** Renames the value whose type the field declares. */
export const renameValueInfo = (field: WireReader, rename: Rename): Uint8Array[] | undefined =>
  spliceWithin(field, (part) => (part.tag === VALUE_INFO.name ? renamedField(part, rename) : undefined));

const renameInAttribute = (field: WireReader, rename: Rename): Uint8Array[] | undefined =>
  spliceWithin(field, (part) => {
    const isBody = part.tag === ATTRIBUTE.g || part.tag === ATTRIBUTE.graphs;
    return isBody ? renameInBodyOf(part, rename) : undefined;
  });

const renameInBodyOf = (field: WireReader, rename: Rename): Uint8Array[] | undefined => {
  const renameOuter = exceptOwn(field.enter(), rename);
  return spliceWithin(field, (part) =>
    part.tag === GRAPH.node ? renameInNode(part, renameOuter) : undefined,
  );
};

/** A name that a body gives to a value of its own is that value in it. ONNX forbids that, but not all who write it. */
function exceptOwn(body: WireReader, rename: Rename): Rename {
  const own = new Set<string>();
  while (body.next()) {
    for (const name of definedNames(body)) if (rename(name) !== name) own.add(name);
  }
  return own.size === 0 ? rename : (name) => (own.has(name) ? name : rename(name));
}

function renamedField(field: WireReader, rename: Rename): Uint8Array[] | undefined {
  const name = field.text();
  const renamed = rename(name);
  return renamed === name ? undefined : textField(field.tag, renamed);
}

// SECTION: The files that a model's tensors lie in, where it does not hold their data itself.

/** Those of the tensors in a field of a graph: weights, sparse ones too, and what the attributes of a node hold. */
export function* locationsIn(field: WireReader): Generator<string, void> {
  if (field.tag === GRAPH.initializer) yield* locationOf(field);
  else if (field.tag === GRAPH.sparseInitializer) yield* locationsUnder(field, SPARSE_TENSOR.values);
  else if (field.tag === GRAPH.node) yield* locationsInNode(field);
}

/** Those of the tensors in the attributes of a node, as Constant has one. */
export function* locationsInNode(field: WireReader): Generator<string, void> {
  const node = field.enter();
  while (node.next()) {
    if (node.tag === NODE.attribute) yield* locationsUnder(node, ATTRIBUTE.t);
  }
}

function* locationsUnder(field: WireReader, tensor: number): Generator<string, void> {
  const message = field.enter();
  while (message.next()) {
    if (message.tag === tensor) yield* locationOf(message);
  }
}

function* locationOf(field: WireReader): Generator<string, void> {
  const { location } = readTensor(field);
  if (location !== undefined) yield location;
}

/** Where values are declared, the last word first. */
const DECLARING = [GRAPH.valueInfo, GRAPH.output, GRAPH.input];

/** What a graph says of its values, by name. Where it has said it of one name twice, the last holds, as at run time. */
export class Declarations {
  readonly #initializers = new Map<string, TensorHeader>();
  readonly #types = new Map<number, Map<string, TensorType>>(DECLARING.map((tag) => [tag, new Map()]));

  constructor(graph: GraphFields) {
    graph.each((field) => this.#add(field));
  }

  /** What the list of inputs, outputs or intermediate values (a tag of GRAPH) declares. */
  typeIn(list: number, name: string): TensorType | undefined {
    return this.#types.get(list)!.get(name);
  }

  typeOf(name: string): TensorType | undefined {
    const declaring = DECLARING.find((tag) => this.#types.get(tag)!.has(name));
    return declaring === undefined ? this.#typeOfInitializer(name) : this.typeIn(declaring, name);
  }

  constant(name: string): TensorData | undefined {
    const initializer = this.#initializers.get(name);
    return initializer && heldTensor(initializer);
  }

  setDtype(name: string, dtype: DType): void {
    for (const types of this.#types.values()) {
      const type = types.get(name);
      if (type) types.set(name, { ...type, dtype });
    }
  }

  #typeOfInitializer(name: string): TensorType | undefined {
    const initializer = this.#initializers.get(name);
    const dtype = initializer && dtypeFromOnnx(initializer.dataType);
    return dtype && { dtype, shape: initializer.dims };
  }

  #add(field: WireReader): void {
    if (field.tag === GRAPH.initializer) {
      const tensor = readTensor(field);
      this.#initializers.set(tensor.name, tensor);
    }
    const types = this.#types.get(field.tag);
    const type = types && readType(field);
    if (type) types.set(nameIn(field), type);
  }
}
