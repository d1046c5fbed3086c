/** Shows the parity cases, one row each, as they finish. */
import { formatDifference, plural } from '../../lib/quantities.js';
import type { Manifest, ParityCase } from '../protocol.js';
import { byId, element, scrolling, table, tableRow } from './dom.js';

const place = byId('parity', HTMLElement);
const summary = byId('parity-summary', HTMLElement);
const MARKS = { passed: 'passed', failed: 'FAILED', 'not run': 'not run' } as const;

const HEAD = ['Case', 'Result', 'Largest difference', 'Tolerance'];

/** Shows an empty table. @returns A function that adds a case to it. */
export function startParity({ leftOut }: Manifest): (result: ParityCase) => void {
  const rows = table(
    'Every case: |actual − expected| within atol + rtol · |expected| for every element',
    HEAD,
    [],
  );
  const body = rows.tBodies[0]!;
  const counts = { passed: 0, failed: 0, 'not run': 0 };
  place.replaceChildren(scrolling('Cases', rows));
  place.hidden = false;
  summary.className = '';
  summary.textContent = '';
  return (result) => {
    counts[result.status]++;
    body.append(rowOf(result));
    // Failures come first, because people look for them.
    if (result.status === 'failed') body.prepend(body.lastElementChild!);
    summary.className = counts.failed > 0 ? 'bad' : counts.passed > 0 ? 'good' : '';
    summary.textContent =
      `${counts.passed} passed, ${counts.failed} failed, ${counts['not run']} not run. ` +
      `${plural(leftOut.count, 'case')} of the repository left out: ${leftOut.reason}.`;
  };
}

function rowOf({ name, status, maxAbs, atol, rtol, problem }: ParityCase): HTMLTableRowElement {
  const tolerance =
    atol === undefined || rtol === undefined
      ? '–'
      : `${atol.toExponential()} + ${rtol.toExponential()} · |y|`;
  const row = tableRow([name, MARKS[status], formatDifference(maxAbs), tolerance]);
  row.className = status === 'failed' ? 'bad' : '';
  if (problem !== undefined) row.cells[0]!.append(element('small', { textContent: problem }));
  return row;
}
