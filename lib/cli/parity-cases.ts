/** The cases of `parity`: everything that was found in every way that was asked for. */
import { OnnxGroupNormError, type SessionError } from '../errors.js';
import type { CaseName } from '../parity/case.js';
import type { CaseResult } from '../parity/index.js';
import type { ProviderFallback } from '../runtime/index.js';
import { withInterrupt } from './interrupt.js';
import type { ParitySource } from './parity-files.js';
import type { ParityPlan } from './parity-plan.js';
import { readWays, unreadableCase } from './parity-ways.js';
import type { Progress } from './progress.js';

export interface ParityCases {
  readonly results: readonly CaseResult[];
  /** Sources that cannot be read, or are no fixtures or data sets. */
  readonly unreadable: number;
  /** Files of the fixtures that allow more than the default tolerance. */
  readonly loose: ReadonlySet<string>;
  /** Cases that Ctrl+C came before; of what had not been read yet, a case each. */
  readonly notRun: number;
}

/**
 * One case after the other, because ONNX Runtime uses every core for each.
 * @param missing Providers that cannot be used here: a case on one of them has failed.
 */
export const runCases = (
  sources: readonly ParitySource[],
  plan: ParityPlan,
  progress: Progress,
  missing: readonly ProviderFallback[] = [],
): Promise<ParityCases> =>
  withInterrupt(async (interrupt) => {
    const results: CaseResult[] = [];
    const loose = new Set<string>();
    let [unreadable, notRun] = [0, 0];
    for (const [at, source] of sources.entries()) {
      if (interrupt.asked) {
        notRun += source.isDataSet ? 1 : plan.fixtures.length;
        continue;
      }
      const read = await readWays(source, plan).catch(asUnreadable);
      if (read instanceof OnnxGroupNormError) {
        unreadable += 1;
        // Once, however many ways there are to run it.
        results.push(couldNotRun(unreadableCase(source, plan), read));
        continue;
      }
      if (read.isLoose) loose.add(source.path);
      for (const { name, run } of read.ways) {
        if (interrupt.asked) {
          notRun += 1;
          continue;
        }
        const kind = source.isDataSet ? 'data set' : 'fixture';
        const place = `case ${results.length + 1}, ${kind} ${at + 1} of ${sources.length}`;
        progress.step(`${place}: ${name.file}, ${name.lowering}`);
        const absent = missing.find(({ provider }) => provider === name.provider);
        results.push(absent ? couldNotRun(name, unavailable(absent)) : await run());
      }
    }
    return { results, unreadable, loose, notRun };
  });

const unavailable = ({ provider }: ProviderFallback): Pick<SessionError, 'code' | 'message'> => ({
  code: 'PROVIDER_UNAVAILABLE',
  message: `${provider} cannot be used here`,
});

const couldNotRun = (
  name: CaseName,
  { code, message }: Pick<OnnxGroupNormError, 'code' | 'message'>,
): CaseResult => ({ ...name, passed: false, outputs: [], error: { code, message }, milliseconds: 0 });

/** Errors about the file are results; any other is a bug. */
function asUnreadable(error: unknown): OnnxGroupNormError {
  if (error instanceof OnnxGroupNormError) return error;
  throw error;
}
