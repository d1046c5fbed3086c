/** Builds canonical graphs: `GraphBuilder`, and the scopes that name its parameters. */
import { GraphError } from '../errors.js';
import { checkedTensor, type DType, formatShape, isStatic, type Shape, type TensorData } from '../tensor.js';
import {
  requireAttributes,
  requireDType,
  requireInit,
  requireName,
  requireObject,
  requireShape,
  requireStandardizeEps,
} from './declarations.js';
import { type Attributes, type Branch, type Graph, type Init, type Node, Value } from './types.js';

/** The type of one result of an operator. */
export interface OutputType {
  /** The type of the elements. */
  readonly dtype: DType;
  /** Sizes, and names or expressions for sizes that are known only at run time. */
  readonly shape: Shape;
}

/** The type of a parameter, and the values that it has without weights. */
export interface ParameterType {
  /** The type of the elements. */
  readonly dtype: DType;
  /** Sizes; names are not allowed. */
  readonly shape: readonly number[];
  /** The parameter's values where no weights are given. Default: zeros. Integers and bool may be zeros or ones only. */
  readonly init?: Init;
  /**
   * For the weight of a convolution whose output channels are standardised: the number added to each variance. The model has
   * the result of `standardizeWeight` in place of the tensor of the state_dict. Default: the tensor as it is.
   */
  readonly standardizeEps?: number | undefined;
}

/** The state that all scopes of one graph share. */
interface State {
  /** The names that inputs, outputs and parameters must avoid: their own and, if the graph stands alone, the made names. */
  readonly declared: Set<string>;
  /** The names that made names must avoid: all names of the graph, and of the model that its nodes are added to. */
  readonly taken: Set<string>;
  /** The next number for a made name, so that names are not tried one by one. */
  readonly nextNumber: Map<string, number>;
  readonly inputs: Value[];
  readonly outputs: Value[];
  readonly parameters: Value[];
  readonly constants: Value[];
  readonly nodes: Node[];
}

/**
 * A place in a graph under a dotted prefix, as a PyTorch module is a place in a model: parameters declared in
 * `g.scope('enc1').scope('0')` are named `enc1.0.weight` and `enc1.0.bias`.
 */
export class Scope {
  /** What made names begin with: `/enc1/0/`. */
  readonly #prefix: string;

  /** @internal */
  constructor(
    protected readonly state: State,
    /** The dotted prefix; `''` at the root. */
    readonly path: string,
  ) {
    this.#prefix = path ? `/${path.replaceAll('.', '/')}/` : '/';
  }

  /**
   * Returns the scope `name` below this one. `name` may itself be dotted.
   * @throws GraphError `INVALID_NAME`.
   */
  scope(name: string): Scope {
    requireName(name, 'scope');
    return new Scope(this.state, this.qualify(name));
  }

  /**
   * Declares a parameter, named by its state_dict key. Its data comes later, from a state_dict or from `init`.
   * @throws GraphError `DUPLICATE_NAME`, `INVALID_NAME`, `INVALID_DTYPE`, `INVALID_SHAPE` or `INVALID_ATTRIBUTE`.
   */
  parameter(name: string, type: ParameterType): Value {
    requireName(name, 'parameter');
    const fullName = this.qualify(name);
    requireObject(type, `parameter '${fullName}': its type`);
    const { dtype, shape, init, standardizeEps } = type;
    requireDType(dtype, `parameter '${fullName}'`);
    requireShape(shape, `parameter '${fullName}'`);
    if (!isStatic(shape)) {
      throw new GraphError(
        'INVALID_SHAPE',
        `parameter '${fullName}': every dimension must be a number, not ${formatShape(shape)}`,
      );
    }
    requireInit(init, dtype, `parameter '${fullName}'`);
    requireStandardizeEps(standardizeEps, { dtype, shape }, `parameter '${fullName}'`);
    this.claim(fullName, 'parameter');
    const value = new Value(
      this.state,
      'parameter',
      fullName,
      dtype,
      [...shape],
      undefined,
      init,
      standardizeEps,
    );
    this.state.parameters.push(value);
    return value;
  }

