import { expect } from 'chai';
import { describe, it } from 'mocha';
import pico from 'picocolors';
import { describeReport, reportToJunit } from '../../../../lib/cli/commands/parity/report.js';
import { type CaseResult, makeReport, type OutputComparison } from '../../../../lib/index.js';
import { parseXml } from '../../support.js';

const output = (changes: Partial<OutputComparison> = {}): OutputComparison => ({
  name: 'y',
  passed: true,
  maxAbs: 1.25e-7,
  maxRel: 3e-6,
  maxUlp: 2,
  worstIndex: [0, 1],
  worstActual: 0.5,
  worstExpected: 0.5,
  toleranceUsed: 0.0125,
  mismatched: 0,
  elements: 8,
  rtol: 1e-6,
  atol: 1e-5,
  ...changes,
});
const result = (file: string, changes: Partial<CaseResult> = {}): CaseResult => ({
  file,
  graph: 'group-norm',
  lowering: 'op',
  opset: 21,
  provider: 'cpu',
  passed: true,
  outputs: [output()],
  milliseconds: 12.34,
  ...changes,
});
const describeCases = (...cases: CaseResult[]) =>
  describeReport(makeReport(cases), pico.createColors(false)).join('\n').split('\n');

describe('describeReport', () => {
  it('the table of parity shows files without the folder that they share', () => {
    const lines = describeCases(result('fixtures/a/one.safetensors'), result('fixtures/b/two.safetensors'));
    expect(lines[0]).to.equal('2 fixtures in fixtures on cpu: 2 cases');
    expect(lines.slice(3, 5).map((line) => line.split(' ')[0])).to.deep.equal(['a/one', 'b/two']);
  });

  it('the table of parity does not take a folder for another whose name begins alike', () => {
    const lines = describeCases(result('/x/ab/one.safetensors'), result('/x/abc/two.safetensors'));
    expect(lines.slice(3, 5).map((line) => line.split(' ')[0])).to.deep.equal(['ab/one', 'abc/two']);
  });

  it('the table of parity shows a data set with the folder of its model', () => {
    const dataSet = (file: string, changes: Partial<CaseResult> = {}) =>
      result(file, { model: 'model.onnx', lowering: 'default', ...changes });
    const alone = describeCases(dataSet('net/test_data_set_0', { groupNorm: 'kernel' }));
    expect(alone[0]).to.equal('1 data set in this folder on cpu: 1 case');
    expect(alone[3]).to.match(/^net\/test_data_set_0 +default → kernel +21 /);
    const unreadable = dataSet('x/net/test_data_set_1', { opset: 0, passed: false, outputs: [] });
    const lines = describeCases(result('x/a.safetensors'), unreadable);
    expect(lines[0]).to.equal('1 fixture and 1 data set in x on cpu: 2 cases');
    expect(lines[4]).to.match(/^net\/test_data_set_1 +default +– /);
    expect(lines).to.include('FAILED x/net/test_data_set_1 (default, opset unknown)');
  });

  it('the table of parity is followed by the notes', () => {
    const colors = pico.createColors(false);
    const lines = describeReport(makeReport([result('a.safetensors')]), colors, { notes: ['not for all'] });
    expect(lines.slice(3)).to.deep.equal(['not for all', '', '1 passed, 0 failed']);
  });

  it('a row of parity has the largest figures of all outputs', () => {
    const outputs = [
      output({ maxAbs: 1e-7, distanceToTruth: 1e-8, referenceDistanceToTruth: 5e-8 }),
      output({ maxAbs: 3e-7, toleranceUsed: 0.0341, distanceToTruth: 2e-8, referenceDistanceToTruth: 4e-8 }),
    ];
    const [, , , row] = describeCases(result('a.safetensors', { outputs }));
    expect(row!.split(/ {2,}/)).to.deep.equal(['a', 'op', '21', '3.0e-7', '3.0e-6', '3.4 %', '2.0e-8 / 5.0e-8', '12.3 ms', 'passed']); // prettier-ignore
  });

  it('a row of parity says how GroupNormalization ran if it was not as written', () => {
    const lines = describeCases(
      result('a.safetensors', { groupNorm: 'reduce-mean' }),
      result('b.safetensors', { groupNorm: 'op' }),
    );
    expect(lines[3]).to.match(/^a +op → reduce-mean +21 /);
    expect(lines[4]).to.match(/^b +op +21 /);
  });

  it('a row of parity has dashes for figures that could not be measured', () => {
    const error = { code: 'RUN_FAILED', message: 'no\nluck' };
    const lines = describeCases(result('a.safetensors', { passed: false, outputs: [], error }));
    expect(lines[3]!.split(/ {2,}/)).to.deep.equal(['a', 'op', '21', '–', '–', '–', '–', '–', 'FAILED']);
    expect(lines.slice(4)).to.deep.equal([
      '',
      'FAILED a.safetensors (op, opset 21)',
      '  RUN_FAILED: no',
      '  luck',
      '',
      '0 passed, 1 failed',
    ]);
  });

  for (const width of [60, 80, 100]) {
    it(`the table of parity fits a terminal of ${width} columns, and keeps the case and its result`, () => {
      const outputs = [output({ distanceToTruth: 2e-8, referenceDistanceToTruth: 4e-8 })];
      const cases = ['large-group-float16', 'mean-1e3-deviation-0.1'].map((name) =>
        result(`fixtures/group-norm/${name}.safetensors`, { outputs, groupNorm: 'reduce-mean' }),
      );
      const lines = describeReport(makeReport(cases), pico.createColors(false), { width })
        .join('\n')
        .split('\n')
        .slice(2, 5);
      expect(Math.max(...lines.map(({ length }) => length))).to.be.at.most(width);
      expect(lines[1]).to.match(/float16 .*op → reduce-mean .*1\.[23]e-7 .*passed$/);
      expect(lines[2]).to.match(/deviation-0\.1 .*passed$/);
    });
  }

  it('a narrow table of parity keeps the opset if it tells cases apart', () => {
    const cases = [17, 21].map((opset) => result('a/long-name-of-a-case.safetensors', { opset }));
    const [, , head] = describeReport(makeReport(cases), pico.createColors(false), { width: 45 });
    expect(head!.split('\n')[0]).to.match(/^case +lowering +opset +max abs +result$/);
  });

  it('parity counts the cases that did not run, also if no case ran', () => {
    const describe = (...cases: CaseResult[]) =>
      describeReport(makeReport(cases), pico.createColors(false), { notRun: 7 });
    expect(describe(result('a.safetensors')).at(-1)).to.equal('1 passed, 0 failed, 7 not run');
    expect(describe()).to.deep.equal(['0 passed, 0 failed, 7 not run']);
  });
});

