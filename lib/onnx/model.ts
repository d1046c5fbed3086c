/** ONNX models that passes look into and change. */
import { ModelError } from '../errors.js';
import { DEFAULT_LIMITS, type Limits, overLimit } from '../limits.js';
import type { Fragment } from '../lowering/lower.js';
import type { DType, Shape, TensorData } from '../tensor.js';
import { chunksLength, delimited, joinChunks, spliceRuns } from './protobuf/chunks.js';
import { decodeModel, type ModelContent, operatorId } from './decode.js';
import { detached } from './external-data.js';
import {
  applyCasts,
  type BoundaryCast,
  editNode,
  type NodeEdit,
  type Rename,
  renameInNode,
  renameTensor,
  renameValueInfo,
} from './graph/graph-edits.js';
import { functionId } from './graph/function-calls.js';
import { GraphIndex, type OptionalInput } from './graph/graph-index.js';
import {
  GraphDecoder,
  type GraphFields,
  type InnerFacts,
  noFacts,
  readerOf,
  takenNames,
} from './graph/graph.js';
import { editedNode, type FunctionVersion, type InnerEdit, LocalFunction } from './graph/inner-graph.js';
import type { NodeMessage as PlainNode, TensorMessage, ValueInfoMessage } from './protobuf/messages.js';
import { nestedNodes, readOpset } from './graph/outline.js';
import { type ModelNode, PARTS } from './graph/node.js';
import { AddedConstants, constantNode, fragmentNodes } from './graph/operators.js';
import {
  GraphProto,
  type NodeMessage,
  NodeProto,
  OperatorSetIdProto,
  TensorProto,
  ValueInfoProto,
} from './protobuf/proto.js';
import { GRAPH, MODEL } from './protobuf/schema.js';
import type { ExternalFiles } from './protobuf/tensor-walk.js';
import { encodeTensor } from './protobuf/tensors.js';
import { declarationOf, encodeValueInfo, type TensorType } from './graph/value-info.js';
import { UNBOUNDED, WireReader, withContext } from './protobuf/wire.js';

/**
 * A decoded model. Fields that no pass changes stay as the bytes that were read, so fields of any version of ONNX
 * survive, and weights are copied once: when the changed model is encoded.
 */
export class Model {
  /** The files that tensors of the decoded bytes lie in, wherever a model has tensors. */
  readonly externalFiles: ExternalFiles;
  readonly #bytes: Uint8Array;
  readonly #graph: GraphFields;
  readonly #functions: ReadonlySet<string>;
  readonly #redefines: boolean;
  #inFunctions: InnerFacts;
  readonly #domains: Set<string>;
  readonly #canOverride: boolean;
  #opset: number;
  /** Whether the opset is another than that in the bytes. */
  #isRaised = false;
  /** Operator sets that the encoded model imports besides its own. */
  readonly #imports: Uint8Array[] = [];
  #index: GraphIndex | undefined;
  #localFunctions: readonly LocalFunction[] | undefined;
  #functionsById: ReadonlyMap<string, LocalFunction> | undefined;
  /** The fields that take the places of local functions. */
  #editedFunctions: ReadonlyMap<LocalFunction, readonly Uint8Array[]> = new Map();

  private constructor(
    bytes: Uint8Array,
    content: ModelContent,
    /** What messages call the model. */
    private readonly where: string,
  ) {
    this.#bytes = bytes;
    this.#opset = content.opset;
    this.#graph = content.graph;
    this.#functions = content.functions;
    this.#redefines = [...content.functions].some((id) => id.startsWith(':'));
    this.#inFunctions = content.inFunctions;
    this.externalFiles = content.externalFiles;
    this.#domains = new Set(content.domains);
    this.#canOverride = content.irVersion >= FIRST_IR_VERSION_WITH_OVERRIDES;
  }

  /**
   * Decodes a model and checks that its tensors hold as much data as their shapes claim.
   * The model is a view of `bytes`, which must not change while it is in use.
   * @throws ModelError `MODEL_INVALID`, `TENSOR_INVALID` or `LIMIT_EXCEEDED`.
   */
  static decode(bytes: Uint8Array, where = 'model', limits = DEFAULT_LIMITS): Model {
    return new Model(bytes, decodeModel(bytes, where, limits), where);
  }

