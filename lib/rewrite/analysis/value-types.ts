/**
 * What is known of the values of a model: what it declares, and what follows from its nodes by the shape functions of
 * `lib/shapes`.
 */
import { dtypeFromOnnx } from '../../graph/types.js';
import { CONTRIB_DOMAIN, CONTRIB_OP, CONTRIB_SKIP_OP, FUSED_DOMAIN } from '../../lowering/types.js';
import type { GraphIndex } from '../../onnx/graph/graph-index.js';
import { bodiesOf, type InnerGraph, type LocalFunction } from '../../onnx/graph/inner-graph.js';
import type { Model } from '../../onnx/model.js';
import type { FindAttribute, ModelNode } from '../../onnx/graph/node.js';
import { ATTRIBUTE_TYPE } from '../../onnx/protobuf/proto.js';
import { addDims, divideDim, productDim, scaleDim } from '../../shapes/dims.js';
import { inferType, type KnownNode, MAX_RANK, type ValueType } from '../../shapes/operators.js';
import { shapePart } from '../../shapes/reshaping.js';
import {
  type Dim,
  type DType,
  int64Vector,
  type Shape,
  tensor,
  type TensorData,
  UNKNOWN_DIM,
} from '../../tensor.js';
import { bodyInputs, carriedTypes, resultTypes, type Types, UNKNOWN, withoutNames } from './body-types.js';
import { problemOf } from './node-checks.js';

/** A body or a local function, and what its surroundings say of it. */
interface Inside {
  readonly graph: InnerGraph;
  /** The values around the node whose body it is, or that calls it. */
  readonly outer: ValueTypes;
  /** The node that calls the function: its inputs are the function's, under other names. */
  readonly call?: ModelNode;
  /** The types of the inputs of a body. */
  readonly inputs: Types;
  /** Whether the sizes of these inputs may depend on optional inputs of the model. */
  readonly isVariable: boolean;
  /** Finds the attributes of the call of the local function that it is or lies in. */
  readonly attributes: FindAttribute | undefined;
  /** How many Loops around try types of their inputs, which are an assumption then. */
  readonly trials: number;
}

const NO_TYPES: Types = new Map();

const CONTROL_FLOW = ['If', 'Loop', 'Scan'];

/** The types of attributes that are one number. */
const NUMBERS: readonly number[] = [ATTRIBUTE_TYPE.INT, ATTRIBUTE_TYPE.FLOAT];

/** How deep functions and bodies lie in each other at most: others are left unknown. */
export const MAX_DEPTH = 64;

/**
 * How many Loops try types of their inputs at once: Loops within are left unknown then. Each Loop walks its body up to four
 * times, which multiplies.
 */
const MAX_TRIALS = 2;

/** What follows from the nodes for one value. */
interface Fact {
  readonly type?: ValueType | undefined;
  /** The result of a Constant node, or of an Identity node that reads a constant. */
  readonly constant?: TensorData | undefined;
  /** The elements of a vector or scalar of sizes. */
  sizes?: Shape;
}

/** A node whose result would have such a size, as a convolution with a window larger than its input has one below 0. */
interface ImpossibleSize {
  readonly node: ModelNode;
  readonly size: number;
}

/** What follows from the nodes. Every call of a function has one of these, so that sets are made when they are needed. */
interface Inferred {
  readonly facts: Map<string, Fact>;
  /** Values whose sizes may depend on optional inputs. The model declares the sizes that the default values give. */
  variable?: Set<string>;
  /** Optional inputs of integers, which other values may take their sizes from. */
  readonly optional?: ReadonlySet<string>;
}

/**
 * Knows dtypes, shapes and constants of a model's values. Exporters leave much out (TorchScript's declares only inputs and
 * outputs), so the first question walks the nodes once, in an order in which they can run, and infers the rest. The
 * answers stay true while passes replace nodes. `within` knows those of bodies and local functions.
 */
