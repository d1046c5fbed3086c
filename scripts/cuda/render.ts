/** Renders a report as Markdown, and writes it beside its JSON. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { table, type Quartiles } from '../../bench/statistics.js';
import { writeFilesAtomic } from '../../lib/files/atomic.js';
import { slug } from './device.js';
import { CHAIN } from './measure.js';
import type { CaseRow, DeviceReport, InputError, Timing, Untimed } from './report.js';

const README = fileURLToPath(new URL('../../README.md', import.meta.url));

/**
 * Writes the Markdown and the JSON, or neither, and returns the path of the Markdown. A report that is incomplete or
 * narrowed gets the name `.partial`, so that it does not replace a complete report. A complete report deletes it.
 */
export async function writeReport(report: DeviceReport, folder: string): Promise<string> {
  const whole = join(folder, `${report.provider}-${slug(report.device.name)}`);
  const partial = `${whole}.partial`;
  const isWhole = report.complete && report.narrowedBy.length === 0;
  const base = isWhole ? whole : partial;
  const options = { ...(await resolveConfig(README)), parser: 'markdown' };
  const markdown = await format(renderReport(report), options);
  await writeFilesAtomic([
    { path: `${base}.json`, content: Buffer.from(`${JSON.stringify(report, null, 2)}\n`) },
    { path: `${base}.md`, content: Buffer.from(markdown) },
  ]);
  if (isWhole) for (const end of ['json', 'md']) await rm(`${partial}.${end}`, { force: true });
  return `${base}.md`;
}

/** Returns a report as Markdown, not yet formatted. */
export function renderReport(report: DeviceReport): string {
  const { provider, device, suite, candidates } = report;
  const failed = suite.filter(({ outcome }) => outcome !== 'passed');
  return [
    `# ${provider} on ${device.name}`,
    `${runtimeOf(report)}. Written by \`npm run cuda-check\` on ${report.date}.`,
    ...describeExtent(report),
    table(['', ''], describeMachine(report)),
    '## The parity suite, as sessions run it',
    `${suite.length - failed.length} of ${suite.length} passed.`,
    ...failed.map(
      (row) =>
        `- **${row.outcome.toUpperCase()}** ${row.name}, ${row.lowering} at opset ${row.opset}: ${inCell(row.reason ?? '')}`,
    ),
    matrix(suite),
    '## The candidates, at opset 21',
    'Each way by name, as a session runs it only on request: the candidates for the default.',
    candidateTable(candidates),
    '## One GroupNormalization, 32 groups',
    `Milliseconds of one of ${CHAIN} in a row, with its share of the copies of a call, median and quartiles of the ` +
      `rounds; speed-ups are over ${report.defaultGroupNorm}, round by round, in the same process. The error is the ` +
      'largest distance from float64, for inputs of deviation 1.4, bold where it is more than ' +
      '`torch.testing.assert_close` allows.',
    timingTable(report.timings),
    ...report.untimed.map((one) => `- Not run: ${nameOf(one)}: ${one.outcome}: ${inCell(one.reason)}`),
    ...report.timings.flatMap((one) =>
      one.problems.map((problem) => `- Not measured: ${nameOf(one)}: ${inCell(problem)}`),
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

/** Returns the measured version, which may differ from that in package.json. */
function runtimeOf({ provider, device }: DeviceReport): string {
  const name = provider === 'wasm' ? 'onnxruntime-web' : 'onnxruntime-node';
  return `${name} ${device.packages[name] ?? 'of an unknown version'}`;
}

/** Says which part of the check the report holds. */
function describeExtent({ complete, stopped, stages, narrowedBy }: DeviceReport): string[] {
  const narrowed = narrowedBy.length > 0 ? [`**Narrowed** by ${narrowedBy.join(', ')}.`] : [];
  if (complete) return narrowed;
  const missing = stages.filter(({ done, total }) => done < total);
  return [
    `**NOT COMPLETE**: ${stopped}. What is missing:`,
    ...missing.map(({ stage, done, total }) => `- ${stage}: ${total - done} of ${total}`),
    ...narrowed,
  ];
}

const describeMachine = ({ device, rounds }: DeviceReport): string[][] => [
  ['device', device.name],
  ...Object.entries(device.details),
  ...Object.entries(device.packages),
  ['libraries loaded', device.libraries.join(', ') || 'unknown'],
  ...Object.entries(device.environment).map(([name, value]) => [name, value ?? 'not set']),
  ['Node', `${device.node}, ${device.platform}`],
  ['rounds', String(rounds)],
];

const nameOf = ({ groupNorm, shape, dtype }: Timing | Untimed): string =>
  `${groupNorm} for ${shape.join('×')} ${dtype}`;

/** Returns a table of the passed cases by lowering and opset. */
function matrix(rows: readonly CaseRow[]): string {
  const opsets = unique(rows.map(({ opset }) => opset)).sort((a, b) => a - b);
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
    ['GroupNormalization', 'passed', 'failed', 'refused', 'lost', 'a failure or loss', 'a refusal'],
    unique(rows.map(({ asked }) => asked)).map((asked) => {
      const own = rows.filter((row) => row.asked === asked);
      const rowsOf = (...outcomes: CaseRow['outcome'][]) =>
        own.filter(({ outcome }) => outcomes.includes(outcome));
      const failed = rowsOf('failed');
      const refused = rowsOf('refused');
      const lost = rowsOf('crashed', 'timed out');
      const first = ([row]: readonly CaseRow[]) => (row ? `${row.name}: ${row.reason}` : '–');
      const counts = [passedOf(own), failed.length, refused.length, lost.length].map(String);
      return [String(asked), ...counts, first([...lost, ...failed]), first(refused)].map(inCell);
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
      'rounds',
      ...(timings[0]?.errors ?? []).map(({ input }) => `error, ${input}`),
      'nodes ran on',
    ],
    timings.map((one) => [
      one.shape.join('×'),
      one.dtype,
      one.groupNorm,
      formatQuartiles(one.ms, 3),
      formatQuartiles(one.speedup, 2),
      String(one.rounds),
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

function formatQuartiles(quartiles: Quartiles | null, digits: number): string {
  if (!quartiles) return '–';
  const [low, median, high] = [quartiles.low, quartiles.median, quartiles.high].map((ms) =>
    ms.toFixed(digits),
  );
  return `${median} (${low} to ${high})`;
}

function formatError({ maxAbs, excess }: InputError): string {
  const text = maxAbs === null ? 'NaN' : maxAbs.toExponential(1);
  return excess !== null && excess <= 1 ? text : `**${text}**`;
}

const inCell = (text: string): string => text.replace(/\|/g, '\\|').replace(/\s+/g, ' ');
const passedOf = (rows: readonly CaseRow[]): number =>
  rows.filter(({ outcome }) => outcome === 'passed').length;
const unique = <T>(values: readonly T[]): T[] => [...new Set(values)];
