/** The choice of a runtime, and why others cannot be used. */
import type { Backend, Problem } from './backend.js';

/** A runtime that can be used, or what keeps every one of the provider's from it. */
export type Choice =
  | { readonly backend: Backend; readonly problems?: undefined }
  | { readonly backend?: undefined; readonly problems: readonly Problem[] };

/** The first of several that can be used. */
export async function firstUsable(backends: readonly Backend[]): Promise<Choice> {
  const problems: Problem[] = [];
  for (const backend of backends) {
    const found = await problemsOf(backend);
    if (found.length === 0) return { backend };
    problems.push(...found);
  }
  return { problems };
}

async function problemsOf(backend: Backend): Promise<readonly Problem[]> {
  const found = await backend.whyUnavailable();
  return typeof found === 'string' ? [{ reason: found }] : (found ?? []);
}

/** Several problems in one text. */
export const describeProblems = (problems: readonly Problem[]): string =>
  problems.map(({ reason, remedy }) => (remedy === undefined ? reason : `${reason} (${remedy})`)).join('; ');