  /**
   * Adds a constant that belongs to the computation and not to the state_dict, such as a target shape.
   * @param data The constant's dtype, dims and elements.
   * @param hint What the constant's name is made of.
   * @throws TensorError `TENSOR_INVALID` if the data contradicts the shape.
   */
  constant(data: TensorData, hint = 'constant'): Value {
    const { dtype, dims } = checkedTensor(data);
    const value = new Value(this.state, 'constant', this.freshName(hint), dtype, dims, data);
    this.state.constants.push(value);
    return value;
  }

  /**
   * Adds a node of any operator of ONNX's own domain, in its newest form. The functions in `op` check their inputs,
   * infer the results and call this. For an operator that `op` does not have, the caller gives the types of the
   * results: `g.node('Elu', [x], { alpha: attr.float(0.5) }, [{ dtype: x.dtype, shape: x.shape }])`.
   * Source: the operator's page in the ONNX documentation.
   * @param inputs In the order of the operator's definition; `undefined` for an optional input that is left out.
   * @param attributes By ONNX's names, made by the functions of `attr`.
   * @param outputs Dtype and shape of each result.
   * @throws GraphError `FOREIGN_VALUE` if an input belongs to another graph; `MISSING_VALUE` if an input is not a value,
   *   or `inputs` or `outputs` is not a list; `INVALID_ATTRIBUTE`, `INVALID_NAME`, `INVALID_DTYPE`, `INVALID_SHAPE`.
   */
  node(
    opType: string,
    inputs: readonly (Value | undefined)[],
    attributes: Attributes,
    outputs: readonly OutputType[],
  ): Value[] {
    requireName(opType, 'operator');
    const where = this.describe(opType);
    if (![inputs, outputs].every((list: unknown) => Array.isArray(list))) {
      throw new GraphError(
        'MISSING_VALUE',
        `${where}: its inputs must be a list of values, and its outputs a list of { dtype, shape }`,
      );
    }
    for (const [index, input] of inputs.entries())
      if (!this.#owns(input)) this.requireOwn(input, `${where}: input ${index}`);
    requireAttributes(attributes, where);
    outputs.forEach((output, index) => requireOutputType(output, `${where}: output ${index}`));
    const name = this.freshName(opType);
    const results = outputs.map(
      ({ dtype, shape }, index) =>
        new Value(this.state, 'node', this.freshName(`${opType}_output_${index}`), dtype, shape),
    );
    this.state.nodes.push({ name, opType, inputs: [...inputs], outputs: results, attributes });
    return results;
  }

  /**
   * Adds an If. Only the nodes that the chosen function has added run.
   * @param condition (1), bool.
   * @param then Adds the nodes of a branch and returns its result, which must come from one of them; `otherwise` likewise,
   *   with a result of the same type.
   * @internal
   */
  branch(condition: Value, then: () => Value, otherwise: () => Value): Value {
    const { nodes } = this.state;
    const branchOf = (add: () => Value): Branch => {
      const start = nodes.length;
      const result = add();
      return { nodes: nodes.splice(start), result };
    };
    const branches = [branchOf(then), branchOf(otherwise)] as const;
    const { dtype, shape } = branches[1].result;
    const [result] = this.node('If', [condition], {}, [{ dtype, shape }]);
    nodes.push({ ...nodes.pop()!, branches });
    return result!;
  }

  /** Returns the name of an operator of this scope for messages: `GroupNormalization 'enc1.double_conv.1'`. */
  describe(opType: string): string {
    return this.path ? `${opType} '${this.path}'` : opType;
  }

  #owns(value: Value | undefined): boolean {
    return value === undefined || (value instanceof Value && value.owner === this.state);
  }

  protected requireOwn(value: Value | undefined, where: string): void {
    if (value === undefined) return;
    if (!(value instanceof Value)) {
      throw new GraphError('MISSING_VALUE', `${where} is not a value of a graph`);
    }
    if (value.owner !== this.state) {
      throw new GraphError(
        'FOREIGN_VALUE',
        `${where} is '${value.name}' ${formatShape(value.shape)}, which belongs to another graph`,
      );
    }
  }

  protected claim(name: string, what: string): string {
    const { declared, taken } = this.state;
    if (declared.has(name)) {
      throw new GraphError('DUPLICATE_NAME', `${what} '${name}': the graph already has a value of this name`);
    }
    declared.add(name);
    taken.add(name);
    return name;
  }

  private qualify(name: string): string {
    return this.path ? `${this.path}.${name}` : name;
  }

