import type { Problem } from '../runtime/backend.js';
import { chooseBackend } from '../runtime/choose-backend.js';
import { isOnCuda } from '../runtime/cuda-libraries.js';
import { missingCudnn } from '../runtime/cudnn.js';
import { createSession, type Provider } from '../runtime/index.js';
import { PROBE_INPUT, probeModel, whyWrong } from '../runtime/probe.js';

/** What models it cannot run for want of something, although it is usable; nothing that is known, as a rule. */
export async function limitsOf(provider: Provider): Promise<readonly Problem[]> {
  const missing = isOnCuda(provider) && process.platform === 'linux' ? await missingCudnn() : undefined;
  return missing === undefined ? [] : [missing];
}

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