  /** The opset of the default ONNX domain; 0 if the model does not import it. */
  get opset(): number {
    return this.#opset;
  }

  /** The nodes of the graph, each after the nodes that it needs; the same array until the model changes. */
  get nodes(): readonly ModelNode[] {
    return this.index.nodes;
  }

  /** What each name means in the graph; the same object until the model changes. */
  get index(): GraphIndex {
    return (this.#index ??= new GraphIndex(this.#graph, this.#canOverride));
  }

  /** Inputs that are not initializers. */
  get inputNames(): readonly string[] {
    return this.index.inputNames;
  }

  /**
   * Inputs that are initializers too, which are their default values. From version 4 of ONNX's file format on; before,
   * every initializer had to be listed as an input, so ONNX Runtime takes those as constants, and so does this class.
   */
  get optionalInputs(): readonly OptionalInput[] {
    return this.index.optionalInputs;
  }

  get outputNames(): readonly string[] {
    return this.index.outputNames;
  }

  /** Returns the inputs and outputs that are not tensors, and their types: `a sequence`. */
  notTensors(): Map<string, string> {
    return new Map(
      this.index.boundary.flatMap(({ name, otherType }) =>
        otherType === undefined ? [] : [[name, otherType]],
      ),
    );
  }

  /** Returns the inputs and outputs that are declared without a shape, and so may be of any rank. */
  unrankedNames(): Set<string> {
    return new Set(this.index.boundary.filter(({ hasShape }) => !hasShape).map(({ name }) => name));
  }

  /** Returns the operators in local functions and in the bodies of control flow, which `nodes` does not list. */
  nestedOpTypes(): ReadonlySet<string> {
    return new Set([...this.#inFunctions.opTypes, ...this.index.opTypesInBodies]);
  }

  /** Returns the nodes in local functions and in the bodies of control flow. They are read anew each time. */
  nestedNodes(): ModelNode[] {
    const fields = this.localFunctions.flatMap((one) => this.#editedFunctions.get(one) ?? one.field);
    return nestedNodes(this.#graph, fields);
  }

  /** The local functions of the decoded bytes, in the order of the file. */
  get localFunctions(): readonly LocalFunction[] {
    if (this.#localFunctions) return this.#localFunctions;
    const found: LocalFunction[] = [];
    const fields = WireReader.of(this.#bytes, UNBOUNDED);
    while (fields.next())
      if (fields.tag === MODEL.functions) found.push(new LocalFunction(fields.wholeField));
    return (this.#localFunctions = found);
  }

  /** Returns the local function that a node calls, as it is in the decoded bytes. */
  functionOf(node: ModelNode): LocalFunction | undefined {
    if (!this.isFunctionCall(node)) return undefined;
    const idOf = (one: LocalFunction) => functionId(one.domain, one.name, one.overload);
    this.#functionsById ??= new Map(this.localFunctions.map((one) => [idOf(one), one]));
    return this.#functionsById.get(functionId(node.domain, node.opType, node.overload));
  }

  /** Returns the operators in local functions. */
  functionOpTypes(): ReadonlySet<string> {
    return this.#inFunctions.opTypes;
  }

  /** Returns whether a node calls a local function, which may have the name of an operator of ONNX. */
  isFunctionCall({ domain, opType }: ModelNode): boolean {
    return this.#functions.has(operatorId(domain, opType));
  }

  /** Returns whether the model has local functions of the default domain, so that operators may not be ONNX's own. */
  redefinesOperators(): boolean {
    return this.#redefines;
  }

  /** Returns every name in use, of values and nodes, in the bodies of control flow too. */
  names(): Set<string> {
    return takenNames(this.#graph);
  }

  /** Returns the declared dtype and shape of a value, or `undefined`. */
  typeOf(name: string): TensorType | undefined {
    return this.index.typeOf(name);
  }

  /**
   * Returns the data of an initializer, or `undefined` if the model does not hold it, or the initializer is an optional
   * input: a run may have another value.
   */
  constant(name: string): TensorData | undefined {
    return this.index.constant(name);
  }

  /**
   * Replaces each node for which `replace` returns a fragment. Calls of local functions are skipped.
   * @returns How many nodes were replaced.
   */
  replaceNodes(replace: (node: ModelNode) => Fragment | undefined): number {
    let replaced = 0;
    const added = new AddedConstants();
    this.#graph.splice(({ node }) => {
      if (!node || this.isFunctionCall(node)) return undefined;
      const fragment = replace(node);
      if (!fragment) return undefined;
      replaced += 1;
      return [GraphProto.encode({ node: this.#nodesOf(fragment, added) }).finish()];
    });
    if (replaced === 0) return 0;
    this.#addConstants(added.tensors);
    this.#index = undefined;
    return replaced;
  }

  /**
   * Encodes the nodes of a fragment for a body or a local function, which have no initializers: the constants are nodes.
   * @throws ModelError `LIMIT_EXCEEDED`.
   */
  encodeInner(fragment: Fragment): Uint8Array[] {
    const added = new AddedConstants();
    const nodes = this.#nodesOf(fragment, added);
    const all = [...added.tensors.map(constantNode), ...nodes];
    const { budget } = this.#graph;
    if (!budget.take('modelParts', PARTS.node * all.length)) {
      const what = `more than ${budget.allowed('modelParts')} nodes and other parts, when it is rewritten`;
      throw this.#tooLarge(what, 'modelParts');
    }
    return all.map((node) => NodeProto.encode(node).finish());
  }

  /**
   * Edits nodes that have bodies or call local functions.
   * @param edit Returns what changes in a node.
   */
  editInner(edit: (node: ModelNode) => InnerEdit | undefined): void {
    this.#graph.splice((field) => {
      const change = field.node && edit(field.node);
      return change && editedNode(readerOf(field), field.node, change);
    });
    this.#index = undefined;
  }

  /**
   * Writes local functions anew. The nodes that call a version must name it.
   * @throws ModelError `LIMIT_EXCEEDED`.
   */
  replaceFunctions(versions: ReadonlyMap<LocalFunction, readonly FunctionVersion[]>): void {
    const { budget } = this.#graph;
    const edited = new Map<LocalFunction, readonly Uint8Array[]>();
    for (const [one, all] of versions)
      edited.set(
        one,
        all.map((version) => this.#joinAdded(one.version(version))),
      );
    this.#inFunctions = noFacts();
    for (const one of this.localFunctions) {
      const fields = edited.get(one);
      for (const field of fields ?? [one.field]) {
        const reader = WireReader.of(field, fields ? budget : UNBOUNDED);
        withContext(this.where, () => {
          while (reader.next()) new GraphDecoder().readFunction(reader.enter(), this.#inFunctions);
        });
      }
    }
    this.#editedFunctions = edited;
  }

  /** Makes optional inputs required, by removing their initializers. */
  requireInputs(names: ReadonlySet<string>): void {
    this.#graph.splice(({ tensor }) => (tensor && names.has(tensor.name) ? [] : undefined));
    this.#index = undefined;
  }

  /** Renames values of the graph. Inputs and outputs keep their names, and the new names must be free. */
  renameValues(names: ReadonlyMap<string, string>): void {
    const kept = new Set(this.index.boundary.map(({ name }) => name));
    const rename: Rename = (name) => (kept.has(name) ? name : (names.get(name) ?? name));
    this.#graph.splice((field) => {
      if (field.node) return renameInNode(readerOf(field), rename);
      if (field.tensor) return renameTensor(readerOf(field), rename);
      return field.tag === GRAPH.valueInfo ? renameValueInfo(readerOf(field), rename) : undefined;
    });
    this.#index = undefined;
  }

  /** Edits each node for which `edit` returns an edit. The rest of the node stays as it is. */
  editNodes(edit: (node: ModelNode) => NodeEdit | undefined): void {
    this.#graph.splice((field) => {
      const change = field.node && edit(field.node);
      return change && editNode(readerOf(field), change);
    });
    this.#index = undefined;
  }

  /**
   * Takes the data of large initializers out of the model, which then names the decoded bytes as the file `location`. No weight
   * is copied.
   * @param leastBytes Smaller initializers stay as they are.
   * @returns How many were taken out.
   */
  detachWeights(location: string, leastBytes: number): number {
    let count = 0;
    this.#graph.splice((field) => {
      if (field.tag !== GRAPH.initializer || field.bytes.byteLength < leastBytes) return undefined;
      const replacement = detached(readerOf(field), location, this.#bytes);
      if (replacement) count += 1;
      return replacement;
    });
    if (count > 0) this.#index = undefined;
    return count;
  }

  /** Makes values constants, in place of the initializers that have their names. No node may compute such a value. */
  setConstants(constants: ReadonlyMap<string, TensorData>): void {
    const added = new Map([...constants].map(([name, data]) => [name, encodeTensor(name, data)]));
    for (const tensor of added.values()) this.#takeConstant(tensor);
    this.#graph.splice(({ tensor }) => {
      const replacement = tensor && added.get(tensor.name);
      if (!replacement) return undefined;
      added.delete(tensor.name);
      return delimited(GRAPH.initializer, [TensorProto.encode(replacement).finish()]);
    });
    this.#addConstants([...added.values()]);
    this.#index = undefined;
  }

  /** Removes inputs of the model, also those that are initializers: these stay, as constants. */
  removeInputs(isUnneeded: (name: string) => boolean): void {
    this.#graph.splice(({ tag, value }) => (tag === GRAPH.input && isUnneeded(value!.name) ? [] : undefined));
    this.#index = undefined;
  }

  /** Adds values of the graph to its outputs. A value without a type has the type that the runtime infers. */
  addOutputs(values: readonly ValueInfoMessage[]): void {
    this.#graph.append(
      GRAPH.output,
      values.map((value) => ValueInfoProto.encode(value).finish()),
    );
    this.#index = undefined;
  }

  /** Gives inputs other shapes. */
  declareInputs(shapeOf: (name: string) => Shape | undefined): void {
    this.#graph.splice(({ tag, value }) => {
      const shape = tag === GRAPH.input ? shapeOf(value!.name) : undefined;
      const { dtype } = (shape && value!.type) ?? {};
      if (!shape || !dtype) return undefined;
      return delimited(GRAPH.input, [
        ValueInfoProto.encode(encodeValueInfo({ name: value!.name, dtype, shape })).finish(),
      ]);
    });
    this.#index = undefined;
  }