export class ValueTypes {
  #inferred: Inferred | undefined;
  #impossible: ImpossibleSize | undefined;
  #atRun: ValueTypes | undefined;
  readonly #nameSize: ((name: string, axis: number) => string) | undefined;
  /** `undefined` where only the graph is asked for: a small file may have many calls. */
  readonly #within: Map<ModelNode, readonly ValueTypes[]> | undefined;
  readonly #depth: number;

  /**
   * @param nameSize Names a size that is not known, in place of the name that the model declares.
   * @param inside The body or function whose values are meant; by default those of the graph.
   */
  constructor(
    readonly model: Model,
    nameSize?: (name: string, axis: number) => string,
    readonly inside?: Inside,
  ) {
    this.#nameSize = nameSize;
    this.#depth = inside ? inside.outer.#depth + 1 : 0;
    const isAsked = inside ? inside.outer.#within !== undefined : !nameSize && model.nestedOpTypes().size > 0;
    if (isAsked) this.#within = new Map();
  }

  /** Returns what the model declares, except sizes that contradict the inferred ones, and what is inferred for the rest. */
  typeOf(name: string | undefined): ValueType {
    if (!name) return UNKNOWN;
    const outside = this.#outside(name);
    if (outside) return outside.types.typeOf(outside.name);
    const { facts, variable } = this.#known();
    const inferred = facts.get(name)?.type;
    const declared = variable?.has(name) ? undefined : this.index.typeOf(name);
    const type = declared ? reconciled(declared, inferred?.shape) : (inferred ?? UNKNOWN);
    return this.#nameSize ? withOwnNames(type, inferred?.shape, (axis) => this.#nameSize!(name, axis)) : type;
  }

  /**
   * The same model, with a name of its own for each size that is not known. Equal sizes of these types are equal in every
   * run. The names that a model declares do not promise that: a caller may give the inputs any sizes.
   */
  get atRun(): ValueTypes {
    if (this.#atRun) return this.#atRun;
    const { model, inside } = this;
    // The sizes of a body's inputs may have names of the model's.
    const within = inside && {
      ...inside,
      outer: inside.outer.atRun,
      inputs: new Map([...inside.inputs].map(([name, type]) => [name, withoutNames(type)])),
    };
    return (this.#atRun = new ValueTypes(model, sizeNamer(this.#depth), within));
  }

  /** Returns the data of an initializer or of a Constant's result, if the model holds it. */
  constant(name: string | undefined): TensorData | undefined {
    if (!name) return undefined;
    const outside = this.#outside(name);
    if (outside) return outside.types.constant(outside.name);
    return this.#known().facts.get(name)?.constant ?? this.index.constant(name);
  }

  /** Returns the elements of a vector or scalar of sizes, as far as known; `undefined` if even their number is not. */
  sizes(name: string | undefined): Shape | undefined {
    if (!name) return undefined;
    const outside = this.#outside(name);
    if (outside) return outside.types.sizes(outside.name);
    const constant = this.constant(name);
    if (constant) return sizesOf(constant);
    const vector = this.#known().facts.get(name)?.sizes;
    if (vector) return vector;
    const [length, ...others] = this.typeOf(name).shape ?? [];
    return typeof length === 'number' && others.length === 0 && length <= MAX_RANK
      ? Array<string>(length).fill(UNKNOWN_DIM)
      : undefined;
  }

  /**
   * Returns the values in a node's bodies, or in the local function that the node calls; an empty list for other nodes, and
   * deeper than {@link MAX_DEPTH}.
   */
  within(node: ModelNode): readonly ValueTypes[] {
    const known = this.#within?.get(node);
    if (known) return known;
    const callee = this.model.functionOf(node);
    const isTooDeep = this.#depth === MAX_DEPTH;
    const found = isTooDeep ? [] : callee ? [this.#inCall(node, callee)] : this.#inBodies(node);
    if (found.length > 0) this.#within?.set(node, found);
    return found;
  }

  /** Returns the node of a local function with the attributes that the call gives; other nodes as they are. */
  asCalled(node: ModelNode): ModelNode {
    const attributes = this.inside?.attributes;
    return attributes ? node.within(attributes) : node;
  }

  /** The first node whose result would have a size that no tensor has. */
  get impossibleSize(): ImpossibleSize | undefined {
    this.#known();
    return this.#impossible;
  }

  /** What the names mean in the graph, the body or the function whose values these are. */
  get index(): GraphIndex {
    return this.inside?.graph.index ?? this.model.index;
  }

  /**
   * Returns a node as it is called; `undefined` for a node of a body or function that breaks a rule, for these nodes were not
   * checked before. Attributes that stand for a list or a tensor of the call are not followed: every call would read them anew.
   */
  #readable(node: ModelNode): ModelNode | undefined {
    if (!this.inside) return node;
    if (problemOf(node, this.model.opset) !== undefined) return undefined;
    for (const { reference, type } of node.attributes())
      if (reference && !NUMBERS.includes(type)) return undefined;
    return this.asCalled(node);
  }

  /** Returns where else a value is known; `undefined` for the own values of this graph, body or function. */
  #outside(name: string): { readonly types: ValueTypes; readonly name: string } | undefined {
    if (!this.inside) return undefined;
    const { graph, outer, call } = this.inside;
    const position = call && graph.positionOf(name);
    if (position !== undefined) return { types: outer, name: call!.inputs[position] ?? '' };
    const isOuter = graph.place.kind === 'body' && !graph.index.defines(name);
    return isOuter ? { types: outer, name } : undefined;
  }

  #inCall(node: ModelNode, graph: LocalFunction): ValueTypes {
    return this.#inner({ graph, call: node, attributes: graph.attributesOf(this.asCalled(node)) });
  }

