import { ModelError } from '../errors.js';
import { dtypeFromOnnx, ONNX_DTYPE } from '../graph/index.js';
import type { Fragment } from '../lowering/index.js';
import type { DType, Shape, TensorData } from '../tensor.js';
import { joinChunks, modelChunks } from './chunks.js';
import { encodeNode } from './operators.js';
import {
  ATTRIBUTE_TYPE,
  isExternal,
  ModelProto,
  toNumber,
  type AttributeMessage,
  type GraphMessage,
  type ModelMessage,
  type NodeProto,
  type ValueInfoProto,
} from './proto.js';
import { checkTensor, decodeRawTensor, encodeTensor } from './tensors.js';
import { encodeValueInfo, UNKNOWN_DIM } from './value-info.js';

/** A node of a decoded model, as passes see it. */
export interface ModelNode {
  readonly name: string;
  readonly opType: string;
  /** `''` for the default ONNX domain. */
  readonly domain: string;
  /** Value names; `''` where an optional input is absent. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** The attribute's number, or `undefined` if the node does not have it. */
  number(attribute: string): number | undefined;
}

export interface TensorType {
  readonly dtype: DType;
  /** `?` (UNKNOWN_DIM) stands for a dimension of which nothing is known. */
  readonly shape: Shape;
}

/** A decoded ONNX model that passes can look into and change. */
export class Model {
  readonly #message: ModelMessage;
  readonly #graph: GraphMessage;
  #types: Map<string, TensorType> | undefined;

  private constructor(message: ModelMessage, graph: GraphMessage) {
    this.#message = message;
    this.#graph = graph;
  }

  /**
   * Reads a model and checks that its tensors hold what their shapes claim.
   * Weights are views of `bytes`, which must not change while the model is in use.
   * @throws ModelError `MODEL_INVALID` or `TENSOR_INVALID`.
   */
  static decode(bytes: Uint8Array, where = 'model'): Model {
    const message = decodeMessage(bytes, where);
    const { graph } = message;
    if (!graph || !message.opsetImport?.length) {
      const missing = graph ? 'no opset' : 'no graph';
      throw new ModelError('MODEL_INVALID', `${where}: this is no ONNX model: it has ${missing}`);
    }
    for (const initializer of graph.initializer ?? []) checkTensor(initializer);
    return new Model(message, graph);
  }

  /** The opset of the default ONNX domain; 0 if the model does not import it. */
  get opset(): number {
    const entry = this.#message.opsetImport!.find(({ domain }) => !domain || domain === 'ai.onnx');
    return toNumber(entry?.version);
  }

