import { expect } from 'chai';
import { describe, it } from 'mocha';
import { SessionError } from '../../../lib/errors.js';
import { GraphBuilder, type Scope } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import type { Value } from '../../../lib/graph/types.js';
import { createSession, encodeModel, tensor } from '../../../lib/index.js';
import {
  canFallBackAfterLoad,
  canFallBackAfterRun,
  withTypedErrors,
} from '../../../lib/runtime/core/errors.js';
import { rejection } from '../../support/temporary.js';

/** As ONNX Runtime's CUDA provider says it. */
const FAILURES: Record<string, [said: string, code: string, wayOut: RegExp, otherProviderMay: boolean]> = {
  "CUDA's memory is used up": [
    'CUDA failure 2: out of memory ; GPU=0 ; hostname=vm ; expr=cudaMalloc((void**)&p, size);',
    'OUT_OF_MEMORY',
    /smaller batches or tiles/,
    true,
  ],
  "the arena's memory is used up": [
    'BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 1073741824',
    'OUT_OF_MEMORY',
    /smaller batches or tiles/,
    true,
  ],
  'WebAssembly cannot count the elements': [
    'op_kernel.cc:83 OutputMLValue : 2 : INVALID_ARGUMENT : Tensor shape is too large',
    'OUT_OF_MEMORY',
    /smaller batches or tiles/,
    true,
  ],
  "CUBLAS's memory is used up": [
    'CUBLAS failure 3: the resource allocation failed ; GPU=0',
    'OUT_OF_MEMORY',
    /smaller batches or tiles/,
    true,
  ],
  'an operator has no kernel': [
    'NOT_IMPLEMENTED : Could not find an implementation for Erf(13) node with name gelu',
    'MODEL_REJECTED',
    /Neither this provider nor the CPU has a kernel for that operator in that dtype: add another provider/,
    true,
  ],
  "ONNX Runtime's optimizer wrote its own GroupNorm": [
    "Could not find an implementation for GroupNorm(1) node with name 'norm'",
    'MODEL_REJECTED',
    /Use the model as it was before the optimization: its GroupNormalization runs on every provider/,
    true,
  ],
  // The two texts are those of cudnn_loader.cc, of ONNX Runtime 1.29.
  'cuDNN cannot be loaded': [
    'dlopen failed for libcudnn.so: libcudnn.so: cannot open shared object file: No such file or directory',
    'MODEL_REJECTED',
    /To do: install cuDNN 9/,
    true,
  ],
  'cuDNN is looked for in vain, by ONNX Runtime 1.30': [
    'cuda_kernel.h:296 RequireCudnnHandle [ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : cuDNN is unavailable or disabled ' +
      'for CUDA Execution Provider: dlopen failed for libcudnn.so: libcudnn.so: cannot open shared object file: ' +
      'No such file or directory\n',
    'MODEL_REJECTED',
    /No such file or directory\. To do: install cuDNN 9/,
    true,
  ],
  'cuDNN is missing': [
    'cuDNN is not available. Install cuDNN, update the system library search path, or set enable_cudnn=0 to force ' +
      'native CUDA paths where available',
    'MODEL_REJECTED',
    /To do: install cuDNN 9/,
    true,
  ],
  "the GPU has no float16 for WebGPU's shaders": [
    'shader_helper.cc:416 GenerateSourceCode Program Cast requires f16 but the device does not support it.',
    'PROVIDER_UNAVAILABLE',
    /This GPU does not support float16: add another provider/,
    true,
  ],
  'a browser loses the GPU in a run': [
    "Failed to download data from buffer. wgpu::MapAsyncStatus value: 4, message: Failed to execute 'mapAsync' on " +
      "'GPUBuffer': The Device was lost before mapping was resolved",
    'PROVIDER_UNAVAILABLE',
    /The browser has lost the GPU, .* add another provider/,
    true,
  ],
  "a browser's process for the GPU ends in a run": [
    'Failed to create a WebGPU compute pipeline: A valid external Instance reference no longer exists',
    'PROVIDER_UNAVAILABLE',
    /The browser has lost the GPU, .* add another provider/,
    true,
  ],
  "onnxruntime-web's files are not where it looks for them": [
    'no available backend found. ERR: [wasm] TypeError: Failed to fetch dynamically imported module: /x.mjs',
    'PROVIDER_UNAVAILABLE',
    /name their folder with setRuntimeFolder/,
    true,
  ],
  'Jest refuses the import() of onnxruntime-web': [
    'no available backend found. ERR: [wasm] TypeError [ERR_VM_DYNAMIC_IMPORT_CALLBACK_MISSING_FLAG]: A dynamic import ' +
      'callback was invoked without --experimental-vm-modules',
    'PROVIDER_UNAVAILABLE',
    /set NODE_OPTIONS=--experimental-vm-modules, or use provider 'native'/,
    true,
  ],
  'onnxruntime-node makes its results in another realm': [
    "A float32 tensor's data must be type of function Float32Array() { [native code] }",
    'PROVIDER_UNAVAILABLE',
    /In Jest use provider 'native', .* or a testEnvironment that shares Node's arrays/,
    true,
  ],
  'the device fails': [
    'CUDA failure 700: an illegal memory access was encountered ; GPU=0',
    'MODEL_REJECTED',
    /illegal memory access/,
    true,
  ],
  'the model is wrong': [
    'Type Error: x has an unsupported type',
    'MODEL_REJECTED',
    /unsupported type/,
    false,
  ],
};