  /** Adds nodes of ONNX's own operators behind all others. */
  addNodes(nodes: readonly PlainNode[]): void {
    this.#graph.append(
      GRAPH.node,
      nodes.map((node) => NodeProto.encode(node).finish()),
    );
    this.#index = undefined;
  }

  /** Removes outputs of the model. The nodes that compute them stay. */
  removeOutputs(isUnneeded: (name: string) => boolean): void {
    this.#graph.splice(({ tag, value }) =>
      tag === GRAPH.output && isUnneeded(value!.name) ? [] : undefined,
    );
    this.#index = undefined;
  }

  /**
   * Removes nodes, calls of local functions too.
   * @returns How many were removed.
   */
  removeNodes(isUnneeded: (node: ModelNode) => boolean): number {
    let removed = 0;
    this.#graph.splice(({ node }) => {
      if (!node || !isUnneeded(node)) return undefined;
      removed += 1;
      return [];
    });
    if (removed > 0) this.#index = undefined;
    return removed;
  }

  /**
   * Removes the weights and the declared types of some intermediate values. Those of inputs stay.
   * @returns How many were removed.
   */
  removeDeclared(isUnneeded: (name: string) => boolean): number {
    const { declaredInputs } = this.index;
    let removed = 0;
    this.#graph.splice(({ tag, tensor, value }) => {
      const name = tensor?.name ?? (tag === GRAPH.valueInfo ? value!.name : undefined);
      if (name === undefined || !isUnneeded(name) || declaredInputs.has(name)) return undefined;
      removed += 1;
      return [];
    });
    if (removed > 0) this.#index = undefined;
    return removed;
  }

  /** Changes the dtype of inputs, and casts them to their own dtype inside. */
  castInputs(names: readonly string[], dtype: DType): void {
    this.#cast(names, dtype, 'input');
  }

  /** Changes the dtype of outputs, by casts at the end. An output that is an input too is cast with the input. */
  castOutputs(names: readonly string[], dtype: DType): void {
    this.#cast(names, dtype, 'output');
  }

  /** Imports a domain, if the model does not import it yet. */
  importDomain(domain: string, version: number): void {
    if (this.#domains.has(domain)) return;
    this.#domains.add(domain);
    this.#addImport(domain, version);
  }

  /** Says that the nodes are of a later opset of the default ONNX domain. The nodes stay as they are. */
  raiseOpset(opset: number): void {
    this.#opset = opset;
    this.#isRaised = true;
    this.#addImport('', opset);
  }

  /** Returns the bytes of a ModelProto. */
  encode(): Uint8Array {
    const graph = delimited(MODEL.graph, this.#graph.chunks);
    const functions = new Map(
      [...this.#editedFunctions].map(([{ field }, fields]) => [field.byteOffset, [...fields]]),
    );
    const replace = (field: WireReader) => {
      if (field.tag === MODEL.graph) return graph;
      if (field.tag === MODEL.functions) return functions.get(field.wholeField.byteOffset);
      const isOld = this.#isRaised && field.tag === MODEL.opsetImport && readOpset(field).domain === '';
      return isOld ? [] : undefined;
    };
    return joinChunks([
      ...spliceRuns(WireReader.of(this.#bytes, UNBOUNDED), replace)!.flat(),
      ...this.#imports,
    ]);
  }

  /** Makes the nodes of a fragment, after the budget allows the bytes of its constants. */
  #nodesOf(fragment: Fragment, added: AddedConstants): NodeMessage[] {
    const before = added.tensors.length;
    const nodes = fragmentNodes(fragment, this.opset, added);
    for (const tensor of added.tensors.slice(before)) this.#takeConstant(tensor);
    return nodes;
  }

  /** Joins chunks of what is added, after the budget allows their bytes. */
  #joinAdded(chunks: readonly Uint8Array[]): Uint8Array {
    this.#takeAdded(chunksLength(chunks));
    return joinChunks(chunks);
  }

  #takeConstant({ rawData }: TensorMessage): void {
    this.#takeAdded(rawData?.length ?? 0);
  }

  #takeAdded(bytes: number): void {
    const { budget } = this.#graph;
    if (budget.take('modelAddedBytes', bytes)) return;
    const allowed = budget.allowed('modelAddedBytes');
    throw this.#tooLarge(
      `more than ${allowed} bytes of constants and functions, when it is rewritten`,
      'modelAddedBytes',
    );
  }

  #tooLarge(what: string, limit: keyof Limits): ModelError {
    return new ModelError('LIMIT_EXCEEDED', ...overLimit(`${this.where}: it has ${what}`, limit));
  }

  #addImport(domain: string, version: number): void {
    const entry = OperatorSetIdProto.encode({ domain, version }).finish();
    this.#imports.push(...delimited(MODEL.opsetImport, [entry]));
  }

  #addConstants(tensors: readonly TensorMessage[]): void {
    const initializers = tensors.map((message) => TensorProto.encode(message).finish());
    this.#graph.append(GRAPH.initializer, initializers);
    if (this.#canOverride) return;
    this.#graph.append(GRAPH.input, tensors.map(declarationOf));
  }

  #cast(names: readonly string[], dtype: DType, at: BoundaryCast['at']): void {
    const { index } = this;
    const taken = this.names();
    const casts = new Map<string, BoundaryCast>();
    for (const name of new Set(names)) {
      const declared = index.typeIn(GRAPH[at], name);
      if (!declared)
        throw new ModelError('MODEL_INVALID', `'${name}' is not a tensor that the model declares`);
      if (declared.dtype === dtype) continue;
      if (at === 'output' && index.typeIn(GRAPH.input, name))
        throw new ModelError('MODEL_UNSUPPORTED', `output '${name}' is an input as well: cast that`);
      const insideName = freshName(`${name}_cast`, taken);
      casts.set(name, { at, insideName, insideDtype: declared.dtype, outsideDtype: dtype });
    }
    if (casts.size === 0) return;
    applyCasts(this.#graph, casts);
    this.#index = undefined;
  }
}

/** Source: ONNX's IR.md, and `Graph::CanOverrideInitializer` of ONNX Runtime. */
const FIRST_IR_VERSION_WITH_OVERRIDES = 4;

/** Returns a name that is not taken, and adds it to those that are. */
export function freshName(base: string, taken: Set<string>): string {
  let name = base;
  for (let count = 1; taken.has(name); count++) name = `${base}_${count}`;
  taken.add(name);
  return name;
}
