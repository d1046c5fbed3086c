/** The self-test: a small model with a known result, which shows that a provider computes, and computes correctly. */
import { GraphBuilder } from '../../graph/builder.js';
import * as op from '../../graph/ops/index.js';
import type { LoweringName } from '../../lowering/types.js';
import { encodeModel } from '../../onnx/encode.js';
import { type AnyTensor, tensor } from '../../tensor.js';
import type { BackendRunOptions, TensorRecord } from '../core/contract.js';
import { withSession } from './open.js';

/** The input: mean 2, deviation 1. With scale 2 and bias 1 the result is [-1, 3]. */
export const SELF_TEST_INPUT = tensor('float32', [1, 2], Float32Array.of(1, 3));
const EXPECTED = [-1, 3];

/** Returns a model with one GroupNormalization from `x` to `y`, both of shape (1, 2). */
export function selfTestModel(lowering: LoweringName): Uint8Array {
  const g = new GraphBuilder('self-test');
  const vector = (values: number[]) => g.constant(tensor('float32', [2], Float32Array.from(values)));
  const x = g.input('x', 'float32', [1, 2]);
  g.output('y', op.groupNormalization(g, x, vector([2, 2]), vector([1, 1]), { numGroups: 1, epsilon: 0 }));
  return encodeModel(g.build(), new Map(), { lowering });
}

/** Says what is wrong with a result of the model; `undefined` if it is right. */
export function selfTestProblem(actual: ArrayLike<number>): string | undefined {
  const isRight =
    actual.length === EXPECTED.length && EXPECTED.every((value, i) => Math.abs(actual[i]! - value) < 1e-5);
  if (isRight) return undefined;
  return `it computes [${Array.from(actual).join(', ')}] instead of [${EXPECTED.join(', ')}]`;
}

/** A session or a loaded model. */
interface Runnable {
  run(feeds: TensorRecord, options: BackendRunOptions): Promise<Record<string, AnyTensor>>;
  dispose(): Promise<void>;
}

/** Loads and runs the model, and says what is wrong: the message of an error, or the wrong result. */
export async function runSelfTest(
  load: (model: Uint8Array) => Promise<Runnable>,
  lowering: LoweringName,
): Promise<string | undefined> {
  try {
    return await withSession(load(selfTestModel(lowering)), async (model) => {
      const { y } = await model.run({ x: SELF_TEST_INPUT }, { fetches: ['y'] });
      return selfTestProblem((y?.data ?? []) as ArrayLike<number>);
    });
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
