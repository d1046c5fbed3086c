import { GraphBuilder, op } from '../graph/index.js';
import { encodeModel } from '../onnx/index.js';
import { createSession, type Provider } from '../runtime/index.js';
import { tensor } from '../tensor.js';

/** Mean 2, deviation 1; scale 2 and bias 1. */
const INPUT = Float32Array.of(1, 3);
const EXPECTED = [-1, 3];

/**
 * Whether a provider can run a model with a GroupNormalization in it, and gets it right.
 * @returns Why not; nothing if it can.
 */
export async function probeProvider(provider: Provider): Promise<string | undefined> {
  try {
    const session = await createSession(probeModel(), { providers: [provider] });
    try {
      const { y } = await session.run({ x: tensor('float32', [1, 2], INPUT) });
      const actual = [...(y!.data as Float32Array)];
      const right = actual.every((value, i) => Math.abs(value - EXPECTED[i]!) < 1e-5);
      return right ? undefined : `it computes [${actual.join(', ')}] where [${EXPECTED.join(', ')}] is right`;
    } finally {
      await session.dispose();
    }
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function probeModel(): Uint8Array {
  const g = new GraphBuilder('probe');
  const vector = (values: number[]) => g.constant(tensor('float32', [2], Float32Array.from(values)));
  const x = g.input('x', 'float32', ['N', 2]);
  g.output('y', op.groupNormalization(g, x, vector([2, 2]), vector([1, 1]), { numGroups: 1, epsilon: 0 }));
  return encodeModel(g.build(), new Map());
}
