/** Shows what `inspect` finds in a model: its head, its warnings, and the table of its normalizations in order. */
import type { ModelInspection } from '../../lib/browser.js';
import { columnsOf, headOf, warningsIn, writtenBy } from '../../lib/insight/inspect/columns.js';
import { printable } from '../../lib/printable.js';
import { listNames, plural } from '../../lib/quantities.js';
import { element, scrolling, table } from './dom.js';

/** Returns the head of a model, as names and values. */
export const headRows = ({ model }: ModelInspection): [name: string, value: string][] =>
  [['Model', writtenBy(model)] as [string, string], ...headOf(model, undefined)].map(([name, text]) => [
    name,
    printable(text),
  ]);

/** Returns the normalizations in the order in which they run, and what may go wrong in them. */
export function normalizationsPanel({ normalizations: rows, provider }: ModelInspection): Node[] {
  const warnings = warningsIn(rows).map(({ subjects, text }) =>
    element(
      'li',
      {},
      element('strong', { textContent: printable(listNames(subjects, 3)) }),
      `: ${printable(text)}.`,
    ),
  );
  const columns = columnsOf(rows);
  const isMeasured = provider !== undefined;
  const caption = `${plural(rows.length, 'normalization')} in the order in which they run${isMeasured ? `, measured on ${provider}` : ''}`;
  const cells = rows.map((_, row) => [
    String(row + 1),
    ...columns.map((column) => printable(column.cells[row]!)),
  ]);
  return [
    ...(rows.length === 0
      ? [element('p', { textContent: 'The model has no normalizations.' })]
      : [scrolling('Normalizations', table(caption, ['#', ...columns.map(({ head }) => head)], cells))]),
    ...(warnings.length > 0
      ? [element('h3', { textContent: 'Warnings' }), element('ul', {}, ...warnings)]
      : []),
  ];
}
