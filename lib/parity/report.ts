/** Sums up cases, and says why a case failed. */
import { printable, printableJson } from '../printable.js';
import type { ProviderFallback } from '../runtime/core/contract.js';
import type { CaseResult } from './check.js';
import type { OutputComparison } from './compare.js';

/** The result of a parity run. A case that cannot run has failed. */
export interface Report {
  /** The number of cases that passed. */
  readonly passed: number;
  /** The number of cases that failed or could not run. */
  readonly failed: number;
  /** The cases, in the order in which they ran. */
  readonly cases: readonly CaseResult[];
  /** Execution providers on which no case ran because this machine lacks them, and why. */
  readonly notRun?: readonly ProviderFallback[];
  /** The number of cases that did not run because a signal stopped the command. */
  readonly interrupted?: number;
}

/** Makes a report: counts the cases that passed and failed. */
export function makeReport(cases: readonly CaseResult[]): Report {
  const passed = cases.filter((result) => result.passed).length;
  return { passed, failed: cases.length - passed, cases };
}

/** Returns the report as JSON text. An infinite difference, as between NaN and a number, becomes `null`. */
export const reportToJson = (report: Report): string => `${printableJson(report)}\n`;

/** Says why a case failed, and in a second line where its drift begins; `''` if it passed. */
export function describeFailure({ error, outputs, drift }: CaseResult): string {
  if (error) return `${error.code}: ${error.message}`;
  const mismatches = outputs.filter(({ passed }) => !passed).map((output) => describeMismatch(output));
  return [mismatches.join('; '), ...(drift ? [drift.description] : [])].join('\n');
}

/** @param what What is compared. */
export const describeMismatch = (output: OutputComparison, what = 'output'): string =>
  `${what} '${printable(output.name)}': ${output.mismatched} of ${output.elements} elements are beyond the tolerance, ` +
  `the element at index [${output.worstIndex?.join(', ')}] the most: it is ${formatElement(output.worstActual)}, ` +
  `expected ${formatElement(output.worstExpected)}; ${describeDifference(output)} ` +
  `(allowed: atol ${formatTolerance(output.atol)}, rtol ${formatTolerance(output.rtol)})`;

/** Writes an element with all its digits: nine tell every float32 from the others, and integers need all. */
export function formatElement(value: number | null): string {
  if (value === null) return '–';
  const isFloat32 = Math.fround(value) === value && !Number.isInteger(value);
  return String(isFloat32 ? Number(value.toPrecision(9)) : value);
}

export function describeDifference({ maxAbs, maxRel, maxUlp }: OutputComparison): string {
  if (Number.isFinite(maxAbs)) {
    return `largest difference ${maxAbs.toExponential(1)} absolute, ${maxRel.toExponential(1)} relative`;
  }
  // The distance of a number from infinity in ULP is finite; from NaN it is not.
  return maxUlp === Infinity
    ? 'one value is NaN and the other is not'
    : 'one value is infinite and the other differs';
}

/** Writes a tolerance as PyTorch's documentation does: `1e-5`, `1.3e-6`. */
export const formatTolerance = (value: number): string =>
  value !== 0 && value < 1e-3 ? value.toExponential() : String(value);
