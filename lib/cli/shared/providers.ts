/** The execution providers of `--provider`, and which of them work on this machine. */
import { type Provider, type ProviderFallback, PROVIDERS } from '../../runtime/core/contract.js';
import { requireProviders } from '../../runtime/core/providers.js';
import { chooseBackend } from '../../runtime/node.js';
import { parseNames } from './options.js';

interface AvailableProviders {
  readonly available: readonly Provider[];
  /** Providers that do not work here, with the reason. `doctor` says what to do. */
  readonly missing: readonly ProviderFallback[];
  /** Whether the option names its providers; `false` for `all`. */
  readonly isNamed: boolean;
}

/**
 * Returns which providers of the option `--provider` work: names, or `all`.
 * @throws SessionError `UNKNOWN_PROVIDER`.
 */
export async function availableProviders(text: string): Promise<AvailableProviders> {
  const names = parseNames(text);
  const isNamed = !names.includes('all');
  const available: Provider[] = [];
  const missing: ProviderFallback[] = [];
  for (const provider of isNamed ? requireProviders(names) : PROVIDERS) {
    const { backend, problems } = await chooseBackend(provider, false);
    if (backend) available.push(provider);
    else missing.push({ provider, reason: problems.map(({ reason }) => reason).join('; ') });
  }
  return { available, missing, isNamed };
}
