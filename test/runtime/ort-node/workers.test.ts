/** onnxruntime-node in worker threads. Each case is a process of its own. */
import { expect } from 'chai';
import { before, describe, it } from 'mocha';
import type { ExecFileException } from 'node:child_process';
import type { ProviderFallback } from '../../../lib/runtime/core/contract.js';
import { runProgram } from '../../support/program.js';

const PROGRAMS = new URL('programs.ts', import.meta.url);
/** `cpu` is then onnxruntime-node. */
const WITHOUT_KERNEL = { ONNX_GROUPNORM_ADDON: 'skip' };

interface Reported {
  readonly refusal: { readonly code: string; readonly message: string };
  readonly second: { readonly provider: string; readonly fallbacks: readonly ProviderFallback[] };
  readonly allowed: string;
}

describe('runtime/ort-node: workers', function () {
  this.timeout(60_000);

  let reported: Reported;
  before(async () => {
    const { stdout } = await runProgram(PROGRAMS, 'createInWorker', { env: WITHOUT_KERNEL });
    reported = JSON.parse(stdout) as Reported;
  });

  it('createSession refuses cpu in a worker without the native kernel, with the ways out, and tries the next provider', () => {
    const { refusal, second } = reported;
    expect(refusal.code).to.equal('PROVIDER_UNAVAILABLE');
    expect(second.provider).to.equal('wasm');
    expect(second.fallbacks.map(({ provider }) => provider)).to.deep.equal(['cpu']);
    for (const text of [refusal.message, second.fallbacks[0]!.reason]) {
      expect(text).to.include('ONNX_GROUPNORM_ADDON=skip is set').and.include('aborts the process');
      expect(text).to.include("providers: ['wasm']").and.include('allowInWorker: true');
    }
  });

  it('createSession takes cpu in a worker with allowInWorker, and the worker ends by itself', () => {
    expect(reported.allowed).to.equal('cpu');
  });

  it('the process lives on when a worker is terminated in a run on wasm', async () => {
    const { stdout } = await runProgram(PROGRAMS, 'terminateInRunOfCpuOrWasm', { env: WITHOUT_KERNEL });
    expect(stdout.trim()).to.equal('wasm');
  });

  it('onnxruntime-node by itself aborts the process; if this fails, remove workerProblem', async () => {
    const ended = await runProgram(PROGRAMS, 'terminateInRunOfOrt').catch((error: unknown) => error);
    expect(ended).to.be.an.instanceof(Error);
    expect((ended as ExecFileException).stderr).to.include('Napi::Error');
  });
});
