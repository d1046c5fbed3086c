/** A parity report for people. */
import { dirname, join, relative, resolve, sep } from 'node:path';
import { describeFailure, type CaseResult, type OutputComparison, type Report } from '../parity/index.js';
import { formatDifference, formatDuration, formatTable, formatUlp, indent, plural } from './format.js';
import type { colorsOf } from './io.js';

const HEAD = [
  'case',
  'lowering',
  'opset',
  'max abs',
  'max rel',
  'max ULP',
  'to float64 (ours / PyTorch)',
  'time',
  'result',
];
const ALIGNMENTS = ['left', 'left', 'right', 'right', 'right', 'right', 'right', 'right', 'left'] as const;

const LOOSE = '* the fixture allows more than torch.testing.assert_close does: see CONTRIBUTING.md, Fixtures';

/**
 * The table, why cases failed, and the count, as lines.
 * @param loose Files of the fixtures that allow more than the default tolerance.
 */
export function describeReport(
  { cases, passed, failed }: Report,
  colors: ReturnType<typeof colorsOf>,
  loose: ReadonlySet<string> = new Set(),
): string[] {
  const files = [...new Set(cases.map(({ file }) => file))];
  const folder = commonFolder(files);
  const caseName = (file: string) => relative(folder, resolve(file)).replace(/\.safetensors$/, '');
  const result = (ok: boolean) => (ok ? colors.green('passed') : colors.red('FAILED'));
  const rows = cases.map((one) => [
    caseName(one.file),
    ...figures(one, loose.has(one.file)),
    result(one.passed),
  ]);
  const failures = cases.filter((one) => !one.passed);
  const count = `${passed} passed, ${failed} failed`;
  return [
    `${plural(files.length, 'fixture')} in ${shortest(folder)} on ${cases[0]?.provider}: ${plural(cases.length, 'case')}`,
    '',
    formatTable(rows, HEAD, ALIGNMENTS),
    ...(cases.some(({ file }) => loose.has(file)) ? [LOOSE] : []),
    '',
    ...failures.flatMap((one) => [
      `${colors.red('FAILED')} ${one.file} (${describeLowering(one)}, opset ${one.opset})`,
      indent(describeFailure(one)),
    ]),
    ...(failures.length > 0 ? [''] : []),
    failed > 0 ? colors.red(count) : colors.green(count),
  ];
}

function figures(one: CaseResult, loose: boolean): string[] {
  const { opset, outputs, milliseconds, error } = one;
  const largest = (of: (output: OutputComparison) => number | undefined) =>
    outputs.reduce<number | undefined>((max, output) => maxDefined(max, of(output)), undefined);
  const ulp = largest(({ maxUlp }) => maxUlp);
  const ours = largest(({ distanceToTruth }) => distanceToTruth);
  const theirs = largest(({ referenceDistanceToTruth }) => referenceDistanceToTruth);
  return [
    describeLowering(one),
    String(opset),
    formatDifference(largest(({ maxAbs }) => maxAbs)) + (loose && !error ? '*' : ''),
    formatDifference(largest(({ maxRel }) => maxRel)),
    ulp === undefined ? '–' : formatUlp(ulp),
    ours === undefined ? '–' : `${formatDifference(ours)} / ${formatDifference(theirs)}`,
    error ? '–' : formatDuration(milliseconds),
  ];
}

/** How GroupNormalization is written, and how it ran if that was another way. */
export const describeLowering = ({ lowering, groupNorm }: CaseResult): string =>
  groupNorm === undefined || groupNorm === lowering ? lowering : `${lowering} → ${groupNorm}`;

const maxDefined = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || b === undefined ? (a ?? b) : Math.max(a, b);

/** A folder from here if it lies below, else its full path. */
function shortest(folder: string): string {
  const fromHere = relative('', folder) || '.';
  return fromHere.startsWith('..') ? folder : fromHere;
}

/** The folder that holds all files, in it or below. */
function commonFolder(files: readonly string[]): string {
  const folders = files.map((file) => resolve(file, '..'));
  let common = folders[0] ?? '';
  while (folders.some((folder) => folder !== common && !folder.startsWith(join(common, sep))))
    common = dirname(common);
  return common;
}
