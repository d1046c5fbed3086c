/** The results of `compare` as JUnit XML: a suite for each comparison, and in it a test case for each value. */
import type { ModelComparison, ValueComparison } from '../../../insight/compare/comparison.js';
import { describeMismatch } from '../../../parity/report.js';
import { formatShape } from '../../../tensor.js';
import { junitReport, xmlText } from '../../shared/junit.js';

/** Returns the XML. Values that are not compared are skipped test cases; outputs among them have failed. */
export function comparisonsToJunit(comparisons: readonly ModelComparison[]): string {
  const builder = junitReport('onnx-groupnorm compare');
  for (const { expected, actual, values, notCompared } of comparisons) {
    const suite = builder.testSuite().name(xmlText(`${actual.label} against ${expected.label}`));
    const addCase = (className: string, name: string) =>
      suite.testCase().className(xmlText(className)).name(xmlText(name));
    for (const value of values) {
      const testCase = addCase(value.module ?? (value.operator || 'graph'), value.name);
      const failure = describeFailure(value);
      if (failure !== undefined) testCase.failure(xmlText(failure), value.verdict.toUpperCase());
      else if (value.verdict === 'not-finite') testCase.skipped();
    }
    for (const { name, side, reason, isOutput } of notCompared) {
      const testCase = addCase('not compared', `${name} (${side} side: ${reason})`);
      if (isOutput) testCase.failure('an output is not compared', 'NOT_COMPARED');
      else testCase.skipped();
    }
  }
  return `${builder.build()}\n`;
}

function describeFailure(value: ValueComparison): string | undefined {
  const { verdict, isOutput, difference, notFinite } = value;
  if (verdict === 'type') {
    const [dtype, dims] = [value.expectedDtype, value.expectedDims];
    return `the value is ${value.dtype} ${formatShape(value.dims)}, expected ${dtype} ${formatShape(dims)}`;
  }
  if (verdict === 'drifts') return describeMismatch(difference!, 'value');
  if (verdict === 'within' || !isOutput) return undefined;
  return `${notFinite.actual} elements of an output are NaN or infinite, on both sides`;
}
