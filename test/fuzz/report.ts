/** What a campaign found, as text. */
import type { FuzzRow } from '../../scripts/docs/figures.js';
import type { CaseId } from './cases.js';
import type { ConfirmedFinding, Result } from './campaign.js';
import { FINDING_KINDS, mib } from './probe.js';

/** Returns what to type to see a case again. */
export const replayLine = ({ seed, path }: CaseId, only?: string): string =>
  `npm run fuzz -- --replay ${seed}:${path}${only === undefined ? '' : ` --only ${only}`}`;

export function describeFinding(finding: ConfirmedFinding, only?: string): string {
  const { kind, way, what, format, isRepeatable } = finding;
  return `${kind} in ${way} (${format}${isRepeatable ? '' : ', only once'}): ${what}\n  ${replayLine(finding, only)}`;
}

/** Returns the rows of the report in docs/plots. */
export const rowsOf = ({ tallies }: Result): FuzzRow[] =>
  [...tallies]
    .sort()
    .map(([format, { cases, accepted, refused }]) => ({ format, files: cases, returned: accepted, refused }));

/** Returns a table with a row for each format, in Markdown. */
export function summaryTable({ tallies, findings }: Result): string {
  const rows = [...tallies]
    .sort()
    .map(([format, tally]) => [
      format || 'not started',
      tally.cases,
      tally.accepted,
      tally.refused,
      tally.endedRuns,
      mib(tally.peak),
      mib(tally.resident),
      ...FINDING_KINDS.map(
        (kind) => findings.filter((finding) => finding.kind === kind && finding.format === format).length,
      ),
    ]);
  const calls = [
    'calls that returned',
    'calls refused',
    'runs ended',
    'most memory of a call',
    'of the process',
  ];
  const head = ['format', 'cases', ...calls, ...FINDING_KINDS];
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}
