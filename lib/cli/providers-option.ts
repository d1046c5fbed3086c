/** `--provider` of `parity`, which may name several. */
import { Option } from 'commander';
import { chooseBackend } from '../runtime/choose-backend.js';
import { PROVIDERS, type Provider, type ProviderFallback } from '../runtime/index.js';
import { requireProviders } from '../runtime/providers.js';
import { parseNames } from './arguments.js';

export const providersOption = (): Option =>
  new Option(
    '--provider <names>',
    `execution provider: ${PROVIDERS.join(', ')}; several of them (cpu,wasm), or all that this machine has`,
  ).default('cpu');

export interface AvailableProviders {
  readonly available: readonly Provider[];
  /** Those that cannot be used here, and why; `doctor` says what to do. */
  readonly missing: readonly ProviderFallback[];
  /** Whether one of these was named. */
  readonly asked: boolean;
}

/**
 * The providers of `--provider`: of the names, or of `all` there are, those that can be used here.
 * @throws SessionError `UNKNOWN_PROVIDER`.
 */
export async function availableProviders(text: string): Promise<AvailableProviders> {
  const names = parseNames(text);
  const all = names.includes('all');
  const available: Provider[] = [];
  const missing: ProviderFallback[] = [];
  for (const provider of all ? PROVIDERS : requireProviders(names)) {
    const { backend, problems } = await chooseBackend(provider, false);
    if (backend) available.push(provider);
    else missing.push({ provider, reason: problems.map(({ reason }) => reason).join('; ') });
  }
  return { available, missing, asked: !all && missing.length > 0 };
}