  /** Makes `/enc1/0/Conv`, `/enc1/0/Conv_1`, …: the leading slash keeps made names apart from state_dict keys. */
  private freshName(hint: string): string {
    const base = this.#prefix + hint;
    const { taken, nextNumber } = this.state;
    let name = base;
    let number = nextNumber.get(base) ?? 1;
    while (taken.has(name)) name = `${base}_${number++}`;
    nextNumber.set(base, number);
    taken.add(name);
    return name;
  }
}

function requireOutputType(output: OutputType, where: string): void {
  requireObject(output, where);
  requireDType(output.dtype, where);
  requireShape(output.shape, where);
}

/** The numbers for made names by model: builders that add to one model, one after the other, share them. */
const NUMBERS = new WeakMap<ReadonlySet<string>, Map<string, number>>();

function numbersFor(taken: ReadonlySet<string>): Map<string, number> {
  const numbers = NUMBERS.get(taken) ?? new Map<string, number>();
  NUMBERS.set(taken, numbers);
  return numbers;
}

/**
 * Builds a canonical graph. Infers types and shapes when an operator is added, so that a mistake is reported at the
 * line that made it.
 *
 * ```ts
 * const g = new GraphBuilder('demo');
 * const x = g.input('x', 'float32', ['N', 32, 'H', 'W']);
 * g.output('y', op.relu(g, x));
 * const graph = g.build();
 * ```
 */
export class GraphBuilder extends Scope {
  /**
   * @param name The graph's name in the model.
   * @param namesOfModel The names of a model that the nodes are added to: made names avoid these names, and are added to them.
   */
  constructor(
    readonly name: string,
    namesOfModel?: Set<string>,
  ) {
    const taken = namesOfModel ?? new Set<string>();
    super(
      {
        // Inputs and outputs of a part of a model are values of the model, and have its names.
        declared: namesOfModel ? new Set() : taken,
        taken,
        nextNumber: numbersFor(taken),
        inputs: [],
        outputs: [],
        parameters: [],
        constants: [],
        nodes: [],
      },
      '',
    );
  }

  /**
   * Declares a graph input.
   * @param shape Sizes (0 allowed), and names for sizes that are known only at run time: `['N', 32, 'H', 'W']`.
   * @throws GraphError `DUPLICATE_NAME`, `INVALID_NAME`, `INVALID_DTYPE` or `INVALID_SHAPE`.
   */
  input(name: string, dtype: DType, shape: Shape): Value {
    requireName(name, 'input');
    requireDType(dtype, `input '${name}'`);
    requireShape(shape, `input '${name}'`);
    const value = new Value(this.state, 'input', this.claim(name, 'input'), dtype, [...shape]);
    this.state.inputs.push(value);
    return value;
  }

  /**
   * Declares `value` as an output of the graph and returns it, renamed. An input, parameter or constant, or a value that
   * is an output already, goes through an Identity, because in ONNX a value has one name.
   * @throws GraphError `MISSING_VALUE`, `FOREIGN_VALUE`, `DUPLICATE_NAME` or `INVALID_NAME`.
   */
  output(name: string, value: Value): Value {
    requireName(name, 'output');
    if (value === undefined) {
      throw new GraphError(
        'MISSING_VALUE',
        `output '${name}': the value is undefined; pass a value of this graph, such as the result of an operator`,
      );
    }
    this.requireOwn(value, `output '${name}'`);
    this.claim(name, 'output');
    const result =
      value.kind === 'node' && !this.state.outputs.includes(value)
        ? value
        : this.node('Identity', [value], {}, [{ dtype: value.dtype, shape: value.shape }])[0]!;
    this.state.taken.delete(result.name);
    result.name = name;
    this.state.taken.add(name);
    this.state.outputs.push(result);
    return result;
  }

  /**
   * Returns the graph as it is now; more may be added to the builder afterwards.
   * @throws GraphError `MISSING_OUTPUT` if no output was declared.
   */
  build(): Graph {
    const { inputs, outputs, parameters, constants, nodes } = this.state;
    if (outputs.length === 0) {
      throw new GraphError(
        'MISSING_OUTPUT',
        `graph '${this.name}' has no outputs: declare one with output()`,
      );
    }
    return {
      name: this.name,
      inputs: [...inputs],
      outputs: [...outputs],
      parameters: [...parameters],
      constants: [...constants],
      nodes: [...nodes],
    };
  }
}
