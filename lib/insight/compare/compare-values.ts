/**
 * Compares what a model computes inside with other values of the same names: those of a second model or provider, or known
 * tensors, such as the activations of PyTorch modules.
 */
import { SessionError } from '../../errors.js';
import { toFloat64Array } from '../../half.js';
import type { Model } from '../../onnx/model.js';
import type { ModelNode } from '../../onnx/graph/node.js';
import { operatorName } from '../../onnx/graph/outline.js';
import type { OutputComparison } from '../../parity/compare.js';
import { commonTolerance, compareAcrossDtypes } from '../../parity/match.js';
import { formatShape, isFloatDType, type TensorData } from '../../tensor.js';
import type { HeatMap, NotCompared, ValueComparison, ValueVerdict } from './comparison.js';
import { heatMapOf } from './heat-map.js';
import type { HeldValues, ModelRun } from '../values/intermediate-values.js';
import { moduleOf } from '../values/module-path.js';

/**
 * Values that a model is compared with, by the names that they have in the model. A {@link ModelRun} is one. A method
 * without work to do may return a promise that is resolved already.
 */
export interface ReferenceValues {
  /** What messages call this side. */
  readonly label: string;
  /** The values that are compared. */
  readonly names: readonly string[];
  /** Says why a value cannot be read; `undefined` if it can. */
  whyNot(name: string): string | undefined;
  /** Returns the names that can be read. */
  readable(names: readonly string[]): Promise<readonly string[]>;
  /** Reads values, all at once. */
  read(names: readonly string[]): Promise<HeldValues>;
}

/** How values are compared. */
export interface CompareValuesOptions {
  /** The names of the values to compare. Default: those of the expected side. */
  readonly names?: readonly string[];
  /** Replaces the relative tolerance of the dtype, for floats. */
  readonly rtol?: number | undefined;
  /** Replaces the absolute tolerance of the dtype, for floats. */
  readonly atol?: number | undefined;
  /** The most bytes of values that both sides hold at once. */
  readonly maxBytes: number;
  /** The number of values whose heat maps are returned: those that use most of the tolerance. */
  readonly heatMaps?: number | undefined;
  /** Is called before each part of the work, which ends in a run of each side. */
  readonly onProgress?: ((task: string) => void) | undefined;
}

/** The result of {@link compareValues}. */
export interface ComparedValues {
  /** In the order of the graph. */
  readonly values: readonly ValueComparison[];
  readonly notCompared: readonly NotCompared[];
  readonly heatMaps: readonly HeatMap[];
}

/**
 * Compares the values of a model with others, slice by slice.
 * @throws What `session.run` throws, with the label of the side.
 */
export async function compareValues(
  actual: ModelRun,
  expected: ReferenceValues,
  options: CompareValuesOptions,
): Promise<ComparedValues> {
  const { names = expected.names, maxBytes, heatMaps = 0, onProgress } = options;
  onProgress?.('finding the values that both sides have');
  const common = await naming(expected, expected.readable(names));
  const inBoth = new Set(await naming(actual, actual.readable(common)));
  const slices = await naming(actual, actual.plan([...inBoth], maxBytes / 2));
  const nodes = producersIn(actual.model);
  const outputs = new Set(actual.model.outputNames);
  const worst = new Worst(heatMaps);
  const values: ValueComparison[] = [];
  for (const slice of slices) {
    const count = `${values.length + 1} to ${values.length + slice.length} of ${inBoth.size}`;
    onProgress?.(`comparing values ${count}`);
    const is = await naming(actual, actual.read(slice));
    try {
      const must = await naming(expected, expected.read(slice));
      try {
        for (const name of slice) {
          const pair = [is.tensors.get(name)!, must.tensors.get(name)!] as const;
          const value = compareValue(name, pair, options);
          const node = nodes.get(name);
          values.push({
            ...describeNode(node),
            merged: node
              ? mergedInto(node, (input) => (inBoth.has(input) ? undefined : nodes.get(input)))
              : [],
            isOutput: outputs.has(name),
            ...value,
          });
          if (value.difference) worst.offer(value.difference, pair);
        }
      } finally {
        must.dispose();
      }
    } finally {
      is.dispose();
    }
  }
  const order = new Map([...nodes.keys()].map((name, index) => [name, index]));
  return {
    values: values.sort((a, b) => placeIn(order, a) - placeIn(order, b)),
    notCompared: names
      .filter((name) => !inBoth.has(name))
      .map((name) => ({ ...whyNot(name, actual, expected), isOutput: outputs.has(name) })),
    heatMaps: worst.heatMaps,
  };
}

