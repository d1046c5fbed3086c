/** Operators run on ONNX Runtime, at several opsets and in several dtypes, against numbers in float64. */
import { expect, use } from 'chai';
import { it } from 'mocha';
import onnxMatchers from '../../lib/chai.js';
import { GraphBuilder, type Scope } from '../../lib/graph/builder.js';
import type { Graph, Value } from '../../lib/graph/types.js';
import { castTensor, toFloat64Array } from '../../lib/half.js';
import { encodeModel } from '../../lib/onnx/encode.js';
import type { SessionOptions } from '../../lib/runtime/core/contract.js';
import { createSession } from '../../lib/runtime/node.js';
import { elementCount, type FloatDType, type Shape, tensor, type TensorData } from '../../lib/tensor.js';
import { Random } from '../../lib/weights/initialize.js';

use(onnxMatchers);

/** The first opset, one with LayerNormalization, the default and the last: every form that an operator has. */
export const OPSETS = [13, 17, 21, 25] as const;

/** The float dtypes that ONNX Runtime has kernels of most operators for on the CPU. */
const CPU_DTYPES = ['float32', 'float64', 'float16'] as const;

/** One operator on given numbers. */
interface OperatorRun {
  readonly inputs: readonly TensorData[];
  readonly call: (g: Scope, inputs: Value[]) => Value | readonly Value[];
  /**
   * The dims and elements of each result, in float64, of the inputs as `dtype` has them: by a formula, or as PyTorch
   * computed them.
   */
  readonly expected: (...inputs: Float64Array[]) => readonly Expected[];
  /** Default: those of {@link CPU_DTYPES}. */
  readonly dtypes?: readonly FloatDType[];
  /** How the inputs are declared. Default: their own sizes. */
  readonly declared?: readonly Shape[];
}

/** A result as it must be. */
type Expected = readonly [dims: readonly number[], values: ArrayLike<number>];

/** A test for each dtype: the operator's results at every opset are within PyTorch's tolerances of what is expected. */
export function itComputes(title: string, { dtypes = CPU_DTYPES, ...run }: OperatorRun): void {
  for (const dtype of dtypes) {
    it(`${title}, in ${dtype}`, async () => {
      const feeds = run.inputs.map((input) => (input.dtype === 'float64' ? castTensor(input, dtype) : input));
      const expected = run.expected(...feeds.map(toFloat64Array));
      const graph = graphOf(run, feeds);
      for (const opset of OPSETS) {
        const outputs = await runGraph(graph, feeds, opset);
        expect(outputs).to.have.length(expected.length);
        outputs.forEach((actual, index) => {
          const [dims, values] = expected[index]!;
          const wanted = castTensor(tensor('float64', dims, Float64Array.from(values)), dtype);
          expect(actual, `y${index} at opset ${opset}`).to.matchTensor(wanted);
        });
      }
    });
  }
}

function graphOf({ call, declared }: OperatorRun, feeds: readonly TensorData[]): Graph {
  const g = new GraphBuilder('run');
  const inputs = feeds.map(({ dtype, dims }, index) =>
    g.input(`x${index}`, dtype, declared?.[index] ?? dims),
  );
  [call(g, inputs)].flat().forEach((value, index) => g.output(`y${index}`, value));
  return g.build();
}

/** The outputs of a graph with the inputs `x0`, `x1`, …, in order. */
export async function runGraph(
  graph: Graph,
  feeds: readonly TensorData[],
  opset: number,
  options?: SessionOptions,
): Promise<TensorData[]> {
  const session = await createSession(encodeModel(graph, new Map(), { opset }), options);
  try {
    const named = Object.fromEntries(feeds.map((feed, index) => [`x${index}`, feed]));
    const results = await session.run(named);
    return graph.outputs.map(({ name }) => results[name]!);
  } finally {
    await session.dispose();
  }
}

/** Normal numbers in float64, the same for the same stream. */
export function numbers(dims: readonly number[], stream = 'x', deviation = 1): TensorData {
  const random = new Random(0, stream);
  const values = Float64Array.from({ length: elementCount(dims) }, (_, i) => deviation * random.normal(i));
  return tensor('float64', dims, values);
}

/** The numbers of a list, in float64. */
export const listed = (dims: readonly number[], values: readonly number[]): TensorData =>
  tensor('float64', dims, Float64Array.from(values));

/** An array of `dims` whose element at each index is what `at` says, in C order. */
export function filledBy(dims: readonly number[], at: (...index: number[]) => number): Expected {
  const values = Array.from({ length: elementCount(dims) }, (_, flat) => {
    let rest = flat;
    const index = dims.map((_, axis) => {
      const below = elementCount(dims.slice(axis + 1));
      const position = Math.floor(rest / below);
      rest %= below;
      return position;
    });
    return at(...index);
  });
  return [dims, values];
}

/** The element of an array of `dims` at an index. */
export const elementAt = (values: ArrayLike<number>, dims: readonly number[], ...index: number[]): number =>
  values[index.reduce((flat, position, axis) => flat * dims[axis]! + position, 0)]!;
