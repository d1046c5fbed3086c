import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { Tensor } from 'onnxruntime-common';
import { fromOrtTensor } from '../../../lib/runtime/core/ort-model.js';
import { tensor } from '../../../lib/tensor.js';

class Float16Array extends Int16Array {}

describe('runtime/core/ort-model', () => {
  it('fromOrtTensor returns float16 as its bits, whether the runtime gives them as Float16Array or not', () => {
    const half = tensor('float16', [2], Uint16Array.of(9, 0x3c00, 0xc000).subarray(1));
    const { buffer, byteOffset, length } = half.data;
    for (const ArrayType of [Uint16Array, Float16Array]) {
      const data = new ArrayType(buffer as ArrayBuffer, byteOffset, length) as never;
      const result = fromOrtTensor({ type: 'float16', dims: [2], data } as unknown as Tensor);
      expect(result).to.deep.equal({ dtype: 'float16', dims: [2], data: half.data });
      expect(result.data).to.be.instanceOf(Uint16Array);
    }
  });
});
