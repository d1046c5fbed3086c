/** A parity report for people. */
import { access, constants, stat } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import junit from 'junit-report-builder';
import type { Builder } from 'junit-report-builder';
import { FileError } from '../../errors.js';
import { notAFolder, reasonOf, systemCode } from '../../files/system-error.js';
import type { CaseResult } from '../../parity/check.js';
import { describeFailure, type Report } from '../../parity/report.js';
import {
  type Column,
  fitTable,
  formatDifference,
  formatDuration,
  formatUlp,
  indent,
  plural,
} from '../shared/table.js';
import { type colorsOf, UsageError } from '../shared/terminal.js';

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

// The package's types promise an ES module's default export; what it has is `module.exports`, a builder.
const factory = junit as unknown as Builder;

/** A parity report as JUnit's XML: one test case for each fixture or data set and way to run it, in a suite for each graph. */
export function reportToJunit({ cases }: Report): string {
  const builder = factory.newBuilder().name('onnx-groupnorm parity');
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

/** Characters that XML 1.0 has no way to write, and halves of surrogate pairs, become U+FFFD. */
const xmlText = (text: string): string =>
  text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Surrogate}/gu, '\ufffd');

// SECTION: The files that reports go to, looked at before the work that would be lost with them.

/**
 * Checks that every target can be written, as far as can be told without writing: nothing is made or changed.
 * @param targets Paths by the option that names them.
 * @throws UsageError if two are the same file, FileError `FILE_UNWRITABLE` if one is a folder or in none.
 */
export async function requireTargets(targets: Readonly<Record<string, string | undefined>>): Promise<void> {
  const options = new Map<string, string>();
  for (const [option, path] of Object.entries(targets)) {
    if (path === undefined) continue;
    const other = options.get(resolve(path));
    if (other !== undefined) {
      throw new UsageError(`${other} and ${option} both name '${path}': give each a file of its own`);
    }
    options.set(resolve(path), option);
    await requireWritable(path);
  }
}

async function requireWritable(path: string): Promise<void> {
  try {
    const found = await ifThere(path);
    if (/[\\/]$/.test(path) || found?.isDirectory()) throw unwritable(path, 'it is a folder; name a file');
    if (found && !found.isFile()) throw unwritable(path, 'it is not a regular file; choose another path');
    if (found) await access(path, constants.W_OK);
    else await access(await nearestFolder(path), constants.W_OK);
  } catch (error) {
    if (error instanceof FileError) throw error;
    throw unwritable(path, reasonOf(error), { cause: error });
  }
}

/** The folder that the file, or the folders above it that are missing, will be made in. */
async function nearestFolder(path: string): Promise<string> {
  let folder = dirname(resolve(path));
  while (!(await ifThere(folder)) && folder !== dirname(folder)) folder = dirname(folder);
  if ((await ifThere(folder))?.isFile()) throw notAFolder(folder);
  return folder;
}

const ifThere = (path: string) =>
  stat(path).catch((error: unknown) => {
    // ENOTDIR, a file where a folder must be, is no absence: nothing can be made there.
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  });

const unwritable = (path: string, reason: string, options?: ErrorOptions): FileError =>
  new FileError('FILE_UNWRITABLE', `cannot write '${path}': ${reason}`, options);
