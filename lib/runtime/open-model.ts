/** A model on the first provider that can run it. */
import { SessionError, type SessionErrorCode } from '../errors.js';
import type { SessionLoweringName } from '../lowering/index.js';
import type { Backend, BackendOptions, LoadedModel } from './backend.js';
import { describeProblems } from './choice.js';
import type { ModelSource, Platform } from './platform.js';
import { prepareModel, type PreparedModel } from './prepare.js';
import type { Provider, ProviderFallback } from './providers.js';
import { isProvidersFault, typed } from './runtime-errors.js';

/** What is asked of the providers. */
export interface OpenOptions {
  readonly providers: readonly [Provider, ...Provider[]];
  /** Only the first of them will do. */
  readonly strict: boolean;
  readonly groupNorm: SessionLoweringName | undefined;
  readonly backend: BackendOptions;
}

/** A model that is ready to run. */
export interface OpenedModel {
  readonly loaded: LoadedModel;
  readonly provider: Provider;
  readonly prepared: PreparedModel;
  readonly fallbacks: readonly ProviderFallback[];
  /**
   * Where its first run shows that the provider lacks what the model needs: the model on one of those behind it. The
   * same promise for every call. Nothing if there are none.
   */
  readonly next?: ((refusal: SessionError) => Promise<OpenedModel>) | undefined;
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
): Promise<OpenedModel> {
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
      const opened = await load(platform, source, backend, options);
      const isLast = provider === providers.at(-1);
      return { ...opened, fallbacks, next: isLast ? undefined : once((refusal) => goOn(provider, refusal)) };
    } catch (error) {
      if (!isProvidersFault(error)) throw error;
      fallbacks.push({ provider, reason: (error as Error).message });
      refusals.push(error);
    }
  }
  throw noneLeft(source, options, fallbacks, refusals);

  function goOn(provider: Provider, refusal: SessionError): Promise<OpenedModel> {
    return openModel(platform, source, options, {
      fallbacks: [...fallbacks, { provider, reason: refusal.message }],
      refusals: [...refusals, refusal],
    });
  }
}

/** Several runs may find out at once. */
function once<Argument, Result>(action: (argument: Argument) => Result): (argument: Argument) => Result {
  let made: { readonly result: Result } | undefined;
  return (argument) => (made ??= { result: action(argument) }).result;
}

async function load(
  platform: Platform,
  { bytes, where, folder }: ModelSource,
  backend: Backend,
  { groupNorm, backend: options }: OpenOptions,
): Promise<Omit<OpenedModel, 'fallbacks' | 'next'>> {
  const has = folder === undefined ? undefined : (name: string) => platform.hasFile(folder, name);
  const prepared = prepareModel(bytes, where, has, groupNorm, backend);
  const loaded = await typed('MODEL_REJECTED', `${where}: ONNX Runtime refuses this model`, () =>
    backend.load(prepared.bytes, folder, options),
  );
  return { loaded, provider: backend.provider, prepared };
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
