/** A small model whose right result is known: proves that a provider computes, and computes right. */
import { GraphBuilder } from '../../graph/builder.js';
import * as op from '../../graph/ops/index.js';
import type { LoweringName } from '../../lowering/types.js';
import { encodeModel } from '../../onnx/encode.js';
import { tensor } from '../../tensor.js';

/** Mean 2, deviation 1; scale 2 and bias 1. */
export const PROBE_INPUT = tensor('float32', [1, 2], Float32Array.of(1, 3));
const EXPECTED = [-1, 3];

/** A GroupNormalization from `x` to `y`, both (1, 2). */
export function probeModel(lowering: LoweringName): Uint8Array {
  const g = new GraphBuilder('probe');
  const vector = (values: number[]) => g.constant(tensor('float32', [2], Float32Array.from(values)));
  const x = g.input('x', 'float32', [1, 2]);
  g.output('y', op.groupNormalization(g, x, vector([2, 2]), vector([1, 1]), { numGroups: 1, epsilon: 0 }));
  return encodeModel(g.build(), new Map(), { lowering });
}

/** What is wrong with a result of the model; nothing if it is right. */
export function whyWrong(actual: ArrayLike<number>): string | undefined {
  const right =
    actual.length === EXPECTED.length && EXPECTED.every((value, i) => Math.abs(actual[i]! - value) < 1e-5);
  if (right) return undefined;
  return `it computes [${Array.from(actual).join(', ')}] where [${EXPECTED.join(', ')}] is right`;
}
