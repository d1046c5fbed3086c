/** The report of `inspect` as text; its page has the same columns and warnings. */
import { columnsOf, headOf, warningsIn, writtenBy } from '../../../insight/inspect/columns.js';
import type { ModelInspection, Normalization } from '../../../insight/inspect/types.js';
import { printable } from '../../../printable.js';
import { listNames, plural } from '../../../quantities.js';
import { fitTable } from '../../shared/table.js';

/**
 * Returns an inspection as lines for people.
 * @param width Characters of a line of the table. Default: no limit.
 */
export function describeInspection(
  path: string,
  { model, provider, normalizations }: ModelInspection,
  width?: number,
): string[] {
  const head = headOf(model, provider);
  return [
    printable(`${path}: ${writtenBy(model)}`),
    ...head.map(([term, text]) => printable(`${`${term}:`.padEnd(TERM)}${text}`)),
    '',
    ...(normalizations.length === 0
      ? ['No normalizations']
      : [plural(normalizations.length, 'normalization'), fitTable(columnsOf(normalizations), width)]),
    ...describeWarnings(normalizations),
  ];
}

/** Columns of the longest term. */
const TERM = 'With bodies: '.length;

function describeWarnings(rows: readonly Normalization[]): string[] {
  const lines = warningsIn(rows).map(({ subjects, text }) => `${listNames(subjects, 3)}: ${text}.`);
  return lines.length > 0 ? ['', 'Warnings', ...lines.map((line) => `  ${printable(line)}`)] : [];
}