  get nodes(): ModelNode[] {
    return (this.#graph.node ?? []).map(toModelNode);
  }

  /** The files that weights lie in, relative to the model's folder. */
  externalLocations(): Set<string> {
    const external = (this.#graph.initializer ?? [])
      .filter(isExternal)
      .flatMap(({ externalData }) => externalData ?? []);
    return new Set(external.filter(({ key }) => key === 'location').map(({ value }) => value ?? ''));
  }

  /** Whether it has functions of its own. onnx-proto does not know all of their fields, so they cannot be rewritten. */
  get hasFunctions(): boolean {
    return (this.#message.functions ?? []).length > 0;
  }

  /** The operators in local functions and in the bodies of control flow, which `nodes` does not list. */
  nestedOpTypes(): Set<string> {
    const found = new Set<string>();
    const visit = (nodes: readonly NodeProto[], nested: boolean): void => {
      for (const { opType, attribute } of nodes) {
        if (nested) found.add(opType ?? '');
        for (const { g, graphs } of attribute ?? []) {
          for (const graph of [...(g ? [g] : []), ...(graphs ?? [])]) visit(graph.node ?? [], true);
        }
      }
    };
    visit(this.#graph.node ?? [], false);
    for (const { node } of this.#message.functions ?? []) visit(node ?? [], true);
    return found;
  }

  /** Inputs that are not initializers. */
  get inputNames(): string[] {
    const weights = new Set((this.#graph.initializer ?? []).map(({ name }) => name));
    return (this.#graph.input ?? []).map(({ name }) => name ?? '').filter((name) => !weights.has(name));
  }

  get outputNames(): string[] {
    return (this.#graph.output ?? []).map(({ name }) => name ?? '');
  }

  /** Every name in use: values and nodes. */
  names(): Set<string> {
    const { node = [], input = [], initializer = [], valueInfo = [] } = this.#graph;
    const named = [...node!, ...input!, ...initializer!, ...valueInfo!].map(({ name }) => name ?? '');
    return new Set([...named, ...node!.flatMap(({ output }) => output ?? [])]);
  }

  /** Dtype and shape of a value, if the model declares them. */
  typeOf(name: string): TensorType | undefined {
    this.#types ??= this.#collectTypes();
    return this.#types.get(name);
  }

  /** The data of an initializer, if the model holds it as raw bytes. */
  constant(name: string): TensorData | undefined {
    const initializer = this.#graph.initializer?.find((candidate) => candidate.name === name);
    return initializer && decodeRawTensor(initializer);
  }

  /**
   * Puts a fragment in the place of each node for which `replace` gives one.
   * @returns How many nodes were replaced.
   */
  replaceNodes(replace: (node: ModelNode) => Fragment | undefined): number {
    let replaced = 0;
    const result: NodeProto[] = [];
    for (const message of this.#graph.node ?? []) {
      const fragment = replace(toModelNode(message));
      if (fragment) replaced += 1;
      result.push(...(fragment ? this.#adopt(fragment) : [message]));
    }
    this.#graph.node = result;
    return replaced;
  }

  /** Gives a graph input another dtype, and casts it to its own inside. */
  castInput(name: string, dtype: DType): void {
    const declared = this.#declaration(this.#graph.input, name);
    const inside = this.#freshName(`${name}_cast`);
    for (const node of this.#graph.node ?? []) {
      node.input = (node.input ?? []).map((input) => (input === name ? inside : input));
    }
    this.#graph.node = [castNode(name, inside, declared.dtype), ...(this.#graph.node ?? [])];
    this.#declare(this.#graph.input, name, { ...declared, dtype });
  }

  /** Gives a graph output another dtype, by a cast at the end. */
  castOutput(name: string, dtype: DType): void {
    const declared = this.#declaration(this.#graph.output, name);
    const inside = this.#freshName(`${name}_cast`);
    const rename = (value: string) => (value === name ? inside : value);
    for (const node of this.#graph.node ?? []) {
      node.input = (node.input ?? []).map(rename);
      node.output = (node.output ?? []).map(rename);
    }
    this.#graph.node = [...(this.#graph.node ?? []), castNode(inside, name, dtype)];
    this.#declare(this.#graph.output, name, { ...declared, dtype });
  }

  /** The model as the bytes of a ModelProto. */
  encode(): Uint8Array {
    return joinChunks(modelChunks({ ...this.#message, graph: this.#graph }));
  }

  #adopt({ nodes, constants }: Fragment): NodeProto[] {
    const encoded = nodes.map((node) => encodeNode(node, this.opset));
    const initializers = [
      ...constants.map((constant) => encodeTensor(constant.name, constant.data!)),
      ...encoded.flatMap((part) => part.initializers),
    ];
    (this.#graph.initializer ??= []).push(...initializers);
    return encoded.map((part) => part.node);
  }

  #declaration(list: ValueInfoProto[] | null | undefined, name: string): TensorType {
    const type = decodeType(list?.find((info) => info.name === name));
    if (!type) throw new ModelError('MODEL_INVALID', `'${name}' is no tensor that the model declares`);
    return type;
  }

  #declare(list: ValueInfoProto[] | null | undefined, name: string, type: TensorType): void {
    const index = list!.findIndex((info) => info.name === name);
    list![index] = encodeValueInfo({ name, ...type });
    this.#types = undefined;
  }

  #freshName(base: string): string {
    const taken = this.names();
    let name = base;
    for (let count = 1; taken.has(name); count++) name = `${base}_${count}`;
    return name;
  }

  #collectTypes(): Map<string, TensorType> {
    const types = new Map<string, TensorType>();
    for (const { name, dims, dataType } of this.#graph.initializer ?? []) {
      const dtype = dtypeFromOnnx(dataType ?? 0);
      if (dtype) types.set(name ?? '', { dtype, shape: (dims ?? []).map(toNumber) });
    }
    const { input = [], output = [], valueInfo = [] } = this.#graph;
    for (const info of [...input!, ...output!, ...valueInfo!]) {
      const type = decodeType(info);
      if (type) types.set(info.name ?? '', type);
    }
    return types;
  }
}

function decodeMessage(bytes: Uint8Array, where: string): ModelMessage {
  try {
    return ModelProto.decode(bytes);
  } catch (cause) {
    throw new ModelError(
      'MODEL_INVALID',
      `${where}: this is no ONNX model, or the file is damaged (${(cause as Error).message})`,
      { cause },
    );
  }
}

const toModelNode = (message: NodeProto): ModelNode => ({
  name: message.name ?? '',
  opType: message.opType ?? '',
  domain: message.domain === 'ai.onnx' ? '' : (message.domain ?? ''),
  inputs: message.input ?? [],
  outputs: message.output ?? [],
  number: (name) => attributeNumber(message.attribute?.find((attribute) => attribute.name === name)),
});

function attributeNumber(attribute: AttributeMessage | undefined): number | undefined {
  if (attribute?.type === ATTRIBUTE_TYPE.INT) return toNumber(attribute.i);
  if (attribute?.type === ATTRIBUTE_TYPE.FLOAT) return attribute.f ?? 0;
  return undefined;
}

function decodeType(info: ValueInfoProto | undefined): TensorType | undefined {
  const tensorType = info?.type?.tensorType;
  const dtype = dtypeFromOnnx(tensorType?.elemType ?? 0);
  const dims = tensorType?.shape?.dim;
  if (!dtype || !dims) return undefined;
  // An absent dim_value and a dim_value of 0 decode alike, save that only the latter is the message's own field.
  const shape = dims.map((dim) => {
    if (dim.dimParam) return dim.dimParam;
    return Object.hasOwn(dim, 'dimValue') ? toNumber(dim.dimValue) : UNKNOWN_DIM;
  });
  return { dtype, shape };
}

const castNode = (input: string, output: string, to: DType): NodeProto => ({
  name: `${output}/Cast`,
  opType: 'Cast',
  input: [input],
  output: [output],
  attribute: [{ name: 'to', type: ATTRIBUTE_TYPE.INT, i: ONNX_DTYPE[to] }],
});
