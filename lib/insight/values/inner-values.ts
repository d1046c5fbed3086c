/**
 * Values in bodies and local functions, made values of the graph, so that a run can return them. A copy of the model passes
 * them on outwards, by one more output of each node on the way:
 *
 *     a function returns the value, and each call of it has the output
 *     both branches of an If return it: the other branch an empty tensor
 *     a Loop and a Scan stack the values of all iterations: (iterations, …)
 *
 * The last two need the dtype, and the same shape in every iteration.
 */
import { filledTensor } from '../../half.js';
import type { LocalFunction } from '../../onnx/graph/inner-graph.js';
import { bodiesOf, type GraphEdits, type InnerEdit, type InnerGraph } from '../../onnx/graph/inner-graph.js';
import { freshName, type Model } from '../../onnx/model.js';
import type { ModelNode } from '../../onnx/graph/node.js';
import { constantNode } from '../../onnx/graph/operators.js';
import { NodeProto } from '../../onnx/protobuf/proto.js';
import { encodeTensor } from '../../onnx/protobuf/tensors.js';
import type { ValueTypes } from '../../rewrite/analysis/value-types.js';
import { type DType, isStatic } from '../../tensor.js';

/** A step into a graph: the position of a node, and that of its body; a function that the node calls is body 0. */
export interface Step {
  readonly node: number;
  readonly body: number;
}

/** A value of the graph, or of a body or function. */
export interface InnerValue {
  /** The steps from the graph; none for a value of the graph itself. */
  readonly way: readonly Step[];
  readonly name: string;
  /** If it is there, the value is this output of the node that makes `name`, which may leave the output out. */
  readonly output?: number | undefined;
}

/** Where a run has a value. */
export interface PassedOn {
  /** The name in the graph. */
  readonly name: string;
  /** How many Loops and Scans lie on the way: each puts an axis of its iterations in front. */
  readonly loops: number;
}

/** Names a value: the same text for equal values. */
export const keyOf = ({ way, name, output }: InnerValue): string => JSON.stringify([way, name, output]);

/** Returns the dtype of a value, as far as it is known, or why a run cannot have the value. */
function check(types: ValueTypes, { way, name }: InnerValue): { readonly dtype: DType | undefined } | string {
  const nodes: ModelNode[] = [];
  let inner = types;
  for (const step of way) {
    const node = inner.index.nodes[step.node]!;
    if (!inner.model.isFunctionCall(node)) nodes.push(node);
    inner = inner.within(node)[step.body]!;
  }
  const { dtype, shape } = inner.typeOf(name);
  for (const node of nodes) {
    const { opType } = node;
    const where = `${opType} '${node.name || node.outputs[0]}'`;
    if (!['If', 'Loop', 'Scan'].includes(opType)) return `it lies in the body of ${where}`;
    if (dtype === undefined) return `it lies in a body of ${where}, and its dtype is not known`;
    if (opType !== 'If' && !(shape && isStatic(shape)))
      return `it lies in the body of ${where}, and may have another shape in each iteration`;
  }
  const scan = nodes.find((node) => SCAN_LISTS.some((list) => node.lengthOf(list) > 0));
  return scan
    ? `it lies in the body of Scan '${scan.name || scan.outputs[0]}', which says the axes of its outputs`
    : { dtype };
}

/** The attributes of Scan that have an entry for each output that it stacks. */
const SCAN_LISTS = ['scan_output_axes', 'scan_output_directions'];

type Wanted = Pick<InnerValue, 'name' | 'output'> & { readonly dtype: DType | undefined };

/**
 * Makes values outputs of nodes of the graph.
 * @param types What is known of the values of the same model, with the sizes of a run.
 * @returns Where each value is, by {@link keyOf}, or why a run cannot have it.
 * @throws ModelError `LIMIT_EXCEEDED`.
 */
export function passOn(
  model: Model,
  types: ValueTypes,
  values: readonly InnerValue[],
): Map<string, PassedOn | string> {
  const wanted: WantedIn = new Map();
  const problems = new Map<string, string>();
  for (const value of values) {
    const checked = check(types, value);
    if (typeof checked === 'string') {
      problems.set(keyOf(value), checked);
      continue;
    }
    let graph: InnerGraph | undefined;
    let own = wantedIn(wanted, graph);
    for (const step of value.way) {
      const node: ModelNode = (graph ?? model).index.nodes[step.node]!;
      graph = model.functionOf(node) ?? bodiesOf(node)[step.body]!;
      own = wantedIn(wanted, graph);
    }
    own.set(keyOf({ ...value, way: [] }), { ...value, ...checked });
  }
  return new Map<string, PassedOn | string>([...new Passing(model, wanted).run(), ...problems]);
}

/** What is wanted of each graph, body and function on a way; `undefined` is the graph of the model. */
type WantedIn = Map<InnerGraph | undefined, Map<string, Wanted>>;

function wantedIn(all: WantedIn, graph: InnerGraph | undefined): Map<string, Wanted> {
  const own = all.get(graph) ?? new Map<string, Wanted>();
  all.set(graph, own);
  return own;
}

/** A value, on its way to the graph: the name that it has in the graph, body or function which it has reached. */
interface Passed extends PassedOn {
  readonly value: Wanted;
  /** The steps from there. */
  readonly way: readonly Step[];
}

interface PassedNode {
  readonly edit: InnerEdit;
  readonly passed: readonly Passed[];
  /** The body that each of these comes from. */
  readonly bodies: readonly number[];
}

