/** Creates sessions: checks the options, and loads the model on the first provider that can run it. */
import { isUint8Array, unshared } from '../../arrays.js';
import { SessionError, type SessionErrorCode } from '../../errors.js';
import { notBytes } from '../../options.js';
import type {
  ModelSource,
  Platform,
  Provider,
  ProviderFallback,
  Session,
  SessionOptions,
} from '../core/contract.js';
import { canFallBackAfterLoad } from '../core/errors.js';
import { loadModel, type Opening } from './load.js';
import { chooseBackend, describeProblems, type LostBackend } from '../core/providers.js';
import { RuntimeSession } from './session.js';
import { type OpenOptions, requireSessionOptions } from '../core/session-options.js';

/** Implements `createSession`, whose docstring lists the errors, on a platform. */
export async function openSession(
  platform: Platform,
  model: string | Uint8Array,
  options: SessionOptions,
): Promise<Session> {
  const checked = requireSessionOptions(options, platform.defaultProvider);
  return new RuntimeSession(await openModel(platform, await sourceOf(platform, model), checked));
}

/** Opens a session for a model that was read before: its own bytes, or others that need the same files of weights. */
export const openSource = async (
  platform: Platform,
  source: ModelSource,
  options: SessionOptions,
): Promise<Session> => {
  const checked = requireSessionOptions(options, platform.defaultProvider);
  return new RuntimeSession(await openModel(platform, source, checked));
};

/**
 * Reads a model that the caller gives by its path or as bytes.
 * @throws FileError; ModelError `MODEL_TOO_LARGE`; OptionError `INVALID_OPTION`.
 */
export async function sourceOf(platform: Platform, model: string | Uint8Array): Promise<ModelSource> {
  if (typeof model === 'string') return platform.readModel(model);
  if (!isUint8Array(model)) throw notBytes('createSession takes a path or a Uint8Array', model);
  // Neither TextDecoder in browsers nor onnxruntime-node reads shared memory.
  return givenBytes(unshared(model));
}

/**
 * Returns a source whose bytes are checked each time that they are read: the caller may have transferred or resized them while
 * the session was loading.
 */
function givenBytes(bytes: Uint8Array): ModelSource {
  const { byteLength } = bytes;
  return {
    get bytes() {
      if (bytes.byteLength === byteLength) return bytes;
      throw new SessionError(
        'MODEL_REJECTED',
        `model: its array had ${byteLength} bytes and has ${bytes.byteLength} now: it was transferred or resized while the ` +
          'session was loading; keep it until createSession has returned the session, or pass a copy',
      );
    },
    where: 'model',
    folder: undefined,
  };
}

/** Runs `action` with a session or a loaded model, and disposes of it afterwards. */
export async function withSession<S extends Pick<Session, 'dispose'>, Result>(
  opening: Promise<S>,
  action: (session: S) => Promise<Result>,
): Promise<Result> {
  const session = await opening;
  try {
    return await action(session);
  } finally {
    await session.dispose();
  }
}

/** The providers that were tried in vain. */
interface PassedOver {
  readonly fallbacks: readonly ProviderFallback[];
  readonly refusals: readonly unknown[];
}

/**
 * Loads the model on the first provider of the list that can run it. A provider that cannot be used here, or that
 * lacks something the model needs, is passed over. A model that is itself at fault is refused at once.
 * @throws ModelError; SessionError `PROVIDER_UNAVAILABLE` if no provider can be used, `MODEL_REJECTED`,
 *   `OUT_OF_MEMORY`.
 */
async function openModel(
  platform: Platform,
  source: ModelSource,
  options: OpenOptions,
  passedOver: PassedOver = { fallbacks: [], refusals: [] },
): Promise<Opening> {
  const { strict, groupNorm, providerOptions } = options;
  const providers = strict ? options.providers.slice(0, 1) : options.providers;
  const fallbacks = [...passedOver.fallbacks];
  const refusals = [...passedOver.refusals];
  for (const provider of providers.slice(fallbacks.length)) {
    const { backend, lost, problems } = await chooseBackend(
      platform,
      provider,
      groupNorm !== undefined,
      providerOptions.get(provider),
    );
    if (!backend) {
      fallbacks.push({ provider, reason: describeProblems(problems) });
      continue;
    }
    try {
      const loaded = await loadModel(platform, source, provider, backend, options);
      const opened = { ...loaded, fallbacks: withLost(fallbacks, lost) };
      if (lost.length > 0) platform.warnOfLost?.(lost);
      const isLast = provider === providers.at(-1);
      return { opened, next: isLast ? undefined : (refusal) => openNext(provider, refusal) };
    } catch (error) {
      if (!canFallBackAfterLoad(error)) throw error;
      fallbacks.push({ provider, reason: (error as Error).message });
      refusals.push(error);
    }
  }
  throw noProviderLeft(source, options, fallbacks, refusals);

  function openNext(provider: Provider, refusal: SessionError): Promise<Opening> {
    return openModel(platform, source, options, {
      fallbacks: [...fallbacks, { provider, reason: refusal.message }],
      refusals: [...refusals, refusal],
    });
  }
}

/** Adds the backends that were passed over without being named. */
function withLost(
  fallbacks: readonly ProviderFallback[],
  lost: readonly LostBackend[],
): readonly ProviderFallback[] {
  const unnamed = lost.filter(({ provider }) => fallbacks.every((named) => named.provider !== provider));
  return [
    ...fallbacks,
    ...unnamed.map((problem) => ({ provider: problem.provider, reason: describeProblems([problem]) })),
  ];
}

function noProviderLeft(
  { where }: ModelSource,
  { providers, strict }: OpenOptions,
  fallbacks: readonly ProviderFallback[],
  refusals: readonly unknown[],
): unknown {
  const [first] = refusals;
  if (fallbacks.length === 1 && first !== undefined) return first;
  const said = fallbacks.map(({ provider, reason }) => `${provider}: ${reason}`).join('; ');
  const others = strict && providers.length > 1 ? ' (strict: the others are not tried)' : '';
  // The last provider that could be used explains best: the caller listed it as the last resort.
  const cause = refusals.filter((refusal) => codeOf(refusal) !== 'PROVIDER_UNAVAILABLE').at(-1);
  return cause === undefined
    ? new SessionError('PROVIDER_UNAVAILABLE', `no execution provider can be used${others}. ${said}`, {
        cause: first,
      })
    : new SessionError(
        codeOf(cause),
        `${where}: no execution provider can run this model${others}. ${said}`,
        {
          cause,
        },
      );
}

const codeOf = (refusal: unknown): SessionErrorCode =>
  refusal instanceof SessionError ? refusal.code : 'MODEL_REJECTED';
