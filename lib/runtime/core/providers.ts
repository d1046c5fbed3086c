/** The names of execution providers, and the choice of the backend that runs one. */
import { OptionError, SessionError } from '../../errors.js';
import { suggestion } from '../../nearest.js';
import { requireKnownOptions } from '../../options.js';
import {
  type Backend,
  type Platform,
  type Provider,
  type ProviderOptions,
  type ProviderProblem,
  PROVIDERS,
  type ProviderWithOptions,
} from './contract.js';

/**
 * Returns `name` as a provider.
 * @throws SessionError `UNKNOWN_PROVIDER` with the list of known providers.
 */
export function requireProvider(name: string): Provider {
  if ((PROVIDERS as readonly string[]).includes(name)) return name as Provider;
  throw new SessionError(
    'UNKNOWN_PROVIDER',
    `unknown execution provider '${name}'${suggestion(String(name), PROVIDERS)}; known: ${PROVIDERS.join(', ')}`,
  );
}

/**
 * Returns the providers in their order, each once.
 * @throws SessionError `UNKNOWN_PROVIDER` if `choices` is not a list, is empty, or has an unknown name.
 */
export function requireProviders(
  choices: readonly (string | ProviderWithOptions)[],
): readonly [Provider, ...Provider[]] {
  const list: unknown = choices;
  if (!Array.isArray(list)) {
    throw new SessionError(
      'UNKNOWN_PROVIDER',
      `providers must be a list, such as ['cpu'], not ${String(list)}`,
    );
  }
  const [first, ...rest] = new Set(choices.map((choice) => requireProvider(nameOf(choice))));
  if (first === undefined) {
    throw new SessionError('UNKNOWN_PROVIDER', 'providers is empty: name at least one');
  }
  return [first, ...rest];
}

/** @param choice A name, or an object with the name; of an object without a name, the text that stands for it. */
const nameOf = (choice: string | ProviderWithOptions): string =>
  typeof choice === 'object' && choice !== null ? choice.name : choice;

/** What an option's values are. */
interface OptionValues {
  readonly allows: (value: unknown) => boolean;
  /** For the message: `an integer of at least 0`. */
  readonly are: string;
}

const COUNT: OptionValues = {
  allows: (value) => Number.isSafeInteger(value) && (value as number) >= 0,
  are: 'an integer of at least 0',
};
const BOOLEAN: OptionValues = { allows: (value) => typeof value === 'boolean', are: 'true or false' };
const NAMES: OptionValues = {
  allows: (value) => Array.isArray(value) && value.every((name) => typeof name === 'string'),
  are: 'a list of names',
};
const oneOf = (...known: unknown[]): OptionValues => ({
  allows: (value) => known.includes(value),
  are: known.map((value) => `'${String(value)}'`).join(' or '),
});
const CACHE_MODE = oneOf('disabled', 'lazyRelease', 'simple', 'bucket');

/** The options of each provider. Source, but for `cpu`: js/node/src/session_options_helper.cc and js/web of ONNX Runtime 1.30. */
const PROVIDER_OPTIONS: Partial<
  Record<Provider, Readonly<Partial<Record<keyof ProviderOptions, OptionValues>>>>
> = {
  cpu: { allowInWorker: BOOLEAN },
  cuda: { deviceId: COUNT },
  tensorrt: { deviceId: COUNT },
  dml: { deviceId: COUNT },
  coreml: { coreMlFlags: COUNT },
  webgpu: {
    preferredLayout: oneOf('NCHW', 'NHWC'),
    forceCpuNodeNames: NAMES,
    validationMode: oneOf('disabled', 'wgpuOnly', 'basic', 'full'),
    storageBufferCacheMode: CACHE_MODE,
    uniformBufferCacheMode: CACHE_MODE,
    queryResolveBufferCacheMode: CACHE_MODE,
    defaultBufferCacheMode: CACHE_MODE,
  },
};

/**
 * Returns the options of the providers that have some.
 * @param choices A list that `requireProviders` accepts.
 * @throws OptionError `UNKNOWN_OPTION` for an option that a provider does not have, `INVALID_OPTION` for a value that it
 *   cannot have, and for a provider that is listed again with options.
 */
export function requireProviderOptions(
  choices: readonly (string | ProviderWithOptions)[],
): ReadonlyMap<Provider, ProviderOptions> {
  const found = new Map<Provider, ProviderOptions>();
  const listed = new Set<string>();
  for (const choice of choices) {
    const isAgain = listed.has(nameOf(choice));
    listed.add(nameOf(choice));
    if (typeof choice === 'string') continue;
    const { name, ...options } = choice;
    if (isAgain) {
      throw new OptionError('INVALID_OPTION', `providers lists '${name}' twice: give its options once`);
    }
    const values = PROVIDER_OPTIONS[name] ?? {};
    requireKnownOptions(`provider '${name}'`, options, Object.keys(values));
    for (const [option, value] of Object.entries(options)) {
      const { allows, are } = values[option as keyof ProviderOptions]!;
      if (value === undefined || allows(value)) continue;
      throw new OptionError(
        'INVALID_OPTION',
        `provider '${name}': ${option} must be ${are}, not ${String(value)}`,
      );
    }
    found.set(name, options);
  }
  return found;
}

/** The backend that runs a provider, or the problems that keep every backend of it from being used. */
export type BackendChoice =
  | { readonly backend: Backend; readonly lost: readonly LostBackend[]; readonly problems?: undefined }
  | {
      readonly backend?: undefined;
      readonly lost?: undefined;
      readonly problems: readonly ProviderProblem[];
    };

/** A better backend that cannot be used here: the native kernel, where `cpu` runs without it. */
export interface LostBackend extends ProviderProblem {
  readonly provider: Provider;
}

/**
 * Chooses the first backend of a provider that can be used here.
 * @param groupNormAsked Whether the caller names a way to run GroupNormalization. Then `cpu` is ONNX Runtime without
 *   the kernel, because only there does each name mean what it says.
 * @param options The provider's options.
 */
export async function chooseBackend(
  { backends }: Pick<Platform, 'backends'>,
  provider: Provider,
  groupNormAsked: boolean,
  options?: ProviderOptions,
): Promise<BackendChoice> {
  const candidates = backends[provider];
  if (!candidates) {
    const known = Object.keys(backends).join(', ');
    return { problems: [{ reason: `the provider '${provider}' does not exist here; known: ${known}` }] };
  }
  const problems: LostBackend[] = [];
  for (const backend of candidates) {
    if (provider === 'cpu' && groupNormAsked && backend.hasGroupNormKernel) continue;
    const found = await problemsOf(backend, options);
    if (found.length === 0) return { backend, lost: problems };
    problems.push(...found.map((problem) => ({ ...problem, provider: backend.provider })));
  }
  return { problems };
}

async function problemsOf(
  backend: Backend,
  options: ProviderOptions | undefined,
): Promise<readonly ProviderProblem[]> {
  const found = await backend.whyUnavailable(options);
  return typeof found === 'string' ? [{ reason: found }] : (found ?? []);
}

/** Joins the problems and their remedies into one text. */
export const describeProblems = (problems: readonly ProviderProblem[]): string =>
  problems.map(({ reason, remedy }) => (remedy === undefined ? reason : `${reason} (${remedy})`)).join('; ');