class Passing {
  readonly #functions = new Map<LocalFunction, PassedGraph>();

  constructor(
    private readonly model: Model,
    private readonly wanted: WantedIn,
  ) {}

  run(): Map<string, PassedOn> {
    const { model } = this;
    const { edits, passed } = this.#passNodes(undefined, model.nodes, model.names());
    const versions = [...this.#functions].map(([callee, own]) => {
      const imports = new Map(callee.opset === undefined ? [['', model.opset]] : []);
      return [callee, [{ name: callee.name, edits: own.edits, imports }]] as const;
    });
    model.replaceFunctions(new Map(versions));
    model.editInner((node) => edits.get(node));
    return new Map(passed.map((one) => [keyOf({ ...one.value, way: one.way }), one]));
  }

  /** Passes the values of a graph on to its end. */
  #passGraph(graph: InnerGraph, taken: Set<string>): PassedGraph {
    const { edits, passed } = this.#passNodes(graph, graph.index.nodes, taken);
    const returned = passed.map((one) => ({ ...one, name: freshName(one.name, taken) }));
    const positions = new Map(graph.nodes.map((node, position) => [node, position]));
    return {
      edits: {
        nodes: new Map([...edits].map(([node, edit]) => [positions.get(node)!, edit])),
        added: passed.map(({ name }, at) => identityNode(name, returned[at]!.name)),
        outputs: returned.map(({ name }) => name),
      },
      passed: returned,
    };
  }

  /** Finds the values of a graph: its own, and those that its nodes pass on. */
  #passNodes(graph: InnerGraph | undefined, nodes: readonly ModelNode[], taken: Set<string>) {
    const edits = new Map<ModelNode, InnerEdit>();
    const passed: Passed[] = [];
    for (const [position, node] of nodes.entries()) {
      const inner = this.#passNode(node, taken);
      if (!inner) continue;
      edits.set(node, inner.edit);
      for (const [at, one] of inner.passed.entries())
        passed.push({ ...one, way: [{ node: position, body: inner.bodies[at]! }, ...one.way] });
    }
    for (const value of this.wanted.get(graph)?.values() ?? []) {
      let { name } = value;
      const maker = value.output === undefined ? undefined : (graph ?? this.model).index.producer(name);
      if (maker) {
        name = freshName(name, taken);
        edits.set(maker, { outputs: withOutput(maker.outputs, value.output!, name) });
      }
      passed.push({ value, way: [], name, loops: 0 });
    }
    return { edits, passed };
  }

  /** Gives a node outputs for the values in its bodies, or in the function that it calls. */
  #passNode(node: ModelNode, taken: Set<string>): PassedNode | undefined {
    const callee = this.model.functionOf(node);
    const graphs = (callee ? [callee] : bodiesOf(node)).map((graph) =>
      !this.wanted.has(graph)
        ? NOT_WANTED
        : callee
          ? this.#passFunction(callee)
          : this.#passGraph(graph, taken),
    );
    const isLooping = !callee && node.opType !== 'If';
    const inside = graphs.flatMap((graph, body) => graph.passed.map((one) => ({ one, body })));
    if (inside.length === 0) return undefined;
    const passed = inside.map(({ one }) => ({
      ...one,
      name: freshName(one.name, taken),
      loops: one.loops + Number(isLooping),
    }));
    const [first] = callee ? [callee] : bodiesOf(node);
    // The first output of the body of a Loop is its condition.
    const own = first!.outputs.length - Number(!callee && node.opType === 'Loop');
    const outputs = Array.from({ length: own }, (_, at) => node.outputs[at] ?? '');
    const bodies = callee ? undefined : graphs.map(({ edits }, at) => besides(edits, inside, at, taken));
    return {
      edit: { outputs: [...outputs, ...passed.map(({ name }) => name)], ...(bodies && { bodies }) },
      passed,
      bodies: inside.map(({ body }) => body),
    };
  }

  #passFunction(callee: LocalFunction): PassedGraph {
    const known = this.#functions.get(callee) ?? this.#passGraph(callee, callee.names());
    this.#functions.set(callee, known);
    return known;
  }
}

interface PassedGraph {
  readonly edits: GraphEdits;
  /** In the order of the outputs that the edits add. */
  readonly passed: readonly Passed[];
}

const NOT_WANTED: PassedGraph = { edits: { nodes: new Map() }, passed: [] };

/** Adds to the edits of a body empty tensors in place of the values of other bodies. */
function besides(
  { nodes, added = [] }: GraphEdits,
  inside: readonly { readonly one: Passed; readonly body: number }[],
  own: number,
  taken: Set<string>,
): GraphEdits {
  const empty: Uint8Array[] = [];
  const outputs = inside.map(({ one: { name, value }, body }) => {
    if (body === own) return name;
    const blank = freshName(name, taken);
    const zeros = constantNode(encodeTensor(blank, filledTensor(value.dtype!, [0], 0)));
    empty.push(NodeProto.encode(zeros).finish());
    return blank;
  });
  return { nodes, added: [...added, ...empty], outputs };
}

const identityNode = (input: string, output: string): Uint8Array =>
  NodeProto.encode({ opType: 'Identity', input: [input], output: [output] }).finish();

/** Returns outputs with one more, in place of an output that is left out. */
const withOutput = (outputs: readonly string[], at: number, name: string): string[] =>
  Array.from({ length: Math.max(outputs.length, at + 1) }, (_, index) =>
    index === at ? name : (outputs[index] ?? ''),
  );
