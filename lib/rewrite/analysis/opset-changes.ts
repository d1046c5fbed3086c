/** What a change of opset means for nodes: which mean the same, which are written otherwise, and which mean something else. */
import { bodiesOf, type InnerGraph } from '../../onnx/graph/inner-graph.js';
import type { ModelNode } from '../../onnx/graph/node.js';
import type { Model } from '../../onnx/model.js';
import { ValueTypes } from './value-types.js';

/** Makes a node of the old version a node of the new one. */
interface Edit {
  /** Attributes that go. */
  readonly dropped?: readonly string[];
  /** Lists of integers that become further inputs, with their names as attributes. */
  readonly lists?: readonly (readonly [name: string, values: readonly number[]])[];
  /** Attributes that are set. */
  readonly set?: Readonly<Record<string, number | string>>;
}

/** Returns how a node changes with its operator: an empty edit if it means the same, `undefined` if it cannot be kept. */
type Step = (node: ModelNode, rank: () => number | undefined) => Edit | undefined;

const SAME: Edit = {};
const changed: Step = () => undefined;
const sameIf =
  (condition: (node: ModelNode) => boolean): Step =>
  (node) =>
    condition(node) ? SAME : undefined;

/** The node has lists of integers as attributes, which are inputs in the new version. */
const toInputs =
  (...names: string[]): Step =>
  (node) => {
    const lists = names.flatMap((name) => {
      const values = node.numbers(name);
      return values ? [[name, values] as const] : [];
    });
    return { dropped: lists.map(([name]) => name), lists };
  };

const hasOneOutput = ({ outputs }: ModelNode): boolean => outputs.slice(1).every((name) => name === '');

/** Before opset 13, these operators took all axes from one on as a single one. */
const ifLastAxis: Step = (node, rank) => {
  const axis = node.number('axis') ?? 1;
  return axis === -1 || axis + 1 === rank() ? { dropped: ['axis'], set: { axis } } : undefined;
};

/** From opset 18 on, a Split without sizes names the number of its parts. */
const toNumberOfParts: Step = (node) =>
  node.inputs[1] || node.numbers('split') ? SAME : { set: { num_outputs: node.outputs.length } };

const MODES: ReadonlyMap<string, string> = new Map([
  ['bilinear', 'linear'],
  ['bicubic', 'cubic'],
]);
const toNewMode: Step = (node) => {
  const mode = MODES.get(node.text('mode') ?? '');
  return mode === undefined ? SAME : { dropped: ['mode'], set: { mode } };
};

/**
 * The operators whose nodes may mean something else in a version up to opset 21, by the opset of that version. Other versions
 * add dtypes, attributes with a default that keeps the meaning, and optional inputs. Source: the inputs, attributes and texts of
 * `onnx.defs.get_all_schemas_with_history()` of ONNX 1.23.
 */
const CHANGES: readonly (readonly [operators: string, since: number, step: Step])[] = [
  ['Add And AveragePool BatchNormalization Div Dropout Equal GRU Gemm Greater LSTM Less Mul Or', 7, changed],
  ['PRelu Pow RNN Sub Upsample Xor', 7, changed],
  ['BatchNormalization', 9, (node) => (node.number('spatial') === 0 ? undefined : { dropped: ['spatial'] })],
  ['Scan Upsample', 9, changed],
  ['Dropout', 10, sameIf(hasOneOutput)],
  ['Slice', 10, toInputs('starts', 'ends', 'axes')],
  ['TopK Upsample', 10, changed],
  ['Clip OneHot Pad Resize Scatter', 11, changed],
  ['Dropout', 12, (node) => (hasOneOutput(node) ? { dropped: ['ratio'] } : undefined)],
  ['Hardmax LogSoftmax Softmax', 13, ifLastAxis],
  ['ReduceSum Squeeze Unsqueeze', 13, toInputs('axes')],
  ['Resize', 13, sameIf((node) => node.text('coordinate_transformation_mode') !== 'tf_half_pixel_for_nn')],
  ['Split', 13, toInputs('split')],
  ['BatchNormalization', 14, sameIf(hasOneOutput)],
  ['RoiAlign', 16, () => ({ set: { coordinate_transformation_mode: 'output_half_pixel' } })],
  ['ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin', 18, toInputs('axes')],
  ['ReduceProd ReduceSumSquare', 18, toInputs('axes')],
  ['Split', 18, toNumberOfParts],
  // ONNX Runtime divides the last windows by other numbers from opset 19 on, as PyTorch does.
  ['AveragePool', 19, sameIf((node) => !(node.number('ceil_mode') && node.number('count_include_pad')))],
  ['DFT', 20, changed],
  ['GridSample', 20, toNewMode],
  ['GroupNormalization', 21, changed],
];