  #inBodies(node: ModelNode): ValueTypes[] {
    const isVariable = node.inputs.some((name) => this.#isVariable(name));
    const readable = this.#readable(node);
    return bodiesOf(node).map((graph) => {
      const trials = this.inside?.trials ?? 0;
      const inBody = (inputs: Types, more = 0) =>
        this.#inner({ graph, inputs, isVariable, trials: trials + more });
      if (!readable) return inBody(NO_TYPES);
      const first = bodyInputs(readable, graph, (name) => this.typeOf(name));
      if (node.opType !== 'Loop') return inBody(first);
      const carried = carriedTypes(first, (inputs) => inBody(inputs, 1).results.slice(1));
      // In the trial of a Loop around it, the Loops within are tried no deeper: their number would grow with the square of the depth.
      return inBody(carried, trials > 0 ? 1 : 0);
    });
  }

  #inner(inside: Pick<Inside, 'graph'> & Partial<Inside>): ValueTypes {
    return new ValueTypes(this.model, undefined, {
      outer: this,
      inputs: NO_TYPES,
      isVariable: false,
      attributes: this.inside?.attributes,
      trials: this.inside?.trials ?? 0,
      ...inside,
    });
  }

  /** The types of the results of this body or function. */
  get results(): ValueType[] {
    return this.inside!.graph.outputs.map((name) => this.typeOf(name));
  }

  /** Returns whether the sizes of a value may depend on optional inputs. */
  #isVariable(name: string): boolean {
    const outside = this.#outside(name);
    if (outside) return outside.types.#isVariable(outside.name);
    const { variable, optional } = this.#known();
    return variable?.has(name) || optional?.has(name) || false;
  }

  #known(): Inferred {
    if (this.#inferred) return this.#inferred;
    const index = this.index;
    const integers = index.optionalInputs.filter(({ dtype }) => dtype === 'int64');
    const { inputs = NO_TYPES, isVariable = false } = this.inside ?? {};
    const inferred: Inferred = {
      facts: new Map([...inputs].map(([name, type]) => [name, { type }])),
      ...(isVariable && { variable: new Set(inputs.keys()) }),
      ...(integers.length > 0 && { optional: new Set(integers.map(({ name }) => name)) }),
    };
    this.#inferred = inferred;
    const mayVary = integers.length > 0 || this.inside !== undefined;
    const isVarying = (node: ModelNode) =>
      mayVary && [...index.readsOf(node)].some((name) => this.#isVariable(name));
    for (const node of index.nodes) {
      if (isVarying(node)) for (const name of node.outputs) (inferred.variable ??= new Set()).add(name);
      this.#read(node, inferred.facts);
    }
    return this.#inferred;
  }

  #read(node: ModelNode, facts: Inferred['facts']): void {
    if (this.model.isFunctionCall(node)) {
      setAll(facts, node, (this.within(node)[0]?.results ?? []).map(withoutNames));
      return;
    }
    const called = this.#readable(node);
    const [output] = node.outputs;
    if (!called || !output || !isKnownOperator(node)) return;
    if (CONTROL_FLOW.includes(node.opType)) {
      if (node.opType === 'Loop' && this.inside?.trials === MAX_TRIALS) return;
      const bodies = this.within(node).map((one) => ({ inputs: one.inside!.inputs, results: one.results }));
      setAll(facts, node, resultTypes(called, bodies));
      return;
    }
    const constant = node.opType === 'Constant' ? constantOf(node) : undefined;
    const known = constant ?? (node.opType === 'Identity' ? this.constant(node.inputs[0]) : undefined);
    const inferred = constant ? undefined : inferType(asKnownNode(called, this));
    if (inferred?.impossible !== undefined) this.#impossible ??= { node, size: inferred.impossible };
    const type = constant ? { dtype: constant.dtype, shape: constant.dims } : inferred;
    const outputs = ['Split', CONTRIB_SKIP_OP].includes(node.opType) ? node.outputs : [output];
    const fact: Fact = { type, constant: known };
    if (type || known) facts.set(output, fact);
    for (const name of type ? outputs.slice(1) : []) if (name) facts.set(name, { type });
    const vector = constant ? undefined : vectorOf(called, this);
    if (!vector || vector.length > MAX_RANK) return;
    fact.sizes = vector.map(withoutLongNames);
    facts.set(output, fact);
  }
}

