/** A model on the first provider that can run it. */
import { OptionError, SessionError, type SessionErrorCode } from '../../errors.js';
import { getSessionLowering, MAX_OPSET } from '../../lowering/choose.js';
import type { SessionLoweringName } from '../../lowering/types.js';
import { requireKnownOptions } from '../../options.js';
import {
  type Backend,
  type BackendOptions,
  describeProblems,
  GRAPH_OPTIMIZATION_LEVELS,
  type LoadedModel,
  type ModelSource,
  type Platform,
  type Provider,
  type ProviderFallback,
  requireProviders,
  type Session,
  type SessionOptions,
} from './contract.js';
import { isProvidersFault, typed } from './errors.js';
import { type PreparedModel, prepareModel } from './prepare.js';
import { RuntimeSession } from './session.js';

/** What is asked of the providers. */
export interface OpenOptions {
  readonly providers: readonly [Provider, ...Provider[]];
  /** Only the first of them will do. */
  readonly strict: boolean;
  readonly groupNorm: SessionLoweringName | undefined;
  readonly backend: BackendOptions;
}

/** A model that is ready to run. */
export interface OpenedModel extends Pick<PreparedModel, 'bfloat16' | 'groupNorm'> {
  readonly loaded: LoadedModel;
  readonly provider: Provider;
  readonly fallbacks: readonly ProviderFallback[];
}

/** An opened model, and what comes after it: that holds the bytes of the model, so it is let go apart. */
export interface Opening {
  readonly opened: OpenedModel;
  /** The model on one of the providers behind this one, whose first run has shown that it lacks something. */
  readonly next: ((refusal: SessionError) => Promise<Opening>) | undefined;
}

/** What has been tried already. */
interface PassedOver {
  readonly fallbacks: readonly ProviderFallback[];
  readonly refusals: readonly unknown[];
}

/**
 * Tries the providers in their order. One that cannot be used here, or lacks what the model needs, is passed over;
 * a model that is itself at fault is refused at once.
 * @throws ModelError; SessionError `PROVIDER_UNAVAILABLE` if none can be used, `MODEL_REJECTED` or `OUT_OF_MEMORY`.
 */
export async function openModel(
  platform: Platform,
  source: ModelSource,
  options: OpenOptions,
  passedOver: PassedOver = { fallbacks: [], refusals: [] },
): Promise<Opening> {
  const { strict, groupNorm } = options;
  const providers = strict ? options.providers.slice(0, 1) : options.providers;
  const fallbacks = [...passedOver.fallbacks];
  const refusals = [...passedOver.refusals];
  for (const provider of providers.slice(fallbacks.length)) {
    const { backend, problems } = await platform.chooseBackend(provider, groupNorm !== undefined);
    if (!backend) {
      fallbacks.push({ provider, reason: describeProblems(problems) });
      continue;
    }
    try {
      const opened = { ...(await load(platform, source, backend, options)), fallbacks };
      const isLast = provider === providers.at(-1);
      return { opened, next: isLast ? undefined : (refusal) => goOn(provider, refusal) };
    } catch (error) {
      if (!isProvidersFault(error)) throw error;
      fallbacks.push({ provider, reason: (error as Error).message });
      refusals.push(error);
    }
  }
  throw noneLeft(source, options, fallbacks, refusals);

  function goOn(provider: Provider, refusal: SessionError): Promise<Opening> {
    return openModel(platform, source, options, {
      fallbacks: [...fallbacks, { provider, reason: refusal.message }],
      refusals: [...refusals, refusal],
    });
  }
}

async function load(
  platform: Platform,
  { bytes, where, folder }: ModelSource,
  backend: Backend,
  { groupNorm, backend: options }: OpenOptions,
): Promise<Omit<OpenedModel, 'fallbacks'>> {
  const has = folder === undefined ? undefined : (name: string) => platform.hasFile(folder, name);
  const prepared = prepareModel(bytes, where, has, groupNorm, backend);
  const loaded = await typed('MODEL_REJECTED', `${where}: ONNX Runtime refuses this model`, () =>
    backend.load(prepared.bytes, folder, options),
  );
  const { bfloat16, groupNorm: execution } = prepared;
  return { loaded, provider: backend.provider, bfloat16, groupNorm: execution };
}

function noneLeft(
  { where }: ModelSource,
  { providers, strict }: OpenOptions,
  fallbacks: readonly ProviderFallback[],
  refusals: readonly unknown[],
): unknown {
  const [first] = refusals;
  if (fallbacks.length === 1 && first !== undefined) return first;
  const said = fallbacks.map(({ provider, reason }) => `${provider}: ${reason}`).join('; ');
  const others = strict && providers.length > 1 ? ' (strict: the others are not tried)' : '';
  // The last provider that could be used says best what is wrong: it is the one to fall back to.
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

// SECTION: `createSession` on any platform.

const SESSION_OPTIONS: readonly (keyof SessionOptions)[] = [
  'providers',
  'strict',
  'groupNorm',
  'intraOpNumThreads',
  'graphOptimizationLevel',
  'enableCpuMemArena',
  'profileFilePrefix',
];

/** `createSession`, which says what it throws, on a platform. */
export async function openSession(
  platform: Platform,
  model: string | Uint8Array,
  options: SessionOptions,
): Promise<Session> {
  requireKnownOptions('createSession', options, SESSION_OPTIONS);
  const { providers: names = [platform.defaultProvider], strict = false, groupNorm, ...backend } = options;
  if (typeof strict !== 'boolean') {
    throw new OptionError(
      'INVALID_OPTION',
      `createSession: strict must be true or false, not ${String(strict)}`,
    );
  }
  requireBackendOptions(backend);
  if (groupNorm !== undefined) getSessionLowering(groupNorm, MAX_OPSET);
  const providers = requireProviders(names);
  requireModel(model);
  const source =
    typeof model === 'string'
      ? await platform.readModel(model)
      : { bytes: model, where: 'model', folder: undefined };
  return new RuntimeSession(await openModel(platform, source, { providers, strict, groupNorm, backend }));
}

/** What a runtime would take for a fault of the model, or as something else than it says. */
function requireBackendOptions({
  intraOpNumThreads: threads,
  graphOptimizationLevel: level,
}: BackendOptions): void {
  if (threads !== undefined && !(Number.isSafeInteger(threads) && threads >= 1)) {
    const problem = `intraOpNumThreads must be an integer of at least 1, not ${String(threads)}`;
    throw new OptionError('INVALID_OPTION', `createSession: ${problem}`);
  }
  if (level === undefined || GRAPH_OPTIMIZATION_LEVELS.includes(level)) return;
  throw new OptionError(
    'INVALID_OPTION',
    `createSession: graphOptimizationLevel '${String(level)}' is unknown; known: ${GRAPH_OPTIMIZATION_LEVELS.join(', ')}`,
  );
}

function requireModel(model: unknown): void {
  if (typeof model === 'string' || model instanceof Uint8Array) return;
  const remedy = model instanceof ArrayBuffer ? ': new Uint8Array(buffer) makes one of it' : '';
  throw new OptionError(
    'INVALID_OPTION',
    `createSession takes a path or a Uint8Array, not ${Object.prototype.toString.call(model).slice(8, -1)}${remedy}`,
  );
}
