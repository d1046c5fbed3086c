import { expect } from 'chai';
import { describe, it } from 'mocha';
import { caseRow } from '../../../scripts/device-check/cases.js';
import { renderReport } from '../../../scripts/device-check/render.js';
import type { DeviceReport } from '../../../scripts/device-check/report.js';
import { distanceOf } from '../../../scripts/device-check/timings.js';
import type { CaseResult } from '../../../lib/index.js';
import { PASSED_ROW, REPORT } from '../../support/device-report.js';

const RESULT: CaseResult = {
  file: 'a.safetensors',
  graph: 'group-norm',
  lowering: 'op',
  opset: 21,
  provider: 'cuda',
  passed: false,
  outputs: [],
  milliseconds: 1,
};
const quartiles = { low: 1, median: 2, high: 3 };

describe('scripts/device-check: a case', () => {
  const refusal = { ...RESULT, error: { code: 'MODEL_REJECTED', message: 'no kernel' } };

  it('that a candidate cannot run is refused, and one that a session cannot run has failed', () => {
    expect(caseRow('a', refusal, 'contrib-group-norm').outcome).to.equal('refused');
    const failed = caseRow('a', refusal, null);
    expect([failed.outcome, failed.reason]).to.deep.equal(['failed', 'MODEL_REJECTED: no kernel']);
  });

  it('that ends with another error has failed, whoever asked', () => {
    for (const code of ['RUN_FAILED', 'MODEL_REJECTED']) {
      const spoiled = { ...RESULT, error: { code, message: 'CUDA failure 700: illegal memory access' } };
      expect(caseRow('a', spoiled, 'op').outcome, code).to.equal('failed');
    }
  });
});

describe('scripts/device-check: a distance', () => {
  const tolerance = { rtol: 0.1, atol: 1 };

  it('is the largest, and the largest in units of what is allowed, which may lie elsewhere', () => {
    expect(distanceOf(Float64Array.of(100, 2), Float64Array.of(103, 0), tolerance)).to.deep.equal({
      maxAbs: 3,
      excess: 2,
    });
  });

  it('from NaN or infinity is none', () => {
    for (const value of [NaN, Infinity]) {
      expect(distanceOf(Float64Array.of(value), Float64Array.of(1), tolerance).excess).to.be.null;
    }
  });
});

describe('scripts/device-check: the report', () => {
  const report: DeviceReport = {
    ...REPORT,
    suite: [
      PASSED_ROW,
      { ...PASSED_ROW, name: 'group-norm b', outcome: 'failed', error: null, reason: 'off' },
    ],
    candidates: [
      { ...PASSED_ROW, asked: 'contrib-group-norm', outcome: 'refused', reason: 'no | kernel' },
      { ...PASSED_ROW, asked: 'contrib-group-norm' },
      { ...PASSED_ROW, asked: 'contrib-group-norm', outcome: 'crashed', reason: 'ended with SIGSEGV' },
    ],
    timings: [
      {
        shape: [1, 64, 8, 8],
        dtype: 'float32',
        groupNorm: 'op',
        rounds: 30,
        ms: quartiles,
        speedup: null,
        errors: [
          { input: 'mean 0', maxAbs: 1e-6, excess: 0.1 },
          { input: 'mean 300', maxAbs: 0.5, excess: 900 },
          { input: 'mean 1000', maxAbs: null, excess: null },
        ],
        placement: { CUDAExecutionProvider: 12, CPUExecutionProvider: 3 },
        problems: ['speed-up: reduce-mean does not run'],
      },
    ],
    untimed: [{ shape: [1, 66, 8, 8], dtype: 'float32', groupNorm: 'op', outcome: 'refused', reason: 'odd' }],
    winners: [{ shape: [1, 64, 8, 8], dtype: 'float32', groupNorm: null, because: 'none' }],
  };
  const text = renderReport(report);

  it('names the device, its driver and what was loaded', () => {
    for (const part of ['# cuda on NVIDIA T4', '| driver | 580.65.06 |', 'libcudnn.so.9.14.0']) {
      expect(text).to.include(part);
    }
    expect(text).to.include('| NVIDIA_TF32_OVERRIDE | 0 |');
  });

  it('says at its head which version of ONNX Runtime was measured', () => {
    expect(text.split('\n\n')[1]).to.match(/^onnxruntime-node 1\.30\.0\. Written by/);
  });

  it('says at its head what is missing, and what it was narrowed by', () => {
    expect(text).to.not.match(/NOT COMPLETE|Narrowed/);
    const stages = [
      { stage: 'suite', done: 3, total: 3 },
      { stage: 'candidates', done: 2, total: 5 },
    ];
    const partial = renderReport({
      ...report,
      complete: false,
      stopped: 'it was ended by SIGTERM',
      stages,
      narrowedBy: ["--cases 'rank'"],
    });
    expect(partial.split('\n\n').slice(2, 5)).to.deep.equal([
      '**NOT COMPLETE**: it was ended by SIGTERM. What is missing:',
      '- candidates: 3 of 5',
      "**Narrowed** by --cases 'rank'.",
    ]);
  });

  it('counts what passed, and says what did not and why', () => {
    expect(text).to.include('1 of 2 passed.');
    expect(text).to.include('- **FAILED** group-norm b, op at opset 21: off');
    expect(text).to.include('| group-norm b | **failed** |');
    expect(text).to.include(
      '| contrib-group-norm | 1 | 0 | 1 | 1 | group-norm a: ended with SIGSEGV | group-norm a: no \\| kernel |',
    );
  });

  it('marks errors that are more than allowed, and says where the nodes ran', () => {
    expect(text).to.include('| 1.0e-6 | **5.0e-1** | **NaN** | CUDA 12, CPU 3 |');
    expect(text).to.include('- Not run: op for 1×66×8×8 float32: refused: odd');
    expect(text).to.include('| 2.000 (1.000 to 3.000) | – | 30 |');
    expect(text).to.include('- Not measured: op for 1×64×8×8 float32: speed-up: reduce-mean does not run');
  });
});