function setAll(facts: Inferred['facts'], { outputs }: ModelNode, results: readonly ValueType[]): void {
  for (const [at, name] of outputs.entries()) if (name && results[at]) facts.set(name, { type: results[at] });
}

/** The most elements of a constant of sizes: Pad has two for each dimension. */
const MAX_SIZES = 2 * MAX_RANK;

/** Returns the elements of a constant, or `undefined` if they are too many to be sizes. */
const sizesOf = ({ data }: TensorData): Shape | undefined =>
  data.length <= MAX_SIZES ? Array.from(data as ArrayLike<number | bigint>, Number) : undefined;

/** The operators of ONNX Runtime's domain that the table of shape functions has. */
const CONTRIB_OPERATORS: readonly string[] = [
  CONTRIB_OP,
  CONTRIB_SKIP_OP,
  'BiasAdd',
  'NhwcConv',
  'QuickGelu',
];

const isKnownOperator = ({ domain, opType }: ModelNode): boolean =>
  domain === '' ||
  domain === FUSED_DOMAIN ||
  (domain === CONTRIB_DOMAIN && CONTRIB_OPERATORS.includes(opType));

/** Returns the node as the table of shape functions reads it. */
const asKnownNode = (node: ModelNode, types: ValueTypes): KnownNode => ({
  opType: node.opType,
  inputs: node.inputs.map((name) => types.typeOf(name)),
  outputCount: node.outputs.length,
  has: (index) => Boolean(node.inputs[index]),
  sizes: (index) => types.sizes(node.inputs[index]),
  number: (attribute) => node.number(attribute),
  numbers: (attribute) => node.numbers(attribute),
  text: (attribute) => node.text(attribute),
  dtype: (attribute) => dtypeFromOnnx(node.number(attribute) ?? 0),
});

