/** The canonical graph: what is computed, with no word about opsets, runtimes or files. */
import type { DType, Shape, TensorData } from '../tensor.js';

/** An attribute with the type that ONNX gives it: an ONNX FLOAT and an ONNX INT are both numbers here. */
export type Attribute =
  | { readonly type: 'INT'; readonly value: number }
  | { readonly type: 'FLOAT'; readonly value: number }
  | { readonly type: 'STRING'; readonly value: string }
  | { readonly type: 'INTS'; readonly value: readonly number[] }
  | { readonly type: 'FLOATS'; readonly value: readonly number[] };

/** An ONNX INT: an integer, kept in 64 bits. A flag is 0 or 1. */
export const int = (value: number): Attribute => ({ type: 'INT', value });
/** An ONNX FLOAT: a number, kept in float32. */
export const float = (value: number): Attribute => ({ type: 'FLOAT', value });
/** An ONNX STRING: text, kept in UTF-8. */
export const text = (value: string): Attribute => ({ type: 'STRING', value });
/** An ONNX FLOATS: a list of numbers, kept in float32. */
export const floats = (value: readonly number[]): Attribute => ({ type: 'FLOATS', value });
/** An ONNX INTS: a list of integers, kept in 64 bits each. */
export const ints = (value: readonly number[]): Attribute => ({ type: 'INTS', value });

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
