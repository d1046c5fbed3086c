/** SharedArrayBuffer, in which threads give each other tensors without a copy. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { convertModel } from '../../../lib/rewrite/convert.js';
import type { SessionOptions } from '../../../lib/runtime/core/contract.js';
import { createSession } from '../../../lib/runtime/node.js';
import { allocate, tensor, tensorBytes, type TensorData } from '../../../lib/tensor.js';
import { decodeSafetensors, encodeSafetensors } from '../../../lib/weights/safetensors.js';
import {
  groupNormModel,
  maxAbsDifference,
  randomTensor,
  referenceGroupNorm,
} from '../../support/group-norm.js';
import { NATIVE_REASON } from '../../support/native.js';

function sharedBytes(bytes: Uint8Array): Uint8Array<SharedArrayBuffer> {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.byteLength));
  copy.set(bytes);
  return copy;
}

function sharedTensor({ dtype, dims, data }: TensorData): TensorData {
  const ArrayType = data.constructor as Float32ArrayConstructor;
  const { buffer } = sharedBytes(tensorBytes({ data }));
  return tensor(dtype, dims, new ArrayType(buffer));
}

/** `groupNorm` asks for onnxruntime-node in place of the native kernel. */
const BACKENDS: Record<string, SessionOptions> = {
  ...(NATIVE_REASON === undefined && { native: { providers: ['native'] } }),
  'onnxruntime-node': { providers: ['cpu'], groupNorm: 'reduce-mean' },
  'onnxruntime-web': { providers: ['wasm'] },
};

const TOLERANCE = { float32: 5e-6, float16: 5e-3, bfloat16: 4e-2 } as const;

describe('shared memory', () => {
  for (const [backend, options] of Object.entries(BACKENDS)) {
    for (const dtype of ['float32', 'float16', 'bfloat16'] as const) {
      it(`a session on ${backend} takes ${dtype} in SharedArrayBuffers: model, input and given output`, async () => {
        const groupNorm = { x: randomTensor(dtype, [2, 4, 3, 5]), numGroups: 2, eps: 1e-5 };
        const model = sharedBytes(groupNormModel(groupNorm, { lowering: 'op', opset: 21 }));
        const session = await createSession(model, options);
        model.fill(0);
        const x = sharedTensor(groupNorm.x);
        const given = sharedTensor(tensor(dtype, x.dims, allocate(dtype, x.data.length)));
        const plain = tensor(dtype, x.dims, allocate(dtype, x.data.length));
        const expected = referenceGroupNorm(groupNorm);
        for (const y of [given, plain]) {
          expect((await session.run({ x }, { outputs: { y } })).y).to.equal(y);
          expect(maxAbsDifference(y, expected)).to.be.below(TOLERANCE[dtype]);
        }
        const made = (await session.run({ x })).y!;
        expect(maxAbsDifference(made, expected)).to.be.below(TOLERANCE[dtype]);
        const small = sharedTensor(tensor(dtype, [1, 4, 3, 5], allocate(dtype, 60)));
        const refusal = await session.run({ x }, { outputs: { y: small } }).catch((error: unknown) => error);
        expect(refusal).to.have.property('code', 'OUTPUT_INVALID');
        await session.dispose();
      });
    }
  }

  it('convertModel and decodeSafetensors read bytes in a SharedArrayBuffer', () => {
    const x = randomTensor('float32', [2, 4, 3, 5]);
    const model = groupNormModel({ x, numGroups: 2, eps: 1e-5 }, { lowering: 'op', opset: 21 });
    expect(convertModel(sharedBytes(model)).bytes).to.deep.equal(convertModel(model).bytes);
    const file = sharedBytes(Buffer.concat(encodeSafetensors({ tensors: [['x', x]] })));
    expect(decodeSafetensors(file).tensors.get('x')!.data).to.deep.equal(x.data);
  });
});
