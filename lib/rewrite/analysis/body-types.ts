/**
 * What is known of the inputs of a body, by what its node reads, and of the results of the node, by the body. An If has no
 * inputs. The inputs of a Scan are its states, which keep their shapes, and slices. Those of a Loop are the values that it
 * carries; their shapes may change with every iteration. Other operators with bodies are left unknown.
 * Source: ONNX operator pages.
 */
import type { InnerGraph } from '../../onnx/graph/inner-graph.js';
import type { ModelNode } from '../../onnx/graph/node.js';
import type { ValueType } from '../../shapes/operators.js';
import { type Dim, fromStart, type Shape, UNKNOWN_DIM } from '../../tensor.js';

export type Types = ReadonlyMap<string, ValueType>;

/** Returns the types of a body's inputs, as far as they are known without the body. A Loop's are those of the first iteration. */
export function bodyInputs(
  node: ModelNode,
  { inputs }: InnerGraph,
  typeOf: (name: string | undefined) => ValueType,
): Types {
  if (node.opType === 'Loop') {
    const counters: ValueType[] = [
      { dtype: 'int64', shape: undefined },
      { dtype: 'bool', shape: undefined },
    ];
    return new Map(inputs.map((name, at) => [name, counters[at] ?? typeOf(node.inputs[at])]));
  }
  if (node.opType !== 'Scan') return new Map();
  const states = node.inputs.length - (node.number('num_scan_inputs') ?? 0);
  const axes = node.numbers('scan_input_axes') ?? [];
  return new Map(
    inputs.map((name, at) => {
      const type = typeOf(node.inputs[at]);
      return [name, at < states ? type : sliceOf(type, axes[at - states] ?? 0)];
    }),
  );
}

function sliceOf({ dtype, shape }: ValueType, axis: number): ValueType {
  const at = fromStart(axis, shape?.length ?? 0);
  return { dtype, shape: shape && at in shape ? shape.toSpliced(at, 1) : undefined };
}

/** How often the shapes that a Loop carries are corrected before they count as unknown. */
const MAX_ROUNDS = 3;

/**
 * Returns types of a Loop's inputs that hold in every iteration.
 * @param first The types in the first iteration.
 * @param resultsOf Returns the types that the body gives the values that it carries on, if its inputs have these types.
 */
export function carriedTypes(first: Types, resultsOf: (inputs: Types) => readonly ValueType[]): Types {
  let assumed = first;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const results = resultsOf(assumed);
    const entries = [...assumed];
    const next = new Map(
      entries.map(([name, type], at) => [name, at < 2 ? type : meetOf(type, results[at - 2])]),
    );
    if (JSON.stringify(entries) === JSON.stringify([...next])) return assumed;
    assumed = next;
  }
  return new Map([...first].map(([name, { dtype }]) => [name, { dtype, shape: undefined }]));
}

/** Returns what two types have in common. The dtype of a value that is carried does not change. */
function meetOf({ dtype, shape }: ValueType, other: ValueType | undefined): ValueType {
  return { dtype, shape: meetOfShapes(shape, other?.shape) };
}

function meetOfShapes(a: Shape | undefined, b: Shape | undefined): Shape | undefined {
  if (!a || a.length !== b?.length) return undefined;
  return a.map((dim, axis) => (dim === b[axis] ? dim : UNKNOWN_DIM));
}

/** A body, and what is known of its values. */
export interface KnownBody {
  /** The types of its inputs. They hold in every iteration. */
  readonly inputs: Types;
  /** The types of its results. */
  readonly results: readonly ValueType[];
}

/** Returns the types of the results of an If, Loop or Scan. Names of sizes may be the body's own, and are left out. */
export function resultTypes(node: ModelNode, bodies: readonly KnownBody[]): ValueType[] {
  const [first, second] = bodies.map(({ results }) => results.map(withoutNames));
  if (!first) return [];
  if (node.opType === 'If') return first.map((type, at) => eitherOf(type, second?.[at] ?? UNKNOWN));
  const inputs = [...bodies[0]!.inputs.values()];
  // A Loop has two inputs and a result before the values that it carries.
  const [before, carried] =
    node.opType === 'Loop'
      ? [2, inputs.length - 2]
      : [0, inputs.length - (node.number('num_scan_inputs') ?? 0)];
  const axes = node.numbers('scan_output_axes') ?? [];
  return first
    .slice(before > 0 ? 1 : 0)
    .map((type, at) => (at < carried ? inputs[before + at]! : stackOf(type, axes[at - carried] ?? 0)));
}

/** Returns the type of the results of all iterations, stacked. */
function stackOf({ dtype, shape }: ValueType, axis: number): ValueType {
  const at = fromStart(axis, (shape?.length ?? 0) + 1);
  return { dtype, shape: at >= 0 ? shape?.toSpliced(at, 0, UNKNOWN_DIM) : undefined };
}

const eitherOf = (a: ValueType, b: ValueType): ValueType => (a.dtype === b.dtype ? meetOf(a, b) : UNKNOWN);

export const UNKNOWN: ValueType = { dtype: undefined, shape: undefined };

/** Returns the type without the sizes that are not numbers. */
export function withoutNames({ dtype, shape }: ValueType): ValueType {
  return { dtype, shape: shape?.map((dim: Dim) => (typeof dim === 'number' ? dim : UNKNOWN_DIM)) };
}
