import type { CaseRow, DeviceReport } from '../../scripts/cuda/report.js';

export const PASSED_ROW: CaseRow = {
  name: 'group-norm a',
  lowering: 'op',
  opset: 21,
  asked: null,
  ranAs: 'reduce-mean',
  outcome: 'passed',
  error: 1e-6,
};

/** A complete report of one case. */
export const REPORT: DeviceReport = {
  provider: 'cuda',
  date: '2026-01-02',
  complete: true,
  stopped: null,
  stages: [{ stage: 'suite', done: 1, total: 1 }],
  narrowedBy: [],
  device: {
    name: 'NVIDIA T4',
    details: { driver: '580.65.06' },
    node: 'v24.0.0',
    platform: 'linux-x64',
    packages: { 'onnxruntime-node': '1.30.0' },
    libraries: ['libcudart.so.13.0.96', 'libcudnn.so.9.14.0'],
    environment: { NVIDIA_TF32_OVERRIDE: '0' },
  },
  defaultGroupNorm: 'reduce-mean',
  rounds: 30,
  suite: [PASSED_ROW],
  candidates: [],
  timings: [],
  untimed: [],
  winners: [],
};
