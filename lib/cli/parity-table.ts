/** A parity report for people. */
import { dirname, join, relative, resolve, sep } from 'node:path';
import { describeFailure, type CaseResult, type Report } from '../parity/index.js';
import { fitTable, type Column } from './fit-table.js';
import { formatDifference, formatDuration, formatUlp, indent, plural } from './format.js';
import type { colorsOf } from './io.js';

const LOOSE = '* the fixture allows more than torch.testing.assert_close does: see CONTRIBUTING.md, Fixtures';

/** What a report does not hold: about its fixtures, and about where it is shown. */
export interface Remarks {
  /** Files of the fixtures that allow more than the default tolerance. */
  readonly loose?: ReadonlySet<string>;
  /** What was asked for and does not apply to some cases, a line each. */
  readonly notes?: readonly string[];
  /** Cases that were to be run, and were not. */
  readonly notRun?: number;
  /** Characters of a line. Default: as many as the table takes. */
  readonly width?: number | undefined;
}

type Colors = ReturnType<typeof colorsOf>;

/** The table, why cases failed, and the count, as lines. */
export function describeReport(report: Report, colors: Colors, remarks: Remarks = {}): string[] {
  const { cases } = report;
  const absent = describeAbsent(report, colors);
  if (cases.length === 0) return [...absent, count(report, colors, remarks)];
  const { loose = new Set(), notes = [] } = remarks;
  const folder = commonFolder(cases);
  const failures = cases.filter((one) => !one.passed);
  return [
    `${countSources(cases)} in ${shortest(folder)} on ${providersOf(cases).join(', ')}: ${plural(cases.length, 'case')}`,
    '',
    fitTable(columns(cases, folder, colors, loose), remarks.width),
    ...(cases.some(({ file }) => loose.has(file)) ? [LOOSE] : []),
    ...notes,
    '',
    ...failures.flatMap((one) => [
      `${colors.red('FAILED')} ${one.file} (${describeWay(one, cases)})`,
      indent(describeFailure(one)),
    ]),
    ...(failures.length > 0 ? [''] : []),
    ...absent,
    count(report, colors, remarks),
  ];
}

/** `2 fixtures and 1 data set`. */
function countSources(cases: readonly CaseResult[]): string {
  const [dataSets, fixtures] = [true, false].map(
    (wanted) => new Set(cases.filter((one) => isDataSet(one) === wanted).map(({ file }) => file)).size,
  ) as [number, number];
  const counts = [fixtures > 0 && plural(fixtures, 'fixture'), dataSets > 0 && plural(dataSets, 'data set')];
  return counts.filter((text) => text !== false).join(' and ');
}

/** Whether the case is of an existing model; a fixture's is built. */
const isDataSet = ({ model }: CaseResult): boolean => model !== undefined;

function count({ passed, failed }: Report, colors: Colors, { notRun = 0 }: Remarks): string {
  const text = `${passed} passed, ${failed} failed${notRun > 0 ? `, ${notRun} not run` : ''}`;
  if (failed > 0) return colors.red(text);
  return notRun > 0 ? text : colors.green(text);
}

/** A line for each provider that this machine lacks. */
function describeAbsent({ notRun = [] }: Report, colors: Colors): string[] {
  if (notRun.length === 0) return [];
  const lines = notRun.map(({ provider, reason }) => `${colors.yellow('NOT RUN')} on ${provider}: ${reason}`);
  return [...lines, "'onnx-groupnorm doctor' says what to do about it", ''];
}

const providersOf = (cases: readonly CaseResult[]): string[] => [
  ...new Set(cases.map(({ provider }) => provider)),
];

/** How a case was run, with the provider where the report has several. */
const describeWay = (one: CaseResult, cases: readonly CaseResult[]): string =>
  `${describeLowering(one)}, ${describeOpset(one)}${providersOf(cases).length > 1 ? `, ${one.provider}` : ''}`;

/** What says which case it is and how it ended stays longest. */
function columns(
  cases: readonly CaseResult[],
  folder: string,
  colors: Colors,
  loose: ReadonlySet<string>,
): Column[] {
  const column = (head: string, cell: (one: CaseResult) => string, more: Partial<Column> = {}): Column => ({
    head,
    align: 'right',
    cells: cases.map(cell),
    ...more,
  });
  const isOneOpset = new Set(cases.map(({ opset }) => opset)).size === 1;
  const star = ({ file, error }: CaseResult) => (loose.has(file) && !error ? '*' : '');
  return [
    column('case', ({ file }) => caseName(folder, file), { align: 'left', cut: true }),
    column('lowering', describeLowering, { align: 'left' }),
    ...(providersOf(cases).length > 1
      ? [column('provider', ({ provider }) => provider, { align: 'left' })]
      : []),
    column('opset', ({ opset }) => (opset > 0 ? String(opset) : '–'), isOneOpset ? { drop: 5 } : {}),
    column('max abs', (one) => formatDifference(largest(one, 'maxAbs')) + star(one)),
    column('max rel', (one) => formatDifference(largest(one, 'maxRel')), { drop: 2 }),
    column('max ULP', (one) => formatMaxUlp(largest(one, 'maxUlp')), { drop: 4 }),
    column('to float64 (ours / PyTorch)', formatTruth, { drop: 3 }),
    column('time', ({ error, milliseconds }) => (error ? '–' : formatDuration(milliseconds)), { drop: 1 }),
    column('result', ({ passed }) => (passed ? colors.green('passed') : colors.red('FAILED')), {
      align: 'left',
    }),
  ];
}

const caseName = (folder: string, file: string): string =>
  relative(folder, resolve(file)).replace(/\.safetensors$/, '');

const formatMaxUlp = (ulp: number | undefined): string => (ulp === undefined ? '–' : formatUlp(ulp));

function formatTruth(one: CaseResult): string {
  const ours = largest(one, 'distanceToTruth');
  const theirs = largest(one, 'referenceDistanceToTruth');
  return ours === undefined ? '–' : `${formatDifference(ours)} / ${formatDifference(theirs)}`;
}

type Figure = 'maxAbs' | 'maxRel' | 'maxUlp' | 'distanceToTruth' | 'referenceDistanceToTruth';

/** The largest figure of all outputs, if one of them has it. */
const largest = ({ outputs }: CaseResult, figure: Figure): number | undefined =>
  outputs.reduce<number | undefined>((max, output) => maxDefined(max, output[figure]), undefined);

/** The opset, which of a model that could not be read is not known. */
export const describeOpset = ({ opset }: CaseResult): string => `opset ${opset > 0 ? opset : 'unknown'}`;

/** How GroupNormalization is written, or was asked to run, and how it ran if that was another way. */
export const describeLowering = ({ lowering, groupNorm }: CaseResult): string =>
  groupNorm === undefined || groupNorm === lowering ? lowering : `${lowering} → ${groupNorm}`;

const maxDefined = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || b === undefined ? (a ?? b) : Math.max(a, b);

/** A folder from here if it lies below, else its full path. */
function shortest(folder: string): string {
  const fromHere = relative('', folder) || '.';
  return fromHere.startsWith('..') ? folder : fromHere;
}

/** The folder that holds all files, in it or below, and the folders of models. */
function commonFolder(cases: readonly CaseResult[]): string {
  const folders = cases.map((one) => resolve(one.file, isDataSet(one) ? '../..' : '..'));
  let common = folders[0] ?? '';
  const isCommon = () => folders.every((folder) => folder === common || folder.startsWith(join(common, sep)));
  // Two drives of Windows share no folder: the root of one is as good as any.
  while (!isCommon() && common !== dirname(common)) common = dirname(common);
  return common;
}
