/** GroupNorm of plain rows, as a session runs one lowering of it. */
import { GraphBuilder } from '../../graph/builder.js';
import * as op from '../../graph/ops/index.js';
import type { LoweringName } from '../../lowering/types.js';
import { encodeModel } from '../../onnx/encode.js';
import type { Platform, Provider, Session } from '../../runtime/core/contract.js';
import { openSession } from '../../runtime/session/open.js';
import { tensor } from '../../tensor.js';

/**
 * Normalizes rows in float32, without scale and bias. `op`, the default, is what ONNX Runtime does without this package: it has
 * no kernel for GroupNormalization, and runs the definition of opset 21 in its place, with the variance as E[x²] − E[x]².
 * Call `dispose` at the end.
 */
export class RowNormalizer {
  /** One model for each epsilon and length: a session may run rows of a known length in other nodes. */
  readonly #sessions = new Map<string, Session>();

  constructor(
    readonly platform: Platform,
    readonly groupNorm: LoweringName = 'op',
    readonly providers?: readonly Provider[],
  ) {}

  /** @param rows Rows of `length` elements, one behind the other. */
  async normalize(rows: Float32Array, length: number, epsilon: number): Promise<Float32Array> {
    const x = tensor('float32', [rows.length / length, 1, length], rows);
    const key = `${epsilon} ${length}`;
    const session = this.#sessions.get(key) ?? (await this.#open(length, epsilon));
    this.#sessions.set(key, session);
    return (await session.run({ x }))['y']!.data as Float32Array;
  }

  #open(length: number, epsilon: number): Promise<Session> {
    const g = new GraphBuilder('rows');
    const x = g.input('x', 'float32', ['rows', 1, length]);
    g.output('y', op.groupNormalization(g, x, undefined, undefined, { numGroups: 1, epsilon }));
    const model = encodeModel(g.build(), new Map(), { opset: 21, lowering: 'op' });
    return openSession(this.platform, model, { groupNorm: this.groupNorm, providers: this.providers });
  }

  async dispose(): Promise<void> {
    for (const session of this.#sessions.values()) await session.dispose();
  }
}