const junit = (...cases: CaseResult[]) => parseXml(reportToJunit(makeReport(cases)));

describe('reportToJunit', () => {
  it('parity --junit writes a test case for each case, in the suite of its graph', () => {
    const root = junit(
      result('a.safetensors'),
      result('a.safetensors', { graph: 'unet' }),
      result('a.safetensors', { lowering: 'layer-norm', milliseconds: 12.5 }),
    );
    expect(root.attributes).to.include({ tests: '3', failures: '0' });
    expect(root.children.map(({ attributes }) => [attributes.name, attributes.tests])).to.deep.equal([
      ['group-norm', '2'],
      ['unet', '1'],
    ]);
    expect(root.children[0]!.children[1]!.attributes).to.deep.equal({
      classname: 'group-norm.layer-norm',
      name: 'a.safetensors (layer-norm, opset 21, cpu)',
      time: '0.0125',
    });
  });

  it('parity --junit writes a case that could not run as a failure with its reason', () => {
    const error = { code: 'RUN_FAILED', message: 'no luck' };
    const [testCase] = junit(result('a.safetensors', { passed: false, error })).children[0]!.children;
    expect(testCase!.children[0]).to.deep.include({
      tag: 'failure',
      attributes: { message: 'RUN_FAILED: no luck', type: 'RUN_FAILED' },
    });
  });

  it('parity --junit names how GroupNormalization ran', () => {
    const [testCase] = junit(result('a.safetensors', { groupNorm: 'reduce-mean' })).children[0]!.children;
    expect(testCase!.attributes.name).to.equal('a.safetensors (op → reduce-mean, opset 21, cpu)');
  });

  it('parity --junit writes a data set into the suite of its model', () => {
    const changes = {
      file: 'net/test_data_set_0',
      graph: 'net',
      model: 'net/model.onnx',
      lowering: 'default',
    };
    const [suite] = junit(
      result('a.safetensors', { ...changes, groupNorm: 'kernel' } as Partial<CaseResult>),
    ).children;
    expect(suite!.attributes.name).to.equal('net');
    expect(suite!.children[0]!.attributes).to.include({
      classname: 'net.default',
      name: 'net/test_data_set_0 (default → kernel, opset 21, cpu)',
    });
  });

  it('parity --junit keeps two reports of one process apart', () => {
    junit(result('a.safetensors'));
    expect(junit(result('a.safetensors')).attributes.tests).to.equal('1');
  });

  it('parity --junit writes valid XML for all characters', () => {
    const nasty = '\u0000\u0008\u001b[31m<&>"\'\ud800]]>\uffff\n\t😀';
    const error = { code: 'X', message: nasty };
    const root = junit(result(nasty, { passed: false, graph: nasty, error }));
    const [testCase] = root.children[0]!.children;
    expect(testCase!.children[0]!.attributes.message).to.equal(
      'X: \\u0000\\u0008\\u001b[31m<&>"\'\\ud800]]>\ufffd\n\\u0009😀',
    );
  });
});
