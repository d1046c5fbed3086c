import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { CaseResult } from '../../lib/parity/check.js';
import type { OutputComparison } from '../../lib/parity/compare.js';
import { describeFailure, makeReport, reportToJson } from '../../lib/parity/report.js';

const output = (changes: Partial<OutputComparison> = {}): OutputComparison => ({
  name: 'y',
  passed: false,
  maxAbs: 0.25,
  maxRel: 0.5,
  maxUlp: 100,
  worstIndex: [1, 2],
  worstActual: 1.5,
  worstExpected: Math.fround(1.1),
  toleranceUsed: 400,
  mismatched: 3,
  elements: 12,
  rtol: 1.3e-6,
  atol: 1e-5,
  ...changes,
});
const result = (changes: Partial<CaseResult> = {}): CaseResult => ({
  file: 'a.safetensors',
  graph: 'group-norm',
  lowering: 'op',
  opset: 21,
  provider: 'cpu',
  passed: false,
  outputs: [output()],
  milliseconds: 1,
  ...changes,
});

describe('parity/report', () => {
  it('a report counts the cases that passed and the cases that failed', () => {
    const cases = [result(), result({ passed: true }), result({ passed: true })];
    expect(makeReport(cases)).to.deep.equal({ passed: 2, failed: 1, cases });
    expect(makeReport([])).to.deep.equal({ passed: 0, failed: 0, cases: [] });
  });

  it('the JSON report reads back as it was, but infinity becomes null', () => {
    const report = makeReport([result({ outputs: [output({ maxAbs: Infinity, worstIndex: null })] })]);
    const text = reportToJson(report);
    expect(text.endsWith('}\n')).to.be.true;
    const outputs = [output({ maxAbs: null as never, worstIndex: null })];
    expect(JSON.parse(text)).to.deep.equal(makeReport([result({ outputs })]));
  });

  it('a failure message says how many elements fail, where the worst is, by how much, and what is allowed', () => {
    expect(describeFailure(result())).to.equal(
      "output 'y': 3 of 12 elements are beyond the tolerance, the element at index [1, 2] the most: it is 1.5, expected 1.10000002; " +
        'largest difference 2.5e-1 absolute, 5.0e-1 relative (allowed: atol 1e-5, rtol 1.3e-6)',
    );
  });

  it('a failure message gives the values of the worst element with all their digits', () => {
    const values = (worstActual: number | null, worstExpected: number | null) =>
      describeFailure(result({ outputs: [output({ worstActual, worstExpected })] }));
    expect(values(NaN, -0.1)).to.include('it is NaN, expected -0.1;');
    expect(values(1 / 3, Math.fround(1 / 3))).to.include('it is 0.3333333333333333, expected 0.333333343;');
    expect(values(2, 2 ** 53)).to.include('it is 2, expected 9007199254740992;');
  });

  it('a failure message names NaN and infinity', () => {
    const nan = describeFailure(result({ outputs: [output({ maxAbs: Infinity, maxUlp: Infinity })] }));
    expect(nan).to.include('one value is NaN and the other is not');
    const infinity = describeFailure(result({ outputs: [output({ maxAbs: Infinity, maxUlp: 7 })] }));
    expect(infinity).to.include('one value is infinite and the other differs');
  });

  it('a failure message names every output that fails, and no output that passes', () => {
    const outputs = [output({ name: 'p3' }), output({ name: 'p4', passed: true }), output({ name: 'p5' })];
    const text = describeFailure(result({ outputs }));
    expect(text)
      .to.match(/^output 'p3': .*; output 'p5': /)
      .and.not.include('p4');
  });

  it('a failure message says why a case could not run', () => {
    const error = { code: 'RUN_FAILED', message: 'no luck' };
    expect(describeFailure(result({ outputs: [], error }))).to.equal('RUN_FAILED: no luck');
  });
});
