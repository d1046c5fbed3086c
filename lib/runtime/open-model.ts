/** A model on the first provider that can run it. */
import { SessionError } from '../errors.js';
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
): Promise<OpenedModel> {
  const { providers, strict, groupNorm } = options;
  const fallbacks: ProviderFallback[] = [];
  const refusals: unknown[] = [];
  for (const provider of strict ? providers.slice(0, 1) : providers) {
    const { backend, problems } = await platform.chooseBackend(provider, groupNorm !== undefined);
    if (!backend) {
      fallbacks.push({ provider, reason: describeProblems(problems) });
      continue;
    }
    try {
      return { ...(await load(platform, source, backend, options)), fallbacks };
    } catch (error) {
      if (!isProvidersFault(error)) throw error;
      fallbacks.push({ provider, reason: (error as Error).message });
      refusals.push(error);
    }
  }
  throw noneLeft(source, options, fallbacks, refusals);
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
  return { loaded, provider: backend.provider, prepared };
}

function noneLeft(
  { where }: ModelSource,
  { providers, strict }: OpenOptions,
  fallbacks: readonly ProviderFallback[],
  refusals: readonly unknown[],
): unknown {
  const [cause] = refusals;
  if (fallbacks.length === 1 && cause !== undefined) return cause;
  const said = fallbacks.map(({ provider, reason }) => `${provider}: ${reason}`).join('; ');
  const others = strict && providers.length > 1 ? ' (strict: the others are not tried)' : '';
  return cause === undefined
    ? new SessionError('PROVIDER_UNAVAILABLE', `no execution provider can be used${others}. ${said}`)
    : new SessionError(
        'MODEL_REJECTED',
        `${where}: no execution provider can run this model${others}. ${said}`,
        {
          cause,
        },
      );
}
