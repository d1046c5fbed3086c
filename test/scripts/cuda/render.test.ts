import { expect } from 'chai';
import { describe, it } from 'mocha';
import { readdirSync, readFileSync } from 'node:fs';
import { caseRow, distanceOf } from '../../../scripts/cuda/measure.js';
import { renderReport, writeReport } from '../../../scripts/cuda/render.js';
import type { DeviceReport } from '../../../scripts/cuda/report.js';
import type { CaseResult } from '../../../lib/index.js';
import { PASSED_ROW, REPORT } from '../../support/device-report.js';
import { temporaryFolder } from '../../support/temporary.js';

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

describe('scripts/cuda/measure: a case', () => {
  const refusal = { ...RESULT, error: { code: 'MODEL_REJECTED', message: 'no kernel' } };

  it('a case that a candidate cannot run is refused, and a case that a session cannot run has failed', () => {
    expect(caseRow('a', refusal, 'contrib-group-norm').outcome).to.equal('refused');
    const failed = caseRow('a', refusal, null);
    expect([failed.outcome, failed.reason]).to.deep.equal(['failed', 'MODEL_REJECTED: no kernel']);
  });

  it('a case that ends with another error has failed, with and without a requested way', () => {
    for (const code of ['RUN_FAILED', 'MODEL_REJECTED']) {
      const spoiled = { ...RESULT, error: { code, message: 'CUDA failure 700: illegal memory access' } };
      expect(caseRow('a', spoiled, 'op').outcome, code).to.equal('failed');
    }
  });
});

describe('scripts/cuda/measure: a distance', () => {
  const tolerance = { rtol: 0.1, atol: 1 };

  it('the distance is the largest difference, and the largest in units of the tolerance, at any two elements', () => {
    expect(distanceOf(Float64Array.of(100, 2), Float64Array.of(103, 0), tolerance)).to.deep.equal({
      maxAbs: 3,
      excess: 2,
    });
  });

  it('the distance from NaN or infinity is null', () => {
    for (const value of [NaN, Infinity]) {
      expect(distanceOf(Float64Array.of(value), Float64Array.of(1), tolerance).excess).to.be.null;
    }
  });
});

describe('scripts/cuda/render', () => {
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

  it('the report names the device, its driver and the loaded libraries', () => {
    for (const part of ['# cuda on NVIDIA T4', '| driver | 580.65.06 |', 'libcudnn.so.9.14.0']) {
      expect(text).to.include(part);
    }
    expect(text).to.include('| NVIDIA_TF32_OVERRIDE | 0 |');
  });

  it('the head of the report names the measured version of ONNX Runtime', () => {
    expect(text.split('\n\n')[1]).to.match(/^onnxruntime-node 1\.30\.0\. Written by/);
  });

  it('the head of the report lists missing parts and narrowing options', () => {
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

  it('the report counts passed cases, and says which cases failed and why', () => {
    expect(text).to.include('1 of 2 passed.');
    expect(text).to.include('- **FAILED** group-norm b, op at opset 21: off');
    expect(text).to.include('| group-norm b | **failed** |');
    expect(text).to.include(
      '| contrib-group-norm | 1 | 0 | 1 | 1 | group-norm a: ended with SIGSEGV | group-norm a: no \\| kernel |',
    );
  });

  it('the report marks errors beyond the tolerance, and says where the nodes ran', () => {
    expect(text).to.include('| 1.0e-6 | **5.0e-1** | **NaN** | CUDA 12, CPU 3 |');
    expect(text).to.include('- Not run: op for 1×66×8×8 float32: refused: odd');
    expect(text).to.include('| 2.000 (1.000 to 3.000) | – | 30 |');
    expect(text).to.include('- Not measured: op for 1×64×8×8 float32: speed-up: reduce-mean does not run');
  });
});

const WHOLE = ['cuda-nvidia-t4.json', 'cuda-nvidia-t4.md'];
const PARTIAL = ['cuda-nvidia-t4.partial.json', 'cuda-nvidia-t4.partial.md'];

describe('scripts/cuda/render: the files of a report', () => {
  const at = temporaryFolder();
  const dateOf = (name: string) => (JSON.parse(readFileSync(at(name), 'utf8')) as DeviceReport).date;

  it('a complete report replaces the partial report', async () => {
    expect(await writeReport({ ...REPORT, complete: false, stopped: 'under way' }, at())).to.equal(
      at(PARTIAL[1]!),
    );
    expect(readdirSync(at()).sort()).to.deep.equal(PARTIAL);
    expect(await writeReport(REPORT, at())).to.equal(at(WHOLE[1]!));
    expect(readdirSync(at()).sort()).to.deep.equal(WHOLE);
  });

  it('an incomplete or narrowed report leaves a complete report as it is', async () => {
    await writeReport(REPORT, at());
    for (const less of [{ complete: false, stopped: 'enough' }, { narrowedBy: ["--opsets '21'"] }]) {
      await writeReport({ ...REPORT, date: 'later', ...less }, at());
      expect([dateOf(WHOLE[0]!), dateOf(PARTIAL[0]!)]).to.deep.equal([REPORT.date, 'later']);
    }
  });
});
