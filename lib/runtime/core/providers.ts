/** The names of execution providers, and the choice of the backend that runs one. */
import { SessionError } from '../../errors.js';
import { suggestion } from '../../nearest.js';
import { type Backend, type Platform, type Provider, type ProviderProblem, PROVIDERS } from './contract.js';

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
 * @throws SessionError `UNKNOWN_PROVIDER` if `names` is not a list, is empty, or has an unknown name.
 */
export function requireProviders(names: readonly string[]): readonly [Provider, ...Provider[]] {
  if (!Array.isArray(names)) {
    throw new SessionError(
      'UNKNOWN_PROVIDER',
      `providers must be a list, such as ['cpu'], not ${String(names)}`,
    );
  }
  const [first, ...rest] = new Set(names.map(requireProvider));
  if (first === undefined) {
    throw new SessionError('UNKNOWN_PROVIDER', 'providers is empty: name at least one');
  }
  return [first, ...rest];
}

/** The backend that runs a provider, or the problems that keep every backend of it from being used. */
export type BackendChoice =
  | { readonly backend: Backend; readonly problems?: undefined }
  | { readonly backend?: undefined; readonly problems: readonly ProviderProblem[] };

/**
 * Chooses the first backend of a provider that can be used here.
 * @param groupNormAsked Whether the caller names a way to run GroupNormalization. Then `cpu` is ONNX Runtime without
 *   the kernel, because only there does each name mean what it says.
 */
export async function chooseBackend(
  { backends }: Pick<Platform, 'backends'>,
  provider: Provider,
  groupNormAsked: boolean,
): Promise<BackendChoice> {
  const candidates = backends[provider];
  if (!candidates) {
    const known = Object.keys(backends).join(', ');
    return { problems: [{ reason: `there is no provider '${provider}' here; there are: ${known}` }] };
  }
  const problems: ProviderProblem[] = [];
  for (const backend of candidates) {
    if (provider === 'cpu' && groupNormAsked && backend.hasGroupNormKernel) continue;
    const found = await problemsOf(backend);
    if (found.length === 0) return { backend };
    problems.push(...found);
  }
  return { problems };
}

async function problemsOf(backend: Backend): Promise<readonly ProviderProblem[]> {
  const found = await backend.whyUnavailable();
  return typeof found === 'string' ? [{ reason: found }] : (found ?? []);
}

/** Joins the problems and their remedies into one text. */
export const describeProblems = (problems: readonly ProviderProblem[]): string =>
  problems.map(({ reason, remedy }) => (remedy === undefined ? reason : `${reason} (${remedy})`)).join('; ');
