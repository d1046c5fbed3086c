/** ONNX Runtime's own GroupNormalization: it has no kernel, and runs the definition of the operator in its place. */
import { GraphBuilder } from '../../graph/builder.js';
import * as op from '../../graph/ops/index.js';
import { encodeModel } from '../../onnx/encode.js';
import type { Platform, Session } from '../../runtime/core/contract.js';
import { openSession } from '../../runtime/core/open.js';
import { tensor } from '../../tensor.js';

/**
 * Normalizes rows as ONNX Runtime's CPU provider does without this package: by the definition of opset 21, in float32, with
 * the variance as E[x²] − E[x]², and without scale and bias. Call `dispose` at the end.
 */
export class InlinedBody {
  /** One model for each epsilon, which is an attribute of the operator. */
  readonly #sessions = new Map<number, Session>();

  constructor(readonly platform: Platform) {}

  /** @param rows Rows of `length` elements, one behind the other. */
  async normalize(rows: Float32Array, length: number, epsilon: number): Promise<Float32Array> {
    const x = tensor('float32', [rows.length / length, 1, length], rows);
    const session = this.#sessions.get(epsilon) ?? (await open(this.platform, epsilon));
    this.#sessions.set(epsilon, session);
    return (await session.run({ x }))['y']!.data as Float32Array;
  }

  async dispose(): Promise<void> {
    for (const session of this.#sessions.values()) await session.dispose();
  }
}

function open(platform: Platform, epsilon: number): Promise<Session> {
  const g = new GraphBuilder('inlined');
  const x = g.input('x', 'float32', ['rows', 1, 'length']);
  g.output('y', op.groupNormalization(g, x, undefined, undefined, { numGroups: 1, epsilon }));
  const model = encodeModel(g.build(), new Map(), { opset: 21, lowering: 'op' });
  return openSession(platform, model, { groupNorm: 'op' });
}
