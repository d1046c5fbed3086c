import { expect } from 'chai';
import { describe, it } from 'mocha';
import { reportToJunit } from '../../../lib/cli/commands/parity-report.js';
import { type CaseResult, makeReport } from '../../../lib/index.js';
import { parseXml } from '../support.js';

const result = (changes: Partial<CaseResult> = {}): CaseResult => ({
  file: 'a.safetensors',
  graph: 'group-norm',
  lowering: 'op',
  opset: 21,
  provider: 'cpu',
  passed: true,
  outputs: [],
  milliseconds: 12.5,
  ...changes,
});
const junit = (...cases: CaseResult[]) => parseXml(reportToJunit(makeReport(cases)));

describe('cli/parity-junit', () => {
  it('every case is a test case in the suite of its graph', () => {
    const root = junit(result(), result({ graph: 'unet' }), result({ lowering: 'layer-norm' }));
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

  it('a case that could not run is a failure with its reason', () => {
    const error = { code: 'RUN_FAILED', message: 'no luck' };
    const [testCase] = junit(result({ passed: false, error })).children[0]!.children;
    expect(testCase!.children[0]).to.deep.include({
      tag: 'failure',
      attributes: { message: 'RUN_FAILED: no luck', type: 'RUN_FAILED' },
    });
  });

  it('a test case says how GroupNormalization ran', () => {
    const [testCase] = junit(result({ groupNorm: 'reduce-mean' })).children[0]!.children;
    expect(testCase!.attributes.name).to.equal('a.safetensors (op → reduce-mean, opset 21, cpu)');
  });

  it('a data set is a test case in the suite of its model', () => {
    const changes = {
      file: 'net/test_data_set_0',
      graph: 'net',
      model: 'net/model.onnx',
      lowering: 'default',
    };
    const [suite] = junit(result({ ...changes, groupNorm: 'kernel' } as Partial<CaseResult>)).children;
    expect(suite!.attributes.name).to.equal('net');
    expect(suite!.children[0]!.attributes).to.include({
      classname: 'net.default',
      name: 'net/test_data_set_0 (default → kernel, opset 21, cpu)',
    });
  });

  it('two reports in one process do not add up', () => {
    junit(result());
    expect(junit(result()).attributes.tests).to.equal('1');
  });

  it('no character can make the XML invalid', () => {
    const nasty = '\u0000\u0008\u001b[31m<&>"\'\ud800]]>\uffff\n\t😀';
    const error = { code: 'X', message: nasty };
    const root = junit(result({ passed: false, file: nasty, graph: nasty, error }));
    const [testCase] = root.children[0]!.children;
    expect(testCase!.children[0]!.attributes.message).to.equal(
      'X: \ufffd\ufffd\ufffd[31m<&>"\'\ufffd]]>\ufffd\n\t😀',
    );
  });
});
