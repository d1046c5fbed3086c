/** The measurements of docs/providers, and the tables that docs/providers.md and the documentation site have of them. */
import { format } from 'prettier';
import { type Report, readReport } from '../../bench/report.js';
import { quantile, table } from '../../bench/statistics.js';
import { PROVIDERS } from '../../lib/index.js';
import { GROUP_NORM_CHOICES } from '../../lib/runtime/model/group-norm-policy.js';

/** One fixture, written with one lowering, on one provider. */
export interface CaseRow {
  readonly graph: string;
  /** The name of the fixture. */
  readonly case: string;
  readonly lowering: string;
  readonly provider: string;
  /** How GroupNormalization ran; absent if the nodes of the lowering ran as the file has them. */
  readonly runsAs?: string | undefined;
  /** The largest difference from PyTorch; `null` if it is not finite. */
  readonly maxAbs: number | null;
  /** Whether the fixture allows more than PyTorch's default tolerance. */
  readonly isLoose?: true | undefined;
  /** The distance from float64, ours over PyTorch's, for each output of which it is known. */
  readonly distances: readonly number[];
  /** Why the case failed. */
  readonly failure?: string | undefined;
}

/** One GroupNormalization of one shape, run in one way. */
export interface TimeRow {
  readonly shape: readonly number[];
  readonly provider: string;
  /** A lowering, or `kernel`. */
  readonly groupNorm: string;
  readonly milliseconds: number;
  /** The largest distance from float64 by the mean of the input; `null` for NaN. */
  readonly errors: Readonly<Record<string, number | null>>;
}

/** The measurements. */
export interface ProviderReports {
  readonly cases: Report<CaseRow>;
  readonly times: Report<TimeRow>;
}

/** Reads the measurements of a folder, which ends in `/`. */
export const readProviderReports = (folder: string): ProviderReports => ({
  cases: readReport<CaseRow>(`${folder}cases.json`),
  times: readReport<TimeRow>(`${folder}times.json`),
});

/** Where the tables begin in docs/providers.md. */
const MARK = '<!-- npm run docs:providers writes the rest of this page -->';

/** Returns docs/providers.md with the tables of the measurements of a folder. */
export function withTables(page: string, folder: string): Promise<string> {
  const [introduction] = page.split(MARK);
  const text = `${introduction}${MARK}\n\n${pageTables(readProviderReports(folder))}\n`;
  return format(text, { parser: 'markdown' });
}

function pageTables({ cases, times }: ProviderReports): string {
  const { machine, date, versions } = times;
  const failed = cases.rows.flatMap(({ failure }) => failure ?? []);
  return [
    `Measured on ${machine}, ${date}, with Node ${versions['Node']} and ONNX Runtime ${versions['onnxruntime-node']}. ` +
      'Not run there:',
    cases.notRun.map((reason) => `- ${reason}`).join('\n'),
    '### How GroupNormalization runs by default',
    table(
      ['provider', 'runs as', 'because'],
      PROVIDERS.map((name) => [name, GROUP_NORM_CHOICES[name].groupNorm, GROUP_NORM_CHOICES[name].because]),
    ),
    '### One GroupNormalization',
    'Float32, 32 groups: milliseconds of a plain call, whose result the caller drops, with each session in its own thread. ' +
      '[performance.md](performance.md) has the times of other calls, such as `using`, with which the kernel takes a ' +
      'fraction of this. The error is the largest distance from float64 in any of the shapes, for inputs of mean 0 and of ' +
      'mean 300.',
    timesTable(times.rows),
    '### The parity suite',
    'A case passes if every element is within the tolerance of `torch.testing.assert_close`, or the wider tolerance that ' +
      'the case states. `cpu` is onnxruntime-node here, as it is where the addon was not built. The distance is from ' +
      "float64, ours over PyTorch's: the median of the float32 and narrower cases.",
    suiteTable(cases.rows),
    ...failed.map((failure) => `**FAILED** ${failure}`),
  ].join('\n\n');
}

function timesTable(rows: readonly TimeRow[]): string {
  const shapes = unique(rows.map(({ shape }) => shape.join('×')));
  const means = Object.keys(rows[0]!.errors);
  const ways = groupBy(rows, ({ provider, groupNorm }) => `${provider} ${groupNorm}`);
  return table(
    ['provider', 'GroupNormalization', ...shapes, ...means.map((mean) => `error, mean ${mean}`)],
    ways.map((own) => [
      own[0]!.provider,
      own[0]!.groupNorm,
      ...own.map(({ milliseconds }) => milliseconds.toFixed(2)),
      ...means.map((mean) => formatError(largest(own.map(({ errors }) => errors[mean]!)))),
    ]),
  );
}

function suiteTable(rows: readonly CaseRow[]): string {
  const lowerings = unique(rows.map(({ lowering }) => lowering));
  const lines = groupBy(rows, ({ provider, graph }) => `${provider} ${kindOf(graph)}`);
  return table(
    ['provider', 'cases', 'passed', ...lowerings.map((lowering) => `distance, ${lowering}`)],
    lines.map((own) => [
      own[0]!.provider,
      kindOf(own[0]!.graph),
      `${own.filter(({ failure }) => failure === undefined).length} of ${own.length}`,
      ...lowerings.map((lowering) => {
        const distances = own.filter((row) => row.lowering === lowering).flatMap((row) => row.distances);
        return distances.length === 0 ? '–' : quantile(distances, 0.5).toFixed(2);
      }),
    ]),
  );
}

const kindOf = (graph: string): string => (NORMS.includes(graph) ? 'one norm' : 'networks');
/** The graphs of the fixtures of a single norm. */
const NORMS = ['group-norm'];

/** Returns the table of every case: a row for each fixture and lowering, a column for each provider. */
export function caseTable({ rows }: Report<CaseRow>): string {
  const providers = unique(rows.map(({ provider }) => provider));
  const lines = groupBy(rows, (row) => `${row.graph} ${row.case} ${row.lowering}`);
  return table(
    ['graph', 'case', 'lowering', ...providers],
    lines.map((own) => {
      const cells = providers.map((name) => describeCase(own.find(({ provider }) => provider === name)));
      return [own[0]!.graph, own[0]!.case, own[0]!.lowering, ...cells];
    }),
  );
}

const describeCase = (row: CaseRow | undefined): string =>
  row === undefined
    ? '–'
    : row.failure
      ? '**failed**'
      : `${formatError(row.maxAbs)}${row.isLoose ? '*' : ''}`;

const formatError = (value: number | null): string => (value === null ? 'NaN' : value.toExponential(1));

/** Returns the largest number; `null`, which stands for NaN, if there is one. */
const largest = (values: readonly (number | null)[]): number | null =>
  values.includes(null) ? null : Math.max(...(values as number[]));

const unique = <T>(values: readonly T[]): T[] => [...new Set(values)];

/** Returns the rows of each key, in the order of the first rows. */
function groupBy<Row>(rows: readonly Row[], keyOf: (row: Row) => string): Row[][] {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const group = groups.get(keyOf(row));
    if (group) group.push(row);
    else groups.set(keyOf(row), [row]);
  }
  return [...groups.values()];
}
