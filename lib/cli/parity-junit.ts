import junit, { type Builder } from 'junit-report-builder';
import { describeFailure, type Report } from '../parity/index.js';
import { describeLowering, describeOpset } from './parity-table.js';

// The package's types promise an ES module's default export; what it has is `module.exports`, a builder.
const factory = junit as unknown as Builder;

/** A parity report as JUnit's XML: one test case for each fixture or data set and way to run it, in a suite for each graph. */
export function reportToJunit({ cases }: Report): string {
  const builder = factory.newBuilder().name('onnx-groupnorm parity');
  for (const graph of new Set(cases.map((one) => one.graph))) {
    const suite = builder.testSuite().name(xmlText(graph));
    for (const one of cases.filter((other) => other.graph === graph)) {
      const testCase = suite
        .testCase()
        .className(xmlText(`${graph}.${one.lowering}`))
        .name(xmlText(`${one.file} (${describeLowering(one)}, ${describeOpset(one)}, ${one.provider})`))
        .time(one.milliseconds / 1000);
      if (!one.passed) testCase.failure(xmlText(describeFailure(one)), one.error?.code ?? 'MISMATCH');
    }
  }
  return `${builder.build()}\n`;
}

/** Characters that XML 1.0 has no way to write, and halves of surrogate pairs, become U+FFFD. */
const xmlText = (text: string): string =>
  text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Surrogate}/gu, '\ufffd');
