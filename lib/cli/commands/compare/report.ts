/** The result of `compare` for the terminal. */
import { driftStart, JUMP } from '../../../insight/compare/drift.js';
import type { ComparedSide, ModelComparison, ValueComparison } from '../../../insight/compare/comparison.js';
import { describeDifference, formatElement, formatTolerance } from '../../../parity/report.js';
import { printable } from '../../../printable.js';
import { formatDifference, listNames, plural } from '../../../quantities.js';
import { formatShape } from '../../../tensor.js';
import { type Column, fitTable, indent } from '../../shared/table.js';
import type { Colors } from '../../shared/terminal.js';
import { describeExecution } from '../run/session.js';

/**
 * Returns a comparison as lines.
 * @param width Characters of a line of the table. Default: no limit.
 */
export function describeComparison(comparison: ModelComparison, colors: Colors, width?: number): string[] {
  const { expected, actual, values, first } = comparison;
  const start = driftStart(values);
  return [
    `${printable(actual.label)} against ${printable(expected.label)}: ${plural(values.length, 'value')}`,
    `  expected: ${describeSide(expected)}`,
    `  actual:   ${describeSide(actual)}`,
    '',
    ...(first ? describeFirst('The first value beyond the tolerance', first, comparison, colors) : []),
    ...(first && start && start !== first
      ? describeFirst('The first value at which the error jumps', start, comparison, colors)
      : []),
    ...(first && start === first && shareOf(first) < JUMP ? [ROUNDING, ''] : []),
    ...(values.length > 0 ? ['Error by depth', indent(depthTable(values, width && width - 2)), ''] : []),
    ...describeNotFinite(values),
    ...describeMissing(comparison),
    ...comparison.notes.map((note) => `Note: ${printable(note)}`),
    describeCounts(comparison, colors),
  ];
}

const ROUNDING =
  'The error does not jump at any value: it grows from value to value, as rounding does. The default tolerance is that of ' +
  'one operator; --rtol 1e-3 --atol 1e-4 allows for the rounding of a deep network.';

/** Returns `b.onnx on native, GroupNormalization by the native kernel`. */
function describeSide({ label, provider, groupNorm }: ComparedSide): string {
  if (provider === undefined) return printable(label);
  const execution = describeExecution({ provider, groupNorm });
  return label === provider ? execution : `${printable(label)} on ${execution}`;
}

/** Returns a value with the node that made it and the worst element. */
function describeFirst(
  title: string,
  value: ValueComparison,
  { values }: ModelComparison,
  colors: Colors,
): string[] {
  const { name, node, operator, module, merged } = value;
  const modules = [
    module ?? 'the exporter left no name',
    merged.length > 0 && `computed with ${listNames(merged, 4)}`,
  ];
  const made =
    [operator, node && `'${node}'`].filter(Boolean).join(' ') || 'no node: it is an input or a weight';
  return [
    colors.red(`${title}: '${printable(name)}'${value.isOutput ? ', an output' : ''}`),
    `  value:    ${values.indexOf(value) + 1} of ${values.length} in the order of the graph`,
    `  made by:  ${printable(made)}`,
    `  module:   ${printable(modules.filter(Boolean).join('; '))}`,
    ...describeDrift(value).map((line) => `  ${line}`),
    '',
  ];
}

function describeDrift({
  difference,
  dtype,
  dims,
  expectedDtype,
  expectedDims,
  notFinite,
}: ValueComparison): string[] {
  const [is, must] = [`${dtype} ${formatShape(dims)}`, `${expectedDtype} ${formatShape(expectedDims)}`];
  const type = is === must ? `type:     ${is}` : `type:     actual ${is}, expected ${must}`;
  if (!difference) return [type];
  const { worstIndex, worstActual, worstExpected, mismatched, elements, rtol, atol } = difference;
  return [
    type,
    `worst:    index ${formatShape(worstIndex ?? [])}: actual ${formatElement(worstActual)}, expected ${formatElement(worstExpected)}`,
    `error:    ${describeDifference(difference)}`,
    `beyond:   ${mismatched} of ${plural(elements, 'element')} (rtol ${formatTolerance(rtol)}, atol ${formatTolerance(atol)})`,
    ...(notFinite.actual + notFinite.expected > 0
      ? [`not finite: actual ${notFinite.actual}, expected ${notFinite.expected}`]
      : []),
  ];
}

/** The most rows of the table. */
const MAX_ROWS = 16;

