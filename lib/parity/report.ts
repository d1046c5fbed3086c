import type { ProviderFallback } from '../runtime/core/contract.js';
import type { CaseResult } from './check.js';
import type { OutputComparison } from './compare.js';

/** The result of a parity run. A case that cannot run has failed. */
export interface Report {
  /** Cases that passed. */
  readonly passed: number;
  /** Cases that did not, or could not be run. */
  readonly failed: number;
  /** In the order in which they ran. */
  readonly cases: readonly CaseResult[];
  /** Execution providers that no case was run on because this machine lacks them, and why. */
  readonly notRun?: readonly ProviderFallback[];
}

/** Counts the cases that passed and failed. */
export function makeReport(cases: readonly CaseResult[]): Report {
  const passed = cases.filter((result) => result.passed).length;
  return { passed, failed: cases.length - passed, cases };
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
  `output '${output.name}': ${output.mismatched} of ${output.elements} elements are beyond the tolerance, ` +
  `at worst [${output.worstIndex?.join(', ')}]; ${describeDifference(output)} ` +
  `(allowed: atol ${formatTolerance(output.atol)}, rtol ${formatTolerance(output.rtol)})`;

function describeDifference({ maxAbs, maxRel, maxUlp }: OutputComparison): string {
  if (Number.isFinite(maxAbs)) {
    return `largest difference ${maxAbs.toExponential(1)} absolute, ${maxRel.toExponential(1)} relative`;
  }
  // Every number is some units from infinity; NaN alone is not.
  return maxUlp === Infinity ? 'NaN stands against a number' : 'infinity stands against another number';
}

/** `1e-5`, `1.3e-6`: as the documentation of PyTorch writes them. */
const formatTolerance = (value: number): string =>
  value !== 0 && value < 1e-3 ? value.toExponential() : String(value);
