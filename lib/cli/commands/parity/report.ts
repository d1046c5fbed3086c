/** The reports of `parity` for people: a table for the terminal, and JUnit XML for CI systems. */
import { dirname, join, relative, resolve, sep } from 'node:path';
import type { CaseResult } from '../../../parity/check.js';
import { describeFailure, type Report } from '../../../parity/report.js';
import { printable } from '../../../printable.js';
import { formatDifference, formatDuration, plural } from '../../../quantities.js';
import { junitReport, xmlText } from '../../shared/junit.js';
import { type Column, fitTable, indent } from '../../shared/table.js';
import type { Colors } from '../../shared/terminal.js';

/** What the table shows besides the report. */
interface Remarks {
  /** Files of the fixtures that allow more than the default tolerance. */
  readonly loose?: ReadonlySet<string>;
  /** Lines about options that do not apply to some cases. */
  readonly notes?: readonly string[];
  /** Number of cases that did not run because of a signal. */
  readonly notRun?: number;
  /** Characters of a line. Default: no limit. */
  readonly width?: number | undefined;
}

/** Returns the table, the reason of each failed case, and the counts, as lines. */
export function describeReport(report: Report, colors: Colors, remarks: Remarks = {}): string[] {
  const { cases } = report;
  const missing = describeMissingProviders(report, colors);
  if (cases.length === 0) return [...missing, describeCounts(report, colors, remarks)];
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
      `${colors.red('FAILED')} ${printable(one.file)} (${describeCombination(one, cases)})`,
      indent(describeFailure(one)),
    ]),
    ...(failures.length > 0 ? [''] : []),
    ...missing,
    describeCounts(report, colors, remarks),
  ];
}

const LOOSE =
  '* the fixture has a larger tolerance than torch.testing.assert_close: see CONTRIBUTING.md, Fixtures';

/** Returns a line for each provider that this machine lacks. */
function describeMissingProviders({ notRun = [] }: Report, colors: Colors): string[] {
  if (notRun.length === 0) return [];
  const lines = notRun.map(({ provider, reason }) => `${colors.yellow('NOT RUN')} on ${provider}: ${reason}`);
  return [...lines, "'npx onnx-groupnorm doctor' says what to do", ''];
}

function describeCounts({ passed, failed }: Report, colors: Colors, { notRun = 0 }: Remarks): string {
  const text = `${passed} passed, ${failed} failed${notRun > 0 ? `, ${notRun} not run` : ''}`;
  if (failed > 0) return colors.red(text);
  return notRun > 0 ? text : colors.green(text);
}

/** Returns `2 fixtures and 1 data set`. */
function countSources(cases: readonly CaseResult[]): string {
  const [dataSets, fixtures] = [true, false].map(
    (wanted) => new Set(cases.filter((one) => isDataSet(one) === wanted).map(({ file }) => file)).size,
  ) as [number, number];
  const counts = [fixtures > 0 && plural(fixtures, 'fixture'), dataSets > 0 && plural(dataSets, 'data set')];
  return counts.filter((text) => text !== false).join(' and ');
}

/** Returns whether the case is of an existing model. The model of a fixture is built and has no path. */
const isDataSet = ({ model }: CaseResult): boolean => model !== undefined;

/** Returns the folder that has all files, and the folders of all models, in it or below. */
function commonFolder(cases: readonly CaseResult[]): string {
  const folders = cases.map((one) => resolve(one.file, isDataSet(one) ? '../..' : '..'));
  let common = folders[0] ?? '';
  const isCommon = () => folders.every((folder) => folder === common || folder.startsWith(join(common, sep)));
  // Two drives of Windows have no folder in common; then the root of the first drive is returned.
  while (!isCommon() && common !== dirname(common)) common = dirname(common);
  return common;
}

/** Returns the path relative to the working directory if the folder is in it, otherwise the full path. */
function shortest(folder: string): string {
  const fromHere = relative('', folder) || 'this folder';
  return fromHere.startsWith('..') ? folder : fromHere;
}