/**
 * Returns the declared type with inferred sizes in place of those that it leaves open, and without sizes that the inferred
 * shape contradicts. A model whose inputs got other sizes after its export still declares the old sizes inside; such a
 * dimension is unknown, even where a name is inferred.
 */
function reconciled(declared: ValueType, inferred: Shape | undefined): ValueType {
  const { dtype, shape } = declared;
  if (!shape || shape.length !== inferred?.length) return declared;
  const isContradicted = (dim: Dim, axis: number) =>
    typeof dim === 'number' && inferred[axis] !== UNKNOWN_DIM && inferred[axis] !== dim;
  const known = (dim: Dim, axis: number): Dim =>
    dim === UNKNOWN_DIM || (typeof dim === 'string' && typeof inferred[axis] === 'number')
      ? inferred[axis]!
      : isContradicted(dim, axis)
        ? UNKNOWN_DIM
        : dim;
  return { dtype, shape: shape.map(known) };
}

/** Returns the type with a name of its own for each size that is neither known nor inferred. */
function withOwnNames(
  { dtype, shape }: ValueType,
  inferred: Shape | undefined,
  nameOf: (axis: number) => string,
): ValueType {
  const follows = inferred?.length === shape?.length ? inferred : undefined;
  const named = (dim: Dim, axis: number): Dim => {
    if (typeof dim === 'number') return dim;
    const other = follows?.[axis];
    return typeof other === 'string' && other !== UNKNOWN_DIM ? other : nameOf(axis);
  };
  return { dtype, shape: shape?.map(named) };
}

/** Returns a function that names each axis of each value of a graph, body or function at this depth: `d0_0_1`. */
function sizeNamer(depth: number): (name: string, axis: number) => string {
  const numbers = new Map<string, number>();
  return (name, axis) => {
    const number = numbers.get(name) ?? numbers.size;
    numbers.set(name, number);
    return `d${depth}_${number}_${axis}`;
  };
}

/** The longest expression that is kept: expressions of expressions would otherwise grow without bound. */
const MAX_EXPRESSION = 100;

const withoutLongNames = (dim: Dim): Dim =>
  typeof dim === 'string' && dim.length > MAX_EXPRESSION ? UNKNOWN_DIM : dim;

/** Operators whose result has the elements of their first input in the same order. */
const MOVING: ReadonlySet<string> = new Set(['Cast', 'Identity', 'Reshape', 'Squeeze', 'Unsqueeze']);

const ARITHMETIC: ReadonlyMap<string, (a: Dim, b: Dim) => Dim> = new Map([
  ['Add', (a: Dim, b: Dim) => addDims(a, b)],
  ['Sub', (a: Dim, b: Dim) => addDims(a, scaleDim(b, -1))],
  ['Mul', (a: Dim, b: Dim) => productDim([a, b])],
  ['Div', quotientOf],
]);

/** Returns a / b. ONNX rounds towards 0 and `divideDim` downwards, so that a difference, which may be negative, is unknown. */
function quotientOf(a: Dim, b: Dim): Dim {
  const mayBeNegative = typeof a === 'number' ? a < 0 : a.includes('-');
  return typeof b === 'number' && !mayBeNegative ? divideDim(a, b) : UNKNOWN_DIM;
}

/**
 * Returns the elements of a node's result if they are sizes: a part of a shape, or what follows from such parts by
 * arithmetic, in a vector or a scalar.
 */