/** Returns a table of consecutive values, each row with the value of its range that uses most of its tolerance. */
function depthTable(values: readonly ValueComparison[], width: number | undefined): string {
  const rows = rangesOf(values);
  const column = (head: string, cell: (row: Range) => string, more: Partial<Column> = {}): Column => ({
    head,
    align: 'right',
    cells: rows.map(cell),
    ...more,
  });
  const figure = (key: 'maxAbs' | 'maxRel') => (row: Range) => formatDifference(row.worst.difference?.[key]);
  return fitTable(
    [
      column('values', ({ from, to }) => (from === to ? String(from) : `${from}–${to}`)),
      column('worst', ({ worst }) => worst.module ?? worst.name, { align: 'left', cut: true }),
      column('operator', ({ worst }) => worst.operator, { align: 'left', drop: 2 }),
      column('max abs', figure('maxAbs')),
      column('max rel', figure('maxRel'), { drop: 1 }),
      column('of tolerance', ({ worst }) => describeShare(worst)),
      column('beyond', ({ beyond }) => String(beyond), { drop: 3 }),
    ],
    width,
  );
}

interface Range {
  /** The number of the first value, from 1. */
  readonly from: number;
  readonly to: number;
  readonly worst: ValueComparison;
  /** The number of values beyond the tolerance, or of another type. */
  readonly beyond: number;
}

function rangesOf(values: readonly ValueComparison[]): Range[] {
  const count = Math.min(values.length, MAX_ROWS);
  return Array.from({ length: count }, (_, index) => {
    const [from, to] = [index, index + 1].map((at) => Math.floor((at * values.length) / count)) as [
      number,
      number,
    ];
    const range = values.slice(from, to);
    return {
      from: from + 1,
      to,
      worst: range.reduce((worst, value) => (shareOf(value) > shareOf(worst) ? value : worst)),
      beyond: range.filter(({ verdict }) => verdict === 'drifts' || verdict === 'type').length,
    };
  });
}

/** Returns the share of the tolerance that a value uses: infinite for values of different types. */
export const shareOf = ({ difference }: ValueComparison): number => difference?.toleranceUsed ?? Infinity;

/** Returns `41 %`, `12 times`, or why there is no number. */
export function describeShare(value: ValueComparison): string {
  if (value.verdict === 'type') return 'other type';
  const share = shareOf(value);
  if (share === Infinity)
    return value.notFinite.actual + value.notFinite.expected > 0 ? 'not finite' : 'unequal';
  return share < 10
    ? `${Number((100 * share).toPrecision(2))} %`
    : `${Number(share.toPrecision(2)).toLocaleString('en')} times`;
}

function describeNotFinite(values: readonly ValueComparison[]): string[] {
  const found = values.filter(({ verdict }) => verdict === 'not-finite');
  if (found.length === 0) return [];
  const names = listNames(
    found.map(({ name, isOutput }) => `'${printable(name)}'${isOutput ? ' (output)' : ''}`),
    3,
  );
  return [
    `NaN or infinities at the same elements on both sides, of which nothing can be said: ${plural(found.length, 'value')}, ${names}`,
  ];
}

/** Whether the counts are enough: two models without a drift have many values that one of them lacks or fuses. */
const isListedElsewhere = ({ passed, expected }: ModelComparison): boolean =>
  passed && expected.provider !== undefined;

/** Returns a line for each reason why values are not compared, for outputs first. */
function describeMissing(comparison: ModelComparison): string[] {
  if (isListedElsewhere(comparison)) return [];
  const { notCompared } = comparison;
  const groups = new Map<string, string[]>();
  const sorted = [...notCompared].sort((a, b) => Number(b.isOutput) - Number(a.isOutput));
  for (const { name, side, reason, isOutput } of sorted) {
    const text = `Not compared${isOutput ? ', outputs' : ''} (${side} side: ${reason})`;
    const names = groups.get(text) ?? [];
    names.push(`'${name}'`);
    groups.set(text, names);
  }
  return [...groups].map(([text, names]) =>
    printable(`${text}: ${plural(names.length, 'value')}, ${listNames(names, 3)}`),
  );
}

function describeCounts(comparison: ModelComparison, colors: Colors): string {
  const { passed, counts, notCompared } = comparison;
  const names = isListedElsewhere(comparison) ? ' (--json and --html say which and why)' : '';
  const text = [
    `${counts.within} within the tolerance`,
    `${counts.drifts} beyond`,
    counts.type > 0 && `${counts.type} of another type`,
    counts['not-finite'] > 0 && `${counts['not-finite']} not finite`,
    notCompared.length > 0 && `${notCompared.length} not compared${names}`,
  ].filter(Boolean);
  return (passed ? colors.green : colors.red)(`${passed ? 'No drift' : 'FAILED'}: ${text.join(', ')}`);
}
