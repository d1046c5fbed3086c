/** The canonical graph: what is computed, with no word about opsets, runtimes or files. */
import { GraphError } from '../errors.js';
import type { DType, Shape, TensorData } from '../tensor.js';

/** An attribute with the type that ONNX gives it: an ONNX FLOAT and an ONNX INT are both numbers here. */
export type Attribute =
  | { readonly type: 'INT'; readonly value: number }
  | { readonly type: 'FLOAT'; readonly value: number }
  | { readonly type: 'STRING'; readonly value: string }
  | { readonly type: 'INTS'; readonly value: readonly number[] }
  | { readonly type: 'FLOATS'; readonly value: readonly number[] };

/** The attributes of a node by ONNX's names. */
export type Attributes = Readonly<Record<string, Attribute>>;

/** How a parameter is filled when no weights are given: PyTorch's default initialisation of its module. */
export type Init = 'ones' | 'zeros' | { readonly uniform: number };

/** Where a value comes from. */
export type ValueKind = 'input' | 'parameter' | 'constant' | 'node';

/** One tensor of a graph: typed and shaped from the moment that it is made. */
export class Value {
  constructor(
    /** The graph that owns it; a value cannot be used in another. */
    readonly owner: object,
    /** Where it comes from. */
    readonly kind: ValueKind,
    /** Unique in the graph. Only an output's name may still change, when it is declared. */
    public name: string,
    /** What its elements are. */
    readonly dtype: DType,
    /** Sizes, and names or expressions for those that are known only at run time. */
    readonly shape: Shape,
    /** A constant's data. */
    readonly data?: TensorData,
    /** A parameter's initialisation where no weights are given. */
    readonly init?: Init,
  ) {}

  /** The number of its dimensions; 0 for a scalar. */
  get rank(): number {
    return this.shape.length;
  }
}

/** One operator, in its newest form; an absent optional input is `undefined`. */
export interface Node {
  /** Unique in the graph. */
  readonly name: string;
  /** The operator's domain. Default: ONNX's own. */
  readonly domain?: string;
  /** As ONNX calls the operator: `Conv`. */
  readonly opType: string;
  /** In the order of the operator's definition. */
  readonly inputs: readonly (Value | undefined)[];
  /** In the order of the operator's definition. */
  readonly outputs: readonly Value[];
  /** By ONNX's names. */
  readonly attributes: Attributes;
}

/** The data of a graph's parameters by name: a state_dict that fits. */
export type Weights = ReadonlyMap<string, TensorData>;

/** A finished graph, its nodes in an order in which they can run. */
export interface Graph {
  /** The graph's name in the model. */
  readonly name: string;
  /** What a run is fed, in the order of declaration. */
  readonly inputs: readonly Value[];
  /** What a run gives, in the order of declaration. */
  readonly outputs: readonly Value[];
  /** Named weights, in the order of their declaration: the state_dict. */
  readonly parameters: readonly Value[];
  /** Anonymous values that belong to the computation and not to the weights. */
  readonly constants: readonly Value[];
  /** Operators, each after those whose results it takes. */
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

/** The dtype of an ONNX number, or `undefined` for one that this library does not hold (string, complex, …). */
export const dtypeFromOnnx = (number: number): DType | undefined =>
  (Object.keys(ONNX_DTYPE) as DType[]).find((dtype) => ONNX_DTYPE[dtype] === number);

const LISTS = ['inputs', 'outputs', 'parameters', 'constants', 'nodes'] as const;

/**
 * @param where What takes the graph, for the message: `encodeModel`.
 * @throws GraphError `INVALID_GRAPH` if `graph` is not a finished graph: nothing at all, or a builder that was not built.
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