/** Returns the node that makes each value, in the order of the graph. */
const producersIn = ({ nodes }: Model): ReadonlyMap<string, ModelNode> =>
  new Map(nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));

/** Puts the label of a side before the message of an error of its session. */
export async function naming<Result>(
  { label }: Pick<ReferenceValues, 'label'>,
  work: Promise<Result>,
): Promise<Result> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof SessionError) || error.message.startsWith(label)) throw error;
    throw new SessionError(error.code, `${label}: ${error.message}`, { cause: error });
  }
}

function whyNot(name: string, actual: ModelRun, expected: ReferenceValues): Omit<NotCompared, 'isOutput'> {
  const missing = expected.whyNot(name);
  if (missing !== undefined) return { name, side: 'expected', reason: missing };
  return { name, side: 'actual', reason: actual.whyNot(name)! };
}

/** Outputs that no node makes come last. */
const placeIn = (order: ReadonlyMap<string, number>, { name }: ValueComparison): number =>
  order.get(name) ?? order.size;

const describeNode = (
  node: ModelNode | undefined,
): Pick<ValueComparison, 'operator' | 'node' | 'module'> => ({
  operator: node ? operatorName(node.domain, node.opType) : '',
  node: node?.name ?? '',
  module: node && moduleOf(node),
});

/** The most nodes that are looked at behind a value: a norm in arithmetic has about 20. */
const MAX_MERGED = 64;

/**
 * Returns the modules of the nodes that compute the inputs of a node.
 * @param producerOf Returns the node that makes a value; `undefined` for a value that is compared.
 */
function mergedInto(node: ModelNode, producerOf: (name: string) => ModelNode | undefined): string[] {
  const found = new Set([node]);
  for (const one of found) {
    for (const input of one.inputs) {
      const producer = producerOf(input);
      if (producer && producer.opType !== 'Constant' && found.size < MAX_MERGED) found.add(producer);
    }
  }
  const own = moduleOf(node);
  const modules = [...found].map((one) => moduleOf(one)).filter((name) => name !== undefined);
  return [...new Set(modules)].filter((name) => name !== own);
}

type Pair = readonly [actual: TensorData, expected: TensorData];

function compareValue(
  name: string,
  [actual, expected]: Pair,
  tolerances: Pick<CompareValuesOptions, 'rtol' | 'atol'>,
): Omit<ValueComparison, keyof ReturnType<typeof describeNode> | 'merged' | 'isOutput'> {
  const isSameKind =
    actual.dtype === expected.dtype || (isFloatDType(actual.dtype) && isFloatDType(expected.dtype));
  const isComparable = isSameKind && formatShape(actual.dims) === formatShape(expected.dims);
  const tolerance = commonTolerance(actual.dtype, expected.dtype, tolerances);
  const difference = isComparable ? compareAcrossDtypes(name, actual, expected, tolerance) : null;
  const notFinite = { expected: countNotFinite(expected), actual: countNotFinite(actual) };
  return {
    name,
    verdict: verdictOf(difference, notFinite.expected + notFinite.actual > 0),
    dtype: actual.dtype,
    dims: actual.dims,
    expectedDtype: expected.dtype,
    expectedDims: expected.dims,
    notFinite,
    difference,
  };
}

function verdictOf(difference: OutputComparison | null, hasNotFinite: boolean): ValueVerdict {
  if (difference === null) return 'type';
  if (!difference.passed) return 'drifts';
  return hasNotFinite ? 'not-finite' : 'within';
}

function countNotFinite(value: TensorData): number {
  if (!isFloatDType(value.dtype)) return 0;
  // The numbers of float32 and float64 are there; halves are bits.
  const { data } = value;
  const numbers = data instanceof Float32Array ? data : toFloat64Array(value);
  let count = 0;
  for (let index = 0; index < numbers.length; index++) if (!Number.isFinite(numbers[index])) count += 1;
  return count;
}

/** Keeps the heat maps of the values that use most of their tolerance. */
class Worst {
  #kept: { readonly share: number; readonly map: HeatMap }[] = [];

  constructor(readonly most: number) {}

  get heatMaps(): HeatMap[] {
    return this.#kept.map(({ map }) => map);
  }

  offer(difference: OutputComparison, [actual, expected]: Pair): void {
    const { name, toleranceUsed: share } = difference;
    if (share === 0 || this.#kept.filter((one) => one.share >= share).length >= this.most) return;
    this.#kept.push({ share, map: heatMapOf(name, actual, expected, difference) });
    this.#kept = this.#kept.sort((a, b) => b.share - a.share || 0).slice(0, this.most);
  }
}
