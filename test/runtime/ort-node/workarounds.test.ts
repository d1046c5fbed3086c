import { expect } from 'chai';
import { describe, it } from 'mocha';
import { setImmediate } from 'node:timers/promises';
import { Tensor } from 'onnxruntime-node';
import type { TensorType } from '../../../lib/runtime/core/ort-model.js';
import {
  commandLineProblem,
  tf32Problem,
  toNodeTensor,
  warnOfWorker,
} from '../../../lib/runtime/ort-node/workarounds.js';
import { tensor } from '../../../lib/tensor.js';
import { runProgram } from '../../support/program.js';

const PROGRAMS = new URL('programs.ts', import.meta.url);

describe('runtime/ort-node/workarounds: the command line', () => {
  it('commandLineProblem names the length and the way out, beyond the safe length', () => {
    expect(commandLineProblem(100, 100, undefined)).to.equal(undefined);
    expect(commandLineProblem(101, 100, undefined)).to.match(
      /101 bytes long; .*longer than about 100 bytes\. .*a folder instead of its files/,
    );
    expect(commandLineProblem(101, 100, '1')).to.equal(undefined);
  });

  const run = async (env: NodeJS.ProcessEnv) => {
    const options = { args: ['x'.repeat(40_000)], env };
    const { stdout } = await runProgram(PROGRAMS, 'createWithAndWithoutWasm', options);
    return JSON.parse(stdout) as [string?, string?, string?];
  };

  it('a command line of 40,000 bytes is refused on Linux, where it would end the process, and wasm runs', async function () {
    if (process.platform !== 'linux') return this.skip();
    const [code, message, provider] = await run({ ORT_DISABLE_TELEMETRY: '' });
    expect([code, provider]).to.deep.equal(['PROVIDER_UNAVAILABLE', 'wasm']);
    expect(message).to.match(/command line of this process is 4\d,?\d+ bytes long/);
    expect(message).to.include('ORT_DISABLE_TELEMETRY=1').and.include("providers: ['wasm']");
  }).timeout(60_000);

  it('a command line of 40,000 bytes is accepted with ORT_DISABLE_TELEMETRY=1', async () => {
    const [code, , provider] = await run({ ORT_DISABLE_TELEMETRY: '1' });
    expect(code).to.equal(null);
    expect(provider).to.be.oneOf(['native', 'cpu']);
  }).timeout(60_000);
});

/** onnxruntime-common's Tensor in an engine with Float16Array: it makes a Float16Array of the bits. */
class Float16Array extends Int16Array {}
class NewerTensor {
  declare readonly data: unknown;

  constructor(
    readonly type: string,
    data: Uint16Array,
    readonly dims: readonly number[],
  ) {
    // A property of the prototype, as there.
    Object.setPrototypeOf(this, {
      get data() {
        return new Float16Array(data.buffer as ArrayBuffer, data.byteOffset, data.length);
      },
    });
  }
}

describe('runtime/ort-node/workarounds: float16', () => {
  const half = tensor('float16', [2], Uint16Array.of(9, 0x3c00, 0xc000).subarray(1));

  it('toNodeTensor passes float16 as its bits, whether the engine has Float16Array or not', () => {
    for (const TensorClass of [Tensor, NewerTensor as unknown as TensorType]) {
      const { data, dims, type } = toNodeTensor(TensorClass, half);
      expect(data).to.equal(half.data);
      expect([dims, type]).to.deep.equal([[2], 'float16']);
    }
  });
});

describe('runtime/ort-node/workarounds: TF32', () => {
  it('tf32Problem says that CUDA rounds float32, unless NVIDIA_TF32_OVERRIDE is set', () => {
    expect(tf32Problem({})!.reason).to.include('TF32');
    expect(tf32Problem({})!.remedy).to.match(/^set NVIDIA_TF32_OVERRIDE=0 .* before the process starts/);
    for (const value of ['0', '1']) expect(tf32Problem({ NVIDIA_TF32_OVERRIDE: value })).to.equal(undefined);
  });

  it('warnOfWorker warns once in a worker, with a code, and not in the main thread', async () => {
    const warnings: (string | undefined)[] = [];
    const listener = ({ code }: NodeJS.ErrnoException) => void warnings.push(code);
    process.on('warning', listener);
    for (const isWorker of [false, true, true]) warnOfWorker(isWorker);
    await setImmediate();
    process.off('warning', listener);
    expect(warnings).to.deep.equal(['ONNX_GROUPNORM_WORKER']);
  });

  it('warnOfTf32 warns once in a process, with a code, and sets no variable', async () => {
    const { stdout } = await runProgram(PROGRAMS, 'warnTwiceOfTf32');
    expect(stdout.trim()).to.equal('ONNX_GROUPNORM_TF32 undefined');
  }).timeout(30_000);
});
