import { ModelError } from '../errors.js';
import type { Fragment } from '../lowering/lower-site.js';
import type { DType, TensorData } from '../tensor.js';
import { applyCasts, type BoundaryCast } from './boundary-casts.js';
import { checkModel, type ModelFields, operatorId, readModel } from './decode.js';
import {
  Declarations,
  locationsIn,
  locationsInNode,
  nameIn,
  type Rename,
  renameInNode,
  renameTensor,
  renameValueInfo,
  takenNames,
  type Visit,
  visitFunction,
  visitGraph,
} from './graph-walk.js';
import { type ModelNode, readNode } from './node.js';
import { encodeFragment } from './operators.js';
import { OperatorSetIdProto } from './proto.js';
import { GRAPH, MODEL } from './schema.js';
import { delimited, GraphFields, joinChunks, spliceRuns } from './splice.js';
import { otherType, type TensorType } from './value-info.js';
import { WireReader } from './wire.js';

/**
 * An ONNX model that passes can look into and change. What they do not change stays as the bytes that were read, so
 * fields of any version of ONNX survive, and weights are copied once: when the changed model is encoded.
 */
export class Model {
  /** The opset of the default ONNX domain; 0 if the model does not import it. */
  readonly opset: number;
  readonly #bytes: Uint8Array;
  readonly #graph: GraphFields;
  readonly #domains: Set<string>;
  readonly #functions: ReadonlySet<string>;
  /** Casts that the graph does not have yet. */
  readonly #casts = new Map<string, BoundaryCast>();
  /** Operator sets that the model will import besides its own. */
  readonly #imports: Uint8Array[] = [];
  #declarations: Declarations | undefined;
  #names: Set<string> | undefined;

  private constructor(
    bytes: Uint8Array,
    graph: GraphFields,
    opset: number,
    { domains, functions }: Pick<ModelFields, 'domains' | 'functions'>,
  ) {
    this.#bytes = bytes;
    this.#graph = graph;
    this.opset = opset;
    this.#domains = new Set(domains);
    this.#functions = functions;
  }

  /**
   * Reads a model and checks that its tensors hold what their shapes claim.
   * The model is a view of `bytes`, which must not change while it is in use.
   * @throws ModelError `MODEL_INVALID` or `TENSOR_INVALID`; `MODEL_UNSUPPORTED` if it has a million nodes and values.
   */
  static decode(bytes: Uint8Array, where = 'model'): Model {
    const { graph, opset, ...fields } = located(where, () => readModel(bytes));
    if (!graph || opset === undefined) {
      const missing = graph ? 'no opset' : 'no graph';
      throw new ModelError('MODEL_INVALID', `${where}: this is not an ONNX model: it has ${missing}`);
    }
    located(where, () => checkModel(bytes));
    return new Model(bytes, new GraphFields(graph), opset, fields);
  }

  get nodes(): ModelNode[] {
    this.#settle();
    return this.#graph.collect(GRAPH.node, readNode);
  }

  /** The files that tensors lie in, those of bodies and functions too, relative to the model's folder. */
  externalLocations(): Set<string> {
    const found = new Set<string>();
    const addFrom =
      (read: (field: WireReader) => Iterable<string>): Visit =>
      (field) => {
        for (const location of read(field)) found.add(location);
      };
    for (const graph of this.#graph.readers()) visitGraph(graph, addFrom(locationsIn));
    this.#eachFunction((body) => visitFunction(body, addFrom(locationsInNode), addFrom(locationsIn)));
    return found;
  }

  /** The operators in local functions and in the bodies of control flow, which `nodes` does not list. */
  nestedOpTypes(): Set<string> {
    const found = this.functionOpTypes();
    for (const graph of this.#graph.readers()) visitGraph(graph, addNested(found));
    return found;
  }

  /** The operators in local functions. */
  functionOpTypes(): Set<string> {
    const found = new Set<string>();
    const add = (node: WireReader) => found.add(readNode(node).opType);
    this.#eachFunction((body) => visitFunction(body, add, addNested(found)));
    return found;
  }

  /** Whether a node calls a function of the model's own, which may bear the name of an operator of ONNX. */
  isFunctionCall({ domain, opType }: ModelNode): boolean {
    return this.#functions.has(operatorId(domain, opType));
  }

  /** Inputs that are not initializers. */
  get inputNames(): string[] {
    const weights = new Set(this.#namesIn(GRAPH.initializer));
    return this.#namesIn(GRAPH.input).filter((name) => !weights.has(name));
  }

  get outputNames(): string[] {
    return this.#namesIn(GRAPH.output);
  }

  /** The inputs and outputs that are no tensors, and what they are: `a sequence`. */
  notTensors(): Map<string, string> {
    const found = new Map<string, string>();
    this.#graph.each((field) => {
      if (field.tag !== GRAPH.input && field.tag !== GRAPH.output) return;
      const other = otherType(field);
      if (other !== undefined) found.set(nameIn(field), other);
    });
    return found;
  }

  /** Every name in use, in the bodies of control flow too: values and nodes. */
  names(): Set<string> {
    this.#settle();
    return new Set(this.#taken());
  }

  /** Dtype and shape of a value, if the model declares them. */
  typeOf(name: string): TensorType | undefined {
    return this.#declared().typeOf(name);
  }

  /** The data of an initializer, if the model holds it. */
  constant(name: string): TensorData | undefined {
    return this.#declared().constant(name);
  }

  /**
   * Puts a fragment in the place of each node for which `replace` gives one. Calls of the model's own functions are
   * not put before it.
   * @returns How many nodes were replaced.
   */
  replaceNodes(replace: (node: ModelNode) => Fragment | undefined): number {
    this.#settle();
    let replaced = 0;
    const initializers: Uint8Array[] = [];
    this.#graph.splice((field) => {
      const node = field.tag === GRAPH.node ? readNode(field) : undefined;
      if (!node || this.isFunctionCall(node)) return undefined;
      const fragment = replace(node);
      if (!fragment) return undefined;
      replaced += 1;
      const encoded = encodeFragment(fragment, this.opset);
      initializers.push(...encoded.initializers);
      return encoded.nodes.flatMap((message) => delimited(GRAPH.node, [message]));
    });
    this.#graph.append(GRAPH.initializer, initializers);
    if (replaced > 0) this.#forget();
    return replaced;
  }

