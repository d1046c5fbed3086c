import { GraphError } from '../errors.js';
import { checkedTensor, type DType, formatShape, isStatic, type Shape, type TensorData } from '../tensor.js';
import {
  requireAttributes,
  requireDType,
  requireInit,
  requireName,
  requireObject,
  requireShape,
} from './declarations.js';
import { type Attributes, type Graph, type Init, type Node, Value } from './types.js';

/** What an operator says of one of its results. */
export interface OutputType {
  /** What its elements are. */
  readonly dtype: DType;
  /** Sizes, and names or expressions for those that are known only at run time. */
  readonly shape: Shape;
}

/** How a parameter is declared: its dtype and fixed shape, and what fills it where no weights are given. */
export interface ParameterType {
  /** What its elements are. */
  readonly dtype: DType;
  /** Sizes; names are not allowed. */
  readonly shape: readonly number[];
  /** Default: zeros. Integers and bool may be zeros or ones only. */
  readonly init?: Init;
}

/** What all scopes of one graph share. */
interface State {
  readonly names: Set<string>;
  readonly reserved: ReadonlySet<string>;
  /** The next number for a made name, so that many alike are not tried one by one. */
  readonly nextNumber: Map<string, number>;
  readonly inputs: Value[];
  readonly outputs: Value[];
  readonly parameters: Value[];
  readonly constants: Value[];
  readonly nodes: Node[];
}

/**
 * A place in a graph under a dotted prefix, as a PyTorch module is a place in a model: the parameters that
 * are declared in `g.scope('enc1').scope('0')` are called `enc1.0.weight`, `enc1.0.bias`.
 */
export class Scope {
  constructor(
    protected readonly state: State,
    /** Dotted path, `''` at the root. */
    readonly path: string,
  ) {}

  /** The scope below this one. `name` may itself be dotted. */
  scope(name: string): Scope {
    requireName(name, 'scope');
    return new Scope(this.state, this.qualify(name));
  }

  /**
   * A weight, named by its state_dict key; its data comes later, from a state_dict or from its `init`.
   * @throws GraphError `DUPLICATE_NAME`, `INVALID_NAME`, `INVALID_DTYPE`, `INVALID_SHAPE` or `INVALID_ATTRIBUTE`.
   */
  parameter(name: string, type: ParameterType): Value {
    requireName(name, 'parameter');
    const fullName = this.qualify(name);
    requireObject(type, `parameter '${fullName}': its type`);
    const { dtype, shape, init } = type;
    requireDType(dtype, `parameter '${fullName}'`);
    requireShape(shape, `parameter '${fullName}'`);
    if (!isStatic(shape)) {
      throw new GraphError(
        'INVALID_SHAPE',
        `parameter '${fullName}': every dimension must be a number, not ${formatShape(shape)}`,
      );
    }
    requireInit(init, dtype, `parameter '${fullName}'`);
    this.claim(fullName, 'parameter');
    const value = new Value(this.state, 'parameter', fullName, dtype, [...shape], undefined, init);
    this.state.parameters.push(value);
    return value;
  }

  /**
   * A tensor that belongs to the computation, such as a target shape; it is in no state_dict.
   * @throws TensorError if its data contradicts its shape.
   */
  constant(data: TensorData, hint = 'constant'): Value {
    const { dtype, dims } = checkedTensor(data);
    const value = new Value(this.state, 'constant', this.freshName(hint), dtype, dims, data);
    this.state.constants.push(value);
    return value;
  }

  /**
   * Adds a node of any operator of ONNX's own domain, in its newest form. The functions in `op` call this once they have
   * checked their inputs and inferred the results; for an operator that `op` does not have, the caller says what they
   * are: `g.node('Elu', [x], { alpha: attr.float(0.5) }, [{ dtype: x.dtype, shape: x.shape }])`.
   * @param inputs In the order of the operator's definition; `undefined` for an optional one that is left out.
   * @param attributes By ONNX's names; the makers in `attr` make them.
   * @param outputs Dtype and shape of each result.
   * @throws GraphError `FOREIGN_VALUE` if an input belongs to another graph, `MISSING_VALUE` if it is not a value, or
   *   there is no list of them; `INVALID_ATTRIBUTE`, `INVALID_NAME`, `INVALID_DTYPE` or `INVALID_SHAPE` for the rest.
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
        `${where}: its inputs must be a list of values, and its outputs one of { dtype, shape }`,
      );
    }
    inputs.forEach((input, index) => this.requireOwn(input, `${where}: input ${index}`));
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

  /** How messages name an operator that is being made here: `GroupNormalization 'enc1.double_conv.1'`. */
  describe(opType: string): string {
    return this.path ? `${opType} '${this.path}'` : opType;
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
    if (this.state.names.has(name)) {
      throw new GraphError('DUPLICATE_NAME', `${what} '${name}': the graph already has a value of this name`);
    }
    this.state.names.add(name);
    return name;
  }

  private qualify(name: string): string {
    return this.path ? `${this.path}.${name}` : name;
  }

  /** `/enc1/0/Conv`, `/enc1/0/Conv_1`, …: the leading slash keeps made names apart from state_dict keys. */
  private freshName(hint: string): string {
    const base = `/${[...(this.path ? this.path.split('.') : []), hint].join('/')}`;
    const { names, reserved, nextNumber } = this.state;
    let name = base;
    let number = nextNumber.get(base) ?? 1;
    while (names.has(name) || reserved.has(name)) name = `${base}_${number++}`;
    nextNumber.set(base, number);
    names.add(name);
    return name;
  }
}

function requireOutputType(output: OutputType, where: string): void {
  requireObject(output, where);
  requireDType(output.dtype, where);
  requireShape(output.shape, where);
}

/** Builders that join one model, one after the other, go on with each other's numbers. */
const NUMBERS = new WeakMap<ReadonlySet<string>, Map<string, number>>();

function numbersFor(reservedNames: ReadonlySet<string>): Map<string, number> {
  const numbers = NUMBERS.get(reservedNames) ?? new Map<string, number>();
  NUMBERS.set(reservedNames, numbers);
  return numbers;
}

/**
 * Builds a canonical graph. Types and shapes are inferred when an operator is added, so a mistake is reported
 * at the line that made it.
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
   * @param reservedNames Names that made values must avoid: those of a model that the nodes are to join.
   */
  constructor(
    readonly name: string,
    reservedNames: ReadonlySet<string> = new Set(),
  ) {
    const names = new Set<string>();
    super(
      {
        names,
        reserved: reservedNames,
        nextNumber: numbersFor(reservedNames),
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
   * A graph input. A dimension is a size (0 allowed) or a name for one that is known only at run time.
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
   * Declares `value` as a result of the graph. An input or parameter, or a value that is an output already,
   * is passed through an Identity, because ONNX names a value once.
   * @throws GraphError `MISSING_VALUE`, `FOREIGN_VALUE`, `DUPLICATE_NAME` or `INVALID_NAME`.
   */
  output(name: string, value: Value): Value {
    requireName(name, 'output');
    if (value === undefined) {
      throw new GraphError('MISSING_VALUE', `output '${name}': there is no value to declare`);
    }
    this.requireOwn(value, `output '${name}'`);
    this.claim(name, 'output');
    const result =
      value.kind === 'node' && !this.state.outputs.includes(value)
        ? value
        : this.node('Identity', [value], {}, [{ dtype: value.dtype, shape: value.shape }])[0]!;
    this.state.names.delete(result.name);
    result.name = name;
    this.state.names.add(name);
    this.state.outputs.push(result);
    return result;
  }

  /**
   * The graph as it stands now; the builder may go on.
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
