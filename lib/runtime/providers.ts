import { SessionError } from '../errors.js';
import { suggestion } from '../nearest.js';

/** Execution providers that a session can be asked for. */
export const PROVIDERS = ['cpu'] as const;
export type Provider = (typeof PROVIDERS)[number];

/**
 * @throws SessionError `UNKNOWN_PROVIDER` with the list of known ones.
 */
export function requireProvider(name: string): Provider {
  if ((PROVIDERS as readonly string[]).includes(name)) return name as Provider;
  throw new SessionError(
    'UNKNOWN_PROVIDER',
    `unknown execution provider '${name}'${suggestion(name, PROVIDERS)}; known: ${PROVIDERS.join(', ')}`,
  );
}