/** Where a model cannot be raised. */
export interface Obstacle {
  /** The node's first output; `undefined` for a node in a body or a function. */
  readonly output: string | undefined;
  /** What is in the way: `Upsample 'up' means something else at opset 9`. */
  readonly text: string;
}

/** How a model becomes one of a later opset. */
export interface RaisePlan {
  readonly opset: number;
  readonly edits: ReadonlyMap<ModelNode, Edit>;
  readonly obstacles: readonly Obstacle[];
}

/** Looks at every node of a model: what raising its opset changes, and where it cannot be raised. */
export function planRaise(model: Model, opset: number): RaisePlan {
  const steps = stepsBetween(model.opset, opset);
  const edits = new Map<ModelNode, Edit>();
  const obstacles: Obstacle[] = [];
  const types = new ValueTypes(model);
  for (const node of model.nodes) {
    const own = node.domain === '' && !model.isFunctionCall(node) ? (steps.get(node.opType) ?? []) : [];
    const rank = () => types.typeOf(node.inputs[0]).shape?.length;
    const found = own.map(([since, step]) => [since, step(node, rank)] as const);
    const obstacle = found.find(([, edit]) => edit === undefined);
    if (obstacle)
      obstacles.push({
        output: node.outputs[0],
        text: `${describe(node)} means something else at opset ${obstacle[0]}`,
      });
    else if (found.some(([, edit]) => edit !== SAME)) edits.set(node, merged(found.map(([, edit]) => edit!)));
  }
  return { opset, edits, obstacles: [...obstacles, ...obstaclesInside(model, steps)] };
}

type Steps = ReadonlyMap<string, readonly (readonly [since: number, step: Step])[]>;

function stepsBetween(from: number, to: number): Steps {
  const steps = new Map<string, [number, Step][]>();
  for (const [operators, since, step] of CHANGES) {
    if (since <= from || since > to) continue;
    for (const opType of operators.split(' '))
      steps.set(opType, [...(steps.get(opType) ?? []), [since, step]]);
  }
  return steps;
}

const merged = (edits: readonly Edit[]): Edit => ({
  dropped: edits.flatMap(({ dropped = [] }) => dropped),
  lists: edits.flatMap(({ lists = [] }) => lists),
  set: Object.assign({}, ...edits.map(({ set }) => set)) as Edit['set'] & object,
});

const describe = ({ opType, name, outputs }: ModelNode): string =>
  `${opType} '${name || (outputs[0] ?? '')}'`;

/** Nodes in bodies and functions are not edited, and a function imports opsets of its own. */
function obstaclesInside(model: Model, steps: Steps): Obstacle[] {
  if (model.functionOpTypes().size > 0)
    return [{ output: undefined, text: 'the model has local functions, which have opsets of their own' }];
  if (![...model.nestedOpTypes()].some((opType) => steps.has(opType))) return [];
  return model.nestedNodes().flatMap((node) => {
    const own = node.domain === '' ? (steps.get(node.opType) ?? []) : [];
    const first = own.find(([, step]) => step(node, () => undefined) !== SAME);
    return first
      ? [{ output: undefined, text: `${describe(node)} in a body is written otherwise at opset ${first[0]}` }]
      : [];
  });
}

/** Returns a node of a body or function that means something else at another opset, or is written otherwise. */
export function changedNode(graph: InnerGraph, from: number, to: number): ModelNode | undefined {
  const steps = stepsBetween(Math.min(from, to), Math.max(from, to));
  const isChanged = (node: ModelNode): boolean =>
    node.domain === '' &&
    (steps.get(node.opType) ?? []).some(([, step]) => step(node, () => undefined) !== SAME);
  const within = (inner: InnerGraph): ModelNode | undefined => {
    for (const node of inner.nodes) {
      if (isChanged(node)) return node;
      for (const body of bodiesOf(node)) {
        const found = within(body);
        if (found) return found;
      }
    }
    return undefined;
  };
  return within(graph);
}
