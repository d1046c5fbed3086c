import type { CaseResult } from './check.js';
import type { OutputComparison } from './compare.js';

/** What a parity run came to; `skipped` is there for readers of the format: a case that cannot run has failed. */
export interface Report {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly cases: readonly CaseResult[];
}

export function makeReport(cases: readonly CaseResult[]): Report {
  const passed = cases.filter((result) => result.passed).length;
  return { passed, failed: cases.length - passed, skipped: 0, cases };
}

/** The report as JSON text. A figure that is infinite, because a NaN stands against a number, is null. */
export const reportToJson = (report: Report): string => `${JSON.stringify(report, null, 2)}\n`;

/** One line on why a case failed. */
export function describeFailure({ error, outputs }: CaseResult): string {
  if (error) return `${error.code}: ${error.message}`;
  return outputs
    .filter(({ passed }) => !passed)
    .map(describeMismatch)
    .join('; ');
}

const describeMismatch = (output: OutputComparison): string =>
  `output '${output.name}': ${output.mismatched} of ${output.elements} elements differ, at worst ` +
  `[${output.worstIndex?.join(', ')}]; largest difference ${output.maxAbs.toExponential(1)} absolute, ` +
  `${output.maxRel.toExponential(1)} relative (allowed: atol ${output.atol}, rtol ${output.rtol})`;
