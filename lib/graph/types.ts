/** The canonical graph: what is computed, without opsets, runtimes or files. */
import { GraphError } from '../errors.js';
import type { DType, Shape, StoredBytes, TensorData } from '../tensor.js';

/** An attribute with the type that ONNX gives it: an ONNX FLOAT and an ONNX INT are both numbers here. */
export type Attribute =
  | { readonly type: 'INT'; readonly value: number }
  | { readonly type: 'FLOAT'; readonly value: number }
  | { readonly type: 'STRING'; readonly value: string }
  | { readonly type: 'INTS'; readonly value: readonly number[] }
  | { readonly type: 'FLOATS'; readonly value: readonly number[] };

/** The attributes of a node, by ONNX's names. */
export type Attributes = Readonly<Record<string, Attribute>>;

/**
 * How a parameter is filled where no weights are given, as the PyTorch module does it. `uniform` draws from −bound to
 * bound.
 */
export type Init = 'ones' | 'zeros' | { readonly uniform: number };

/** One tensor of a graph, with a dtype and a shape from the start. */
export class Value {
  /** @internal */
  constructor(
    /** The graph that the value belongs to; it cannot be used in another graph. */
    readonly owner: object,
    /** Where the value comes from. */
    readonly kind: 'input' | 'parameter' | 'constant' | 'node',
    /** Unique in the graph. The name changes only when the value is declared as an output. */
    public name: string,
    /** The type of the elements. */
    readonly dtype: DType,
    /** Sizes, and names or expressions for sizes that are known only at run time. */
    readonly shape: Shape,
    /** The data of a constant. */
    readonly data?: TensorData,
    /** How a parameter is filled where no weights are given. */
    readonly init?: Init,
    /** Set: the model has the parameter's tensor standardised, with this eps. */
    readonly standardizeEps?: number,
  ) {}

  /** The number of dimensions; 0 for a scalar. */
  get rank(): number {
    return this.shape.length;
  }
}

/** One operator, in its newest form; an absent optional input is `undefined`. */
export interface Node {
  /** Unique in the graph. */
  readonly name: string;
  /** The operator's domain. Default: ONNX's own domain. */
  readonly domain?: string;
  /** The operator's name in ONNX: `Conv`. */
  readonly opType: string;
  /** The inputs, in the order of the operator's definition. */
  readonly inputs: readonly (Value | undefined)[];
  /** The results, in the order of the operator's definition. */
  readonly outputs: readonly Value[];
  /** The attributes, by ONNX's names. */
  readonly attributes: Attributes;
  /**
   * The two branches of an If.
   * @internal
   */
  readonly branches?: readonly [then: Branch, otherwise: Branch];
}

/**
 * The nodes of a branch, which may read every value of the graph before the If, and the result of the If.
 * @internal
 */
export interface Branch {
  readonly nodes: readonly Node[];
  readonly result: Value;
}

/** The tensors of a graph's parameters, by name. */
export type Weights = ReadonlyMap<string, TensorData>;

/** A tensor whose elements are read when they are written, so that a model may be larger than memory. */
export interface DeferredTensor {
  /** The type of the elements. */
  readonly dtype: DType;
  /** The size of each dimension, the outermost first; empty for a scalar. */
  readonly dims: readonly number[];
  /** Returns the elements in C order, little-endian, in pieces of any size: bytes, or bytes that the writer reads. */
  readonly read: () => AsyncIterable<Uint8Array | StoredBytes>;
  /** The same bytes as a part of a file, if a file has them: the writer may copy that file instead of reading them. */
  readonly stored?: StoredBytes | undefined;
}

/** The tensors of a graph's parameters, by name, in memory or not. */
export type DeferredWeights = ReadonlyMap<string, TensorData | DeferredTensor>;

/** A finished graph. */
export interface Graph {
  /** The graph's name in the model. */
  readonly name: string;
  /** The inputs, in the order of declaration. */
  readonly inputs: readonly Value[];
  /** The outputs, in the order of declaration. */
  readonly outputs: readonly Value[];
  /** The named weights, in the order of declaration: the state_dict. */
  readonly parameters: readonly Value[];
  /** Values that belong to the computation and not to the weights. */
  readonly constants: readonly Value[];
  /** The operators in the order in which they run: each after the operators whose results it takes. */
  readonly nodes: readonly Node[];
}

/** The numbers of ONNX's `TensorProto.DataType`. Source: onnx.proto. */
export const ONNX_DTYPE: Readonly<Record<DType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
};

/** Returns the dtype of a number of ONNX's, or `undefined` for a type that this library lacks (string, complex, …). */
export const dtypeFromOnnx = (number: number): DType | undefined =>
  (Object.keys(ONNX_DTYPE) as DType[]).find((dtype) => ONNX_DTYPE[dtype] === number);

const LISTS = ['inputs', 'outputs', 'parameters', 'constants', 'nodes'] as const;

/**
 * Requires a finished graph.
 * @param where What takes the graph, for the message: `encodeModel`.
 * @throws GraphError `INVALID_GRAPH` if `graph` is something else, such as a builder whose `build()` was not called.
 */
export function requireGraph(where: string, graph: Graph): void {
  if (typeof graph === 'object' && graph !== null && LISTS.every((list) => Array.isArray(graph[list])))
    return;
  throw new GraphError(
    'INVALID_GRAPH',
    `${where}: ${kindOf(graph)} is not a graph; give what a GraphBuilder's build() returns, or getGraph(name).build()`,
  );
}

const kindOf = (value: unknown): string =>
  typeof value === 'object' && value !== null ? Object.prototype.toString.call(value) : String(value);