/** A pyramid that halves its input, doubles it again, and joins both, which fit together only for even sizes. */
function pyramid(join: (g: Scope, a: Value, b: Value) => Value): Uint8Array {
  const g = new GraphBuilder('pyramid');
  const x = g.input('x', 'float32', ['N', 1, 'H', 'W']);
  const half = op.maxPool(g, x, { kernelShape: [2, 2], strides: [2, 2] });
  g.output('y', join(g.scope('top'), x, op.resize(g, half, { scales: [1, 1, 2, 2], mode: 'nearest' })));
  return encodeModel(g.build(), new Map());
}

describe('runtime/core/errors', () => {
  for (const [what, [said, code, wayOut, otherProviderMay]] of Object.entries(FAILURES)) {
    it(`an error is ${code} if ${what}`, async () => {
      const error = await rejection(
        withTypedErrors('MODEL_REJECTED', 'model', () => Promise.reject(new Error(said))),
      );
      expect(error).to.be.instanceOf(SessionError).with.property('code', code);
      expect((error as SessionError).message)
        .to.match(wayOut)
        .and.include(said.replace(/\.?\s*$/, ''))
        .and.not.match(/\n/);
      expect(((error as SessionError).cause as Error).message).to.equal(said);
      expect(canFallBackAfterLoad(error)).to.equal(otherProviderMay);
    });
  }

  for (const [operator, model] of [
    ['Concat', pyramid((g, a, b) => op.concat(g, [a, b], { axis: 1 }))],
    ['Add', pyramid((g, a, b) => op.add(g, a, b))],
  ] as const) {
    it(`a run names the ${operator} that gets tensors of unequal sizes, and what to do`, async () => {
      for (const provider of ['cpu', 'wasm'] as const) {
        await using session = await createSession(model, { providers: [provider] });
        const x = tensor('float32', [1, 1, 5, 4], new Float32Array(20));
        const error = await rejection(session.run({ x }));
        expect(error).to.be.instanceOf(SessionError).with.property('code', 'RUN_FAILED');
        expect((error as SessionError).message).to.match(
          new RegExp(
            `: (?:${operator} '/top/${operator}'|a node) gets tensors of unequal sizes, [45] and [45]\\. Check the sizes`,
          ),
        );
      }
    });
  }

  it('canFallBackAfterRun is true if the provider lacks something, and false if memory or a device fails', async () => {
    const failed = (said: string) =>
      rejection(withTypedErrors('RUN_FAILED', 'run', () => Promise.reject(new Error(said))));
    const lacking = [
      'cuDNN cannot be loaded',
      'cuDNN is looked for in vain, by ONNX Runtime 1.30',
      'cuDNN is missing',
      "the GPU has no float16 for WebGPU's shaders",
      "onnxruntime-web's files are not where it looks for them",
      'Jest refuses the import() of onnxruntime-web',
      'onnxruntime-node makes its results in another realm',
      'a browser loses the GPU in a run',
      "a browser's process for the GPU ends in a run",
    ];
    for (const [what, [said]] of Object.entries(FAILURES)) {
      const expected = [
        ...lacking,
        'an operator has no kernel',
        "ONNX Runtime's optimizer wrote its own GroupNorm",
      ].includes(what);
      expect(canFallBackAfterRun(await failed(said)), what).to.equal(expected);
    }
    expect(canFallBackAfterRun(new SessionError('PROVIDER_UNAVAILABLE', 'no node was placed'))).to.equal(
      true,
    );
    expect(canFallBackAfterRun(new Error('cuDNN is not available'))).to.equal(false);
  });

  it('withTypedErrors passes errors of this library through', async () => {
    const own = new SessionError('PROVIDER_UNAVAILABLE', 'not here');
    expect(await rejection(withTypedErrors('RUN_FAILED', 'run', () => Promise.reject(own)))).to.equal(own);
  });
});