const providersOf = (cases: readonly CaseResult[]): string[] => [
  ...new Set(cases.map(({ provider }) => provider)),
];

/** Returns the columns. On a narrow terminal the name of the case and the result stay longest. */
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
    // Not ULP: those of an element near 0 are millions although it is well within the tolerance.
    column('of tolerance', (one) => formatShare(largest(one, 'toleranceUsed')), { drop: 4 }),
    column('to float64 (ours / PyTorch)', formatTruth, { drop: 3 }),
    column('time', ({ error, milliseconds }) => (error ? '–' : formatDuration(milliseconds)), { drop: 1 }),
    column('result', ({ passed }) => (passed ? colors.green('passed') : colors.red('FAILED')), {
      isColoured: true,
      align: 'left',
    }),
  ];
}

const caseName = (folder: string, file: string): string =>
  printable(relative(folder, resolve(file)).replace(/\.safetensors$/, ''));

type Figure = 'maxAbs' | 'maxRel' | 'toleranceUsed' | 'distanceToTruth' | 'referenceDistanceToTruth';

/** Returns the largest figure of all outputs, or `undefined` if no output has it. */
const largest = ({ outputs }: CaseResult, figure: Figure): number | undefined =>
  outputs.reduce<number | undefined>((max, output) => maxDefined(max, output[figure]), undefined);

const maxDefined = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || b === undefined ? (a ?? b) : Math.max(a, b);

/** Returns `4.1 %`: how much of its tolerance the worst element uses. */
function formatShare(share: number | undefined): string {
  if (share === undefined) return '–';
  return share < 1e4 ? `${Number((100 * share).toPrecision(2))} %` : formatDifference(100 * share) + ' %';
}

function formatTruth(one: CaseResult): string {
  const ours = largest(one, 'distanceToTruth');
  const theirs = largest(one, 'referenceDistanceToTruth');
  return ours === undefined ? '–' : `${formatDifference(ours)} / ${formatDifference(theirs)}`;
}

/** Returns how a case was run, with the provider only if the report has several. */
const describeCombination = (one: CaseResult, cases: readonly CaseResult[]): string =>
  `${describeLowering(one)}, ${describeOpset(one)}${providersOf(cases).length > 1 ? `, ${one.provider}` : ''}`;

/**
 * Returns `op → kernel, blocked`: how GroupNormalization was written or asked for, and how it ran if that is different, with
 * the layout if it is not the plain one.
 */
const describeLowering = ({ lowering, groupNorm, layout }: CaseResult): string => {
  const execution =
    groupNorm === undefined || groupNorm === lowering ? lowering : `${lowering} → ${groupNorm}`;
  return layout === undefined ? execution : `${execution}, ${layout}`;
};

/** Returns the opset, which is 0 if the model could not be read. */
const describeOpset = ({ opset }: CaseResult): string => `opset ${opset > 0 ? opset : 'unknown'}`;

/** Returns the report as JUnit XML: a suite for each graph, and in it a test case for each case. */
export function reportToJunit({ cases, interrupted }: Report): string {
  const builder = junitReport('onnx-groupnorm parity');
  if (interrupted !== undefined) {
    // Without this case, a report of what was found before a signal would look complete.
    const name = `${plural(interrupted, 'case')} did not run: a signal stopped the command`;
    builder.testSuite().name('interrupted').testCase().className('interrupted').name(name).skipped();
  }
  for (const graph of new Set(cases.map((one) => one.graph))) {
    const suite = builder.testSuite().name(xmlText(graph));
    for (const one of cases.filter((other) => other.graph === graph)) {
      const testCase = suite
        .testCase()
        .className(xmlText(`${graph}.${one.lowering}`))
        .name(xmlText(`${one.file} (${describeLowering(one)}, ${describeOpset(one)}, ${one.provider})`))
        .time(one.milliseconds / 1000);
      if (!one.passed) testCase.failure(xmlText(describeFailure(one)), one.error?.code ?? 'MISMATCH');
    }
  }
  return `${builder.build()}\n`;
}
