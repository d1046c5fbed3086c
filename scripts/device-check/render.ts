/** A report as Markdown. */
import { table, type Quartiles } from '../../bench/statistics.js';
import type { CaseRow, DeviceReport, InputError, Timing } from './report.js';
import { CHAIN } from './timings.js';

export function renderReport(report: DeviceReport): string {
  const { provider, device, suite, candidates } = report;
  const failed = suite.filter(({ outcome }) => outcome !== 'passed');
  return [
    `# ${provider} on ${device.name}`,
    `Written by \`npm run cuda-check\` on ${report.date}.`,
    table(['', ''], describeMachine(report)),
    '## The parity suite, as sessions run it',
    `${suite.length - failed.length} of ${suite.length} passed.`,
    ...failed.map((row) => `- **FAILED** ${row.name}, ${row.lowering} at opset ${row.opset}: ${row.reason}`),
    matrix(suite),
    '## The candidates, at opset 21',
    'Each way by name, which nobody gets who does not ask for it: what there is to choose from.',
    candidateTable(candidates),
    '## One GroupNormalization, 32 groups',
    `Milliseconds of one of ${CHAIN} in a row, with its share of the copies of a call, median and quartiles of the ` +
      `rounds; speed-ups are over ${report.defaultGroupNorm}, round by round. The error is the largest distance from ` +
      'float64, for inputs of deviation 1.4, bold where it is more than `torch.testing.assert_close` allows.',
    timingTable(report.timings),
    ...report.refusals.map(
      (one) => `- Not run: ${one.groupNorm} for ${one.shape.join('×')} ${one.dtype}: ${one.reason}`,
    ),
    '## The best way for each shape',
    table(
      ['shape', 'dtype', 'GroupNormalization', 'because'],
      report.winners.map((one) => [one.shape.join('×'), one.dtype, one.groupNorm ?? '–', one.because]),
    ),
    '## Every case',
    'The largest difference from PyTorch over the opsets, as sessions run it, by the lowering that the model was written with.',
    everyCase(suite),
    '',
  ].join('\n\n');
}

const describeMachine = ({ device, rounds }: DeviceReport): string[][] => [
  ['device', device.name],
  ...Object.entries(device.details),
  ...Object.entries(device.packages),
  ['libraries loaded', device.libraries.join(', ') || 'unknown'],
  ['Node', `${device.node}, ${device.platform}`],
  ['rounds', String(rounds)],
];

/** Passed cases by lowering and opset. */
function matrix(rows: readonly CaseRow[]): string {
  const opsets = unique(rows.map(({ opset }) => opset));
  const lowerings = unique(rows.map(({ lowering }) => lowering));
  const cell = (lowering: string, opset: number): string => {
    const own = rows.filter((row) => row.lowering === lowering && row.opset === opset);
    return own.length === 0 ? '–' : `${passedOf(own)} of ${own.length}`;
  };
  return table(
    ['lowering', ...opsets.map((opset) => `opset ${opset}`)],
    lowerings.map((lowering) => [lowering, ...opsets.map((opset) => cell(lowering, opset))]),
  );
}

function candidateTable(rows: readonly CaseRow[]): string {
  return table(
    ['GroupNormalization', 'passed', 'failed', 'refused', 'a failure', 'a refusal'],
    unique(rows.map(({ asked }) => asked)).map((asked) => {
      const own = rows.filter((row) => row.asked === asked);
      const [failed, refused] = (['failed', 'refused'] as const).map((outcome) =>
        own.filter((row) => row.outcome === outcome),
      );
      const first = ([row]: readonly CaseRow[]) => (row ? `${row.name}: ${row.reason}` : '–');
      const counts = [passedOf(own), failed!.length, refused!.length].map(String);
      return [String(asked), ...counts, first(failed!), first(refused!)].map(inCell);
    }),
  );
}

const timingTable = (timings: readonly Timing[]): string =>
  table(
    [
      'shape',
      'dtype',
      'GroupNormalization',
      'ms',
      'speed-up',
      ...(timings[0]?.errors ?? []).map(({ input }) => `error, ${input}`),
      'nodes ran on',
    ],
    timings.map((one) => [
      one.shape.join('×'),
      one.dtype,
      one.groupNorm,
      formatQuartiles(one.ms, 3),
      formatQuartiles(one.speedup, 2),
      ...one.errors.map(formatError),
      one.placement === null
        ? '–'
        : Object.entries(one.placement)
            .map(([name, count]) => `${name.replace('ExecutionProvider', '')} ${count}`)
            .join(', '),
    ]),
  );

function everyCase(rows: readonly CaseRow[]): string {
  const lowerings = unique(rows.map(({ lowering }) => lowering));
  return table(
    ['case', ...lowerings],
    unique(rows.map(({ name }) => name)).map((name) => [
      name,
      ...lowerings.map((lowering) =>
        worst(rows.filter((row) => row.name === name && row.lowering === lowering)),
      ),
    ]),
  );
}

function worst(rows: readonly CaseRow[]): string {
  if (rows.length === 0) return '–';
  if (rows.some(({ outcome }) => outcome !== 'passed')) return '**failed**';
  return Math.max(...rows.map(({ error }) => error ?? 0)).toExponential(1);
}

const formatQuartiles = ({ low, median, high }: Quartiles, digits: number): string =>
  `${median.toFixed(digits)} (${low.toFixed(digits)} to ${high.toFixed(digits)})`;

function formatError({ maxAbs, excess }: InputError): string {
  const text = maxAbs === null ? 'NaN' : maxAbs.toExponential(1);
  return excess !== null && excess <= 1 ? text : `**${text}**`;
}

const inCell = (text: string): string => text.replace(/\|/g, '\\|').replace(/\s+/g, ' ');
const passedOf = (rows: readonly CaseRow[]): number =>
  rows.filter(({ outcome }) => outcome === 'passed').length;
const unique = <T>(values: readonly T[]): T[] => [...new Set(values)];
