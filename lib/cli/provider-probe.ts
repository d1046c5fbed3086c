import type { Problem } from '../runtime/backend.js';
import { chooseBackend } from '../runtime/choose-backend.js';
import { createSession, type Provider } from '../runtime/index.js';
import { PROBE_INPUT, probeModel, whyWrong } from '../runtime/probe.js';

/**
 * Whether a provider can run a model with a GroupNormalization in it, and gets it right.
 * @returns Why not, in the order in which to see to it; nothing if it can.
 */
export async function probeProvider(provider: Provider): Promise<readonly Problem[]> {
  const { problems } = await chooseBackend(provider, false);
  if (problems) return problems;
  const reason = await whyNot(provider);
  return reason === undefined ? [] : [{ reason }];
}

async function whyNot(provider: Provider): Promise<string | undefined> {
  try {
    const session = await createSession(probeModel('op'), { providers: [provider] });
    try {
      return whyWrong((await session.run({ x: PROBE_INPUT })).y!.data as Float32Array);
    } finally {
      await session.dispose();
    }
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