  /** Gives values of the graph other names; inputs and outputs keep theirs, and the new names must be free. */
  renameValues(names: ReadonlyMap<string, string>): void {
    this.#settle();
    const kept = new Set([...this.#namesIn(GRAPH.input), ...this.outputNames]);
    const rename: Rename = (name) => (kept.has(name) ? name : (names.get(name) ?? name));
    this.#graph.splice((field) => {
      if (field.tag === GRAPH.node) return renameInNode(field, rename);
      if (field.tag === GRAPH.initializer) return renameTensor(field, rename);
      return field.tag === GRAPH.valueInfo ? renameValueInfo(field, rename) : undefined;
    });
    this.#forget();
  }

  /** Leaves out the weights and the declared types of intermediate values of some names; inputs stay. */
  removeDeclared(isUnneeded: (name: string) => boolean): void {
    this.#settle();
    const inputs = new Set(this.#namesIn(GRAPH.input));
    this.#graph.splice((field) => {
      if (field.tag !== GRAPH.initializer && field.tag !== GRAPH.valueInfo) return undefined;
      const name = nameIn(field);
      return isUnneeded(name) && !inputs.has(name) ? [] : undefined;
    });
    this.#forget();
  }

  /** Gives a graph input another dtype, and casts it to its own inside. */
  castInput(name: string, dtype: DType): void {
    this.#cast(name, dtype, 'input');
  }

  /** Gives a graph output another dtype, by a cast at the end. */
  castOutput(name: string, dtype: DType): void {
    this.#cast(name, dtype, 'output');
  }

  /** Lets the model use the operators of a domain, if it does not yet. */
  importDomain(domain: string, version: number): void {
    if (this.#domains.has(domain)) return;
    this.#domains.add(domain);
    const entry = OperatorSetIdProto.encode({ domain, version }).finish();
    this.#imports.push(...delimited(MODEL.opsetImport, [entry]));
  }

  /** The model as the bytes of a ModelProto. */
  encode(): Uint8Array {
    this.#settle();
    const graph = delimited(MODEL.graph, this.#graph.chunks);
    const replaceGraph = ({ tag }: WireReader) => (tag === MODEL.graph ? graph : undefined);
    return joinChunks([...spliceRuns(WireReader.of(this.#bytes), replaceGraph)!.flat(), ...this.#imports]);
  }

  #eachFunction(visit: (body: WireReader) => void): void {
    const model = WireReader.of(this.#bytes);
    while (model.next()) if (model.tag === MODEL.functions) visit(model.enter());
  }

  #namesIn(list: number): string[] {
    return this.#graph.collect(list, nameIn);
  }

  #declared(): Declarations {
    return (this.#declarations ??= new Declarations(this.#graph));
  }

  #cast(name: string, dtype: DType, at: BoundaryCast['at']): void {
    const declared = this.#declared().typeIn(GRAPH[at], name);
    if (!declared) throw new ModelError('MODEL_INVALID', `'${name}' is not a tensor that the model declares`);
    // An output that is an input, too, is cast with it.
    if (declared.dtype === dtype) return;
    if (at === 'output' && this.#declared().typeIn(GRAPH.input, name)) {
      throw new ModelError('MODEL_UNSUPPORTED', `output '${name}' is an input as well: cast that`);
    }
    if (this.#casts.has(name)) this.#settle();
    const insideName = this.#freshName(`${name}_cast`);
    this.#casts.set(name, { at, insideName, insideDtype: declared.dtype, outsideDtype: dtype });
    this.#declared().setDtype(name, dtype);
  }

  /** Casts are put in together, before anything else is asked for: one by one, each would go through all nodes. */
  #settle(): void {
    if (this.#casts.size === 0) return;
    applyCasts(this.#graph, this.#casts);
    this.#casts.clear();
    this.#forget();
  }

  #forget(): void {
    this.#declarations = undefined;
    this.#names = undefined;
  }

  #taken(): Set<string> {
    if (this.#names) return this.#names;
    const names = new Set<string>();
    const add: Visit = (field) => {
      for (const name of takenNames(field)) names.add(name);
    };
    for (const graph of this.#graph.readers()) visitGraph(graph, add);
    return (this.#names = names);
  }

  #freshName(base: string): string {
    const taken = this.#taken();
    let name = base;
    for (let count = 1; taken.has(name); count++) name = `${base}_${count}`;
    taken.add(name);
    return name;
  }
}

const addNested =
  (opTypes: Set<string>): Visit =>
  (field, isNested) => {
    if (isNested && field.tag === GRAPH.node) opTypes.add(readNode(field).opType);
  };

/** What the action does, with what is read named in its errors. */
function located<T>(where: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    if (!(cause instanceof ModelError)) throw cause;
    const { code, message } = cause;
    const what =
      code === 'MODEL_INVALID' ? `this is not an ONNX model, or the file is damaged (${message})` : message;
    throw new ModelError(code, `${where}: ${what}`, { cause });
  }
}
