/** The WebGPU of onnxruntime-node, on a GPU in software. */
import { readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { before, describe, it } from 'mocha';
import type { Report } from '../../../lib/parity/report.js';
import { remedyFor } from '../../../lib/runtime/ort-node/accelerators.js';
import { fixturePath } from '../../support/fixtures.js';
import type { SessionOutcome } from '../../support/provider-sessions.js';
import { onSoftwareGpu, SOFTWARE_GPU_REASON } from '../../support/software-gpu.js';

const RELU = [0, 0, 2];

describe("onnxruntime-node's WebGPU on a GPU in software", function () {
  this.timeout(180_000);
  if (SOFTWARE_GPU_REASON !== undefined) {
    it('WebGPU of onnxruntime-node runs in SwiftShader, a GPU in software', function () {
      console.log(`    not run: ${SOFTWARE_GPU_REASON}`);
      this.skip();
    });
    return;
  }

  let outcomes: readonly SessionOutcome[];
  let left: readonly string[];
  const of = (dtype: string, ...providers: string[]): SessionOutcome =>
    outcomes.find((one) => one.dtype === dtype && one.providers.join() === providers.join())!;

  before(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'accelerators-'));
    try {
      outcomes = await onSoftwareGpu('test/support/provider-sessions.ts', [], { TMPDIR: folder });
      left = readdirSync(folder).filter((name) => name.startsWith('onnx-groupnorm'));
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('WebGPU of onnxruntime-node runs a model if it has every kernel, without a fallback', () => {
    for (const others of [[], ['wasm'], ['cpu']]) {
      expect(of('float32', 'webgpu', ...others)).to.deep.include({
        provider: ['webgpu', 'webgpu'],
        fallbacks: [],
        runs: [RELU, RELU, RELU],
      });
    }
  });

  it('WebGPU of onnxruntime-node refuses a model that would run on the CPU alone at the first run, or the next provider runs it', () => {
    expect(of('float64', 'webgpu').runs).to.deep.equal(Array(3).fill('PROVIDER_UNAVAILABLE'));
    for (const next of ['wasm', 'cpu']) {
      const { provider, fallbacks, runs } = of('float64', 'webgpu', next);
      expect(runs).to.deep.equal([RELU, RELU, RELU]);
      expect(provider![1]).to.be.oneOf([next, 'native']);
      expect(fallbacks!.map((one) => one.provider)).to.deep.equal(['webgpu']);
      expect(fallbacks![0]!.reason).to.match(/^ONNX Runtime did not place a node of this model on WebGpu/);
    }
  });

  it('WebGPU of onnxruntime-node runs float16, or the next provider does if the GPU has no float16', () => {
    const alone = of('float16', 'webgpu').runs;
    const hasFloat16 = Array.isArray(alone?.[0]);
    if (!hasFloat16) expect(alone).to.deep.equal(Array(3).fill('PROVIDER_UNAVAILABLE'));
    for (const next of ['wasm', 'cpu']) {
      const { provider, fallbacks, runs } = of('float16', 'webgpu', next);
      expect(runs).to.deep.equal([RELU, RELU, RELU]);
      expect(provider![1]).to.be.oneOf(hasFloat16 ? ['webgpu'] : [next, 'native']);
      if (!hasFloat16)
        expect(fallbacks![0]!.reason).to.include('This GPU does not support float16: add another');
    }
  });

  it('WebGPU of onnxruntime-node leaves no profile behind', () => {
    expect(left).to.deep.equal([]);
  });

  it('WebGPU of onnxruntime-node agrees with PyTorch, with fixed and with symbolic sizes', async () => {
    const cases = ['rank-2', 'rank-3', 'rank-5', 'mean-1e3', 'large-group', 'batch-0', 'no-affine'];
    const files = [
      ...cases.map((name) => fixturePath('group-norm', name)),
      fixturePath('resnet-block', 'identity'),
    ];
    const report = await onSoftwareGpu<Report>('lib/cli/main.ts', [
      'parity',
      ...files,
      '--provider',
      'webgpu',
      '--json',
      '-',
    ]);
    const failed = report.cases.filter(({ passed }) => !passed);
    expect(failed.map(({ file, error }) => [file, error])).to.deep.equal([]);
    expect(report.cases.map(({ provider }) => provider)).to.deep.equal(Array(files.length).fill('webgpu'));
  });
});

describe('the remedy for a failed self-test', () => {
  it('the remedy for a failed self-test is to install cuDNN if cuDNN is missing, and what the provider needs after any other failure', () => {
    expect(remedyFor('cuda', 'dlopen failed for libcudnn.so.9: no such file')).to.match(
      /^install cuDNN 9 for the same CUDA/,
    );
    expect(remedyFor('cuda', 'CUDA failure 999: unknown')).to.match(/^the driver must be as new as CUDA/);
  });

  it('the remedy for a failed self-test depends on the number of a failure of CUDA', () => {
    for (const [reason, remedy] of [
      ['CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version', /driver is older/],
      ['CUDA failure 100: no CUDA-capable device is detected', /^nvidia-smi must list a GPU/],
      ['CUDA failure 803: system has unsupported display driver / cuda driver combination', /^restart/],
    ] as const) {
      expect(remedyFor('cuda', reason)).to.match(remedy);
    }
  });
});
