/** The cases of `parity`: every fixture in every way that was asked for. */
import { getGraph } from '../../graphs/registry.js';
import { OnnxGroupNormError, type SessionError } from '../errors.js';
import {
  checkFixture,
  defaultTolerance,
  readFixture,
  type BuildGraph,
  type CaseResult,
  type CheckSpec,
  type Fixture,
} from '../parity/index.js';
import type { ProviderFallback } from '../runtime/index.js';
import { withInterrupt } from './interrupt.js';
import type { Progress } from './progress.js';

export interface ParityCases {
  readonly results: readonly CaseResult[];
  /** Files that cannot be read, or are no fixtures. */
  readonly unreadable: number;
  /** Files of the fixtures that allow more than the default tolerance. */
  readonly loose: ReadonlySet<string>;
  /** Cases that Ctrl+C came before. */
  readonly notRun: number;
}

/**
 * One case after the other, because ONNX Runtime uses every core for each.
 * @param missing Providers that cannot be used here: a case on one of them has failed.
 */
export const runCases = (
  files: readonly string[],
  specs: readonly CheckSpec[],
  progress: Progress,
  missing: readonly ProviderFallback[] = [],
): Promise<ParityCases> =>
  withInterrupt(async (interrupt) => {
    const results: CaseResult[] = [];
    const loose = new Set<string>();
    let [unreadable, notRun] = [0, 0];
    for (const [at, file] of files.entries()) {
      const fixture = interrupt.asked ? undefined : await readFixture(file).catch(asUnreadable);
      if (fixture instanceof OnnxGroupNormError) {
        unreadable += 1;
        // Once, however many ways there are to run it.
        results.push(couldNotRun({ file, graph: 'unknown' }, specs[0]!, fixture));
        continue;
      }
      if (fixture && specs.some((spec) => allowsMore(fixture, spec))) loose.add(file);
      for (const spec of specs) {
        if (!fixture || interrupt.asked) {
          notRun += 1;
          continue;
        }
        const place = `case ${results.length + 1}, fixture ${at + 1} of ${files.length}`;
        progress.step(`${place}: ${file}, ${spec.lowering}`);
        const absent = missing.find(({ provider }) => provider === spec.provider);
        results.push(
          absent
            ? couldNotRun(fixture, spec, unavailable(absent))
            : await checkFixture(fixture, spec, buildRegistryGraph),
        );
      }
    }
    return { results, unreadable, loose, notRun };
  });

/** Whether the fixture, not the command line, sets a tolerance above the default of an output's dtype. */
const allowsMore = ({ outputs, ...own }: Fixture, spec: CheckSpec): boolean =>
  [...outputs.values()].some(({ dtype }) =>
    (['rtol', 'atol'] as const).some(
      (key) => spec[key] === undefined && (own[key] ?? 0) > defaultTolerance(dtype)[key],
    ),
  );

const unavailable = ({ provider }: ProviderFallback): Pick<SessionError, 'code' | 'message'> => ({
  code: 'PROVIDER_UNAVAILABLE',
  message: `${provider} cannot be used here`,
});

function couldNotRun(
  { file, graph }: Pick<Fixture, 'file' | 'graph'>,
  { lowering, opset, provider }: CheckSpec,
  { code, message }: Pick<OnnxGroupNormError, 'code' | 'message'>,
): CaseResult {
  const base = { file, graph, lowering, opset, provider, passed: false, outputs: [] };
  return { ...base, error: { code, message }, milliseconds: 0 };
}

/** Errors about the file are results; any other is a bug. */
function asUnreadable(error: unknown): OnnxGroupNormError {
  if (error instanceof OnnxGroupNormError) return error;
  throw error;
}

const buildRegistryGraph: BuildGraph = (name, options, input) => getGraph(name).build(options, input);
