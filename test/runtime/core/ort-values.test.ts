import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Tensor } from 'onnxruntime-node';
import { fromRuntime, type TensorType, toInfo, toRuntime } from '../../../lib/runtime/core/ort-values.js';
import { tensor } from '../../../lib/tensor.js';

/** onnxruntime-common's Tensor as it is where the engine has Float16Array: it makes one of the bits. */
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

describe('runtime/onnxruntime-values', () => {
  it("takes onnxruntime-web's largest size for a dimension without a name", () => {
    const metadata = { isTensor: true, name: 'x', type: 'float32', shape: [2 ** 32 - 1, 3, 'H'] } as const;
    expect(toInfo(metadata).shape).to.deep.equal(['', 3, 'H']);
  });

  const half = tensor('float16', [2], Uint16Array.of(9, 0x3c00, 0xc000).subarray(1));

  it('hands float16 over as its bits, whether the engine has Float16Array or not', () => {
    for (const TensorClass of [Tensor, NewerTensor as unknown as TensorType]) {
      const { data, dims, type } = toRuntime(TensorClass, half);
      expect(data).to.equal(half.data);
      expect([dims, type]).to.deep.equal([[2], 'float16']);
    }
  });

  it('takes float16 as its bits, whether the runtime gives them as Float16Array or not', () => {
    const { buffer, byteOffset, length } = half.data;
    for (const ArrayType of [Uint16Array, Float16Array]) {
      const data = new ArrayType(buffer as ArrayBuffer, byteOffset, length) as never;
      const result = fromRuntime({ type: 'float16', dims: [2], data } as unknown as Tensor);
      expect(result).to.deep.equal({ dtype: 'float16', dims: [2], data: half.data });
      expect(result.data).to.be.instanceOf(Uint16Array);
    }
  });
});