function vectorOf(node: ModelNode, types: ValueTypes): Shape | undefined {
  if (node.opType === 'Shape') {
    const { shape } = types.typeOf(node.inputs[0]);
    return shape && shapePart(shape, node.number('start'), node.number('end'));
  }
  if (!isShort(types.typeOf(node.outputs[0]))) return undefined;
  const [first, second] = node.inputs;
  if (MOVING.has(node.opType)) return sizesIn(types, first);
  const combine = ARITHMETIC.get(node.opType);
  if (combine) return combined(sizesIn(types, first), sizesIn(types, second), combine);
  switch (node.opType) {
    case 'Concat': {
      const parts = node.inputs.slice(0, MAX_RANK).map((name) => sizesIn(types, name));
      const isKnown = node.inputs.length <= MAX_RANK && parts.every((part) => part !== undefined);
      return isKnown ? parts.flat() : undefined;
    }
    case 'Gather': {
      const whole = sizesIn(types, first);
      return whole && sizesIn(types, second)?.map((index) => elementAt(whole, index));
    }
    case 'ReduceProd': {
      const factors = sizesIn(types, first);
      return factors && [productDim(factors)];
    }
    case 'Slice':
      return sliceOf(node, types);
    default:
      return undefined;
  }
}

const elementAt = (whole: Shape, index: Dim): Dim =>
  typeof index === 'number' ? (whole.at(index) ?? UNKNOWN_DIM) : UNKNOWN_DIM;

/** Combines two vectors element by element; one of them may be a single element. */
function combined(
  a: Shape | undefined,
  b: Shape | undefined,
  combine: (a: Dim, b: Dim) => Dim,
): Shape | undefined {
  if (!a || !b || (a.length !== b.length && a.length !== 1 && b.length !== 1)) return undefined;
  const length = a.length === 1 ? b.length : a.length;
  const pick = (list: Shape, index: number): Dim => list[list.length === 1 ? 0 : index]!;
  return Array.from({ length }, (_, index) => combine(pick(a, index), pick(b, index)));
}

/** Returns the elements of a slice of a vector of sizes, from one known index to another with step 1. */
function sliceOf(node: ModelNode, types: ValueTypes): Shape | undefined {
  const whole = sizesIn(types, node.inputs[0]);
  const bound = (index: number, attribute: string) =>
    types.sizes(node.inputs[index])?.[0] ?? node.numbers(attribute)?.[0];
  const [from, to] = [bound(1, 'starts'), bound(2, 'ends')];
  const [step] = types.sizes(node.inputs[4]) ?? [1];
  return typeof from === 'number' && typeof to === 'number' && step === 1
    ? whole?.slice(from, to)
    : undefined;
}

/** Returns the elements of a value, if it is a short vector or a scalar of integers. */
function sizesIn(types: ValueTypes, name: string | undefined): Shape | undefined {
  const type = types.typeOf(name);
  return isShort(type) && isInteger(type.dtype) ? types.sizes(name) : undefined;
}

const isInteger = (dtype: DType | undefined): boolean => dtype === 'int64' || dtype === 'int32';

const isShort = ({ shape }: ValueType): boolean =>
  shape?.length === 0 || (shape?.length === 1 && typeof shape[0] === 'number' && shape[0] <= MAX_RANK);

/** The longest list of a Constant that is read: passes read single numbers and sizes. */
const MAX_LIST = 2 ** 16;

/** The results of Constant nodes. Many calls may run the Constant of one function, so each is read once. */
const CONSTANTS = new WeakMap<ModelNode, TensorData | undefined>();

function constantOf(node: ModelNode): TensorData | undefined {
  if (!CONSTANTS.has(node)) CONSTANTS.set(node, readConstant(node));
  return CONSTANTS.get(node);
}

/** Returns the data of a Constant node, in each of the attributes that may hold it. */
function readConstant(node: ModelNode): TensorData | undefined {
  const held = node.tensor('value');
  if (held) return held;
  const [oneFloat, oneInt] = [node.number('value_float'), node.number('value_int')];
  if (oneFloat !== undefined) return tensor('float32', [], Float32Array.of(oneFloat));
  if (oneInt !== undefined) return tensor('int64', [], BigInt64Array.of(BigInt(oneInt)));
  const [floats, ints] = ['value_floats', 'value_ints'].map((name) => node.numbersUpTo(name, MAX_LIST));
  if (floats && floats !== 'longer') return tensor('float32', [floats.length], Float32Array.from(floats));
  return ints && ints !== 'longer' ? int64Vector(ints) : undefined;
}
