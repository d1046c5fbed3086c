/** Runs a Relu of each dtype on each list of providers, three times at once, and prints what came of it as JSON. */
import { GraphBuilder } from '../../lib/graph/builder.js';
import * as op from '../../lib/graph/ops/index.js';
import { castTensor } from '../../lib/half.js';
import { encodeModel } from '../../lib/onnx/encode.js';
import type { Provider, ProviderFallback } from '../../lib/runtime/core/contract.js';
import { createSession } from '../../lib/runtime/node.js';
import { type FloatDType, tensor } from '../../lib/tensor.js';

/** What came of one. */
export interface SessionOutcome {
  readonly dtype: FloatDType;
  readonly providers: readonly string[];
  /** `session.provider` when it was made, and after the runs. */
  readonly provider?: readonly [before: string, after: string];
  readonly fallbacks?: readonly ProviderFallback[];
  /** Of each run the result, or the error's code. */
  readonly runs?: readonly (readonly number[] | string)[];
  /** The code of the error, where there is no session. */
  readonly refused?: string;
  readonly message?: string;
}

const X = tensor('float32', [1, 3], Float32Array.of(-1, 0, 2));

const codeOf = (error: unknown): string => (error as { code?: string }).code ?? String(error);

async function outcome(
  dtype: FloatDType,
  providers: readonly Provider[],
): Promise<Omit<SessionOutcome, 'dtype' | 'providers'>> {
  const g = new GraphBuilder('relu');
  g.output('y', op.relu(g, g.input('x', dtype, ['N', 3])));
  await using session = await createSession(encodeModel(g.build(), new Map()), { providers });
  const before = session.provider;
  const run = async () => {
    const { y } = await session.run({ x: castTensor(X, dtype) });
    return [...castTensor(y!, 'float32').data].map(Number);
  };
  const runs = await Promise.all([1, 2, 3].map(() => run().catch(codeOf)));
  const { provider, fallbacks } = session;
  return { provider: [before, provider], fallbacks, runs };
}

const outcomes: SessionOutcome[] = [];
for (const dtype of ['float32', 'float64', 'float16'] as const) {
  for (const providers of [['webgpu'], ['webgpu', 'wasm'], ['webgpu', 'cpu']] as const) {
    const found = await outcome(dtype, providers).catch((error: unknown) => ({
      refused: codeOf(error),
      message: (error as Error).message,
    }));
    outcomes.push({ dtype, providers, ...found });
  }
}
console.log(JSON.stringify(outcomes));
