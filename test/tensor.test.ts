import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { TensorError } from '../lib/errors.js';
import { toFloat64Array } from '../lib/half.js';
import { ulpDistance } from '../lib/parity/compare.js';
import {
  allocate,
  bytesPerElement,
  copyTensor,
  type DType,
  DTYPES,
  elementCount,
  formatShape,
  type HalfArray,
  isFloatDType,
  isStatic,
  tensor,
  tensorBytes,
  type TensorData,
  tensorFromBytes,
} from '../lib/tensor.js';

describe('dtypes', () => {
  it('DTYPES have the width of their name, and bool one byte', () => {
    for (const dtype of DTYPES) {
      expect(bytesPerElement(dtype), dtype).to.equal(
        dtype === 'bool' ? 1 : Number(/\d+/.exec(dtype)![0]) / 8,
      );
      expect(allocate(dtype, 3).byteLength, dtype).to.equal(3 * bytesPerElement(dtype));
    }
  });

  it('isFloatDType is true of the four floats only', () => {
    expect(DTYPES.filter(isFloatDType)).to.deep.equal(['float32', 'float64', 'float16', 'bfloat16']);
  });
});

describe('shapes', () => {
  it('elementCount is the product of the dimensions, and 1 for a scalar', () => {
    expect([[], [0], [3], [2, 3, 4], [5, 0]].map(elementCount)).to.deep.equal([1, 0, 3, 24, 0]);
  });

  it('elementCount is Infinity for a product above 2^53, so that it never passes for a size', () => {
    const huge = 2 ** 52;
    expect(
      [
        [huge, 1],
        [huge, 2],
        [huge, huge, huge],
      ].map(elementCount),
    ).to.deep.equal([huge, Infinity, Infinity]);
    expect(elementCount([...Array<number>(30).fill(huge), 0])).to.equal(0);
  });

  it('formatShape writes shapes as ONNX users do', () => {
    expect(formatShape(['N', 4, 8])).to.equal('[N, 4, 8]');
    expect(formatShape([])).to.equal('[]');
    expect(formatShape(['', 4, ''])).to.equal('[?, 4, ?]');
  });

  it('isStatic is true if every dimension is a number', () => {
    expect([[], [1, 2], ['N', 2]].map(isStatic)).to.deep.equal([true, true, false]);
  });
});

describe('tensor', () => {
  it('tensor keeps the data, and a copy of the dimensions', () => {
    const dims = [2];
    const data = Float32Array.of(1, 2);
    const made = tensor('float32', dims, data);
    dims[0] = 3;
    expect(made).to.deep.equal({ dtype: 'float32', dims: [2], data });
    expect(made.data).to.equal(data);
  });

  it('tensor refuses data of another type', () => {
    // @ts-expect-error: an array of another dtype.
    expect(() => tensor('float16', [1], Float32Array.of(1))).to.throw(
      TensorError,
      /^a float16 tensor needs its data as Uint16Array( \(its bits\) or Float16Array)?, not Float32Array$/,
    );
  });

  describe('tensor of float16 from a Float16Array (here a stand-in class)', () => {
    class Float16Array extends Int16Array {
      override get [Symbol.toStringTag](): never {
        return 'Float16Array' as never;
      }
    }
    const engine = globalThis as { Float16Array?: unknown };
    const own = engine.Float16Array;
    before(() => (engine.Float16Array = Float16Array));
    after(() => {
      if (own === undefined) delete engine.Float16Array;
      else engine.Float16Array = own;
    });
    const data = new Float16Array([9, 0x3c00, -0x4000]).subarray(1) as unknown as HalfArray;

    it('tensor of a Float16Array has its bits, in the same memory', () => {
      const made = tensor('float16', [2], data);
      expect(made.data).to.deep.equal(Uint16Array.of(0x3c00, 0xc000));
      expect(made.data).to.have.property('buffer', data.buffer);
      expect(made.data.byteOffset).to.equal(2);
    });

    it('tensor of a Float16Array has its values, its size, and no other dtype', () => {
      const byHand = { dtype: 'float16', dims: [2], data } as unknown as TensorData;
      expect(toFloat64Array(byHand)).to.deep.equal(Float64Array.of(1, -2));
      expect(ulpDistance(byHand, tensor('float16', [2], Uint16Array.of(0x3c01, 0xc000)))).to.equal(1);
      expect(() => tensor('float16', [3], data)).to.throw(
        TensorError,
        'holds 3 elements, but the data has 2',
      );
      // @ts-expect-error: a Float16Array is of float16 alone.
      expect(() => tensor('bfloat16', [2], data)).to.throw(TensorError, 'needs its data as Uint16Array');
    });
  });

  it('tensor refuses data of another length', () => {
    expect(() => tensor('int8', [2, 2], new Int8Array(3))).to.throw(
      TensorError,
      'shape [2, 2] holds 4 elements, but the data has 3',
    );
  });

  it('tensor refuses dimensions that are negative, fractional or huge', () => {
    for (const dims of [[-1, -1], [0.5, 2], [2 ** 53, 0], [NaN]]) {
      expect(() => tensor('int8', dims, new Int8Array(1)), String(dims)).to.throw(
        TensorError,
        'dimensions must be',
      );
    }
  });

  it('tensor refuses an unknown dtype, also a name that objects inherit', () => {
    for (const dtype of ['float8', 'constructor', 'toString', '']) {
      expect(() => tensor(dtype as DType, [1], new Uint8Array(1)), dtype).to.throw(
        TensorError,
        `unknown dtype '${dtype}'; allowed: float32,`,
      );
    }
  });
});

describe('tensorFromBytes', () => {
  const bytes = Uint8Array.of(0xff, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0);

  it('tensorFromBytes returns a view of aligned bytes', () => {
    const aligned = bytes.slice(1);
    const { data } = tensorFromBytes('float32', [2], aligned);
    expect(data).to.deep.equal(Float32Array.of(1, -2));
    expect(data.buffer).to.equal(aligned.buffer);
  });

  it('tensorFromBytes copies bytes that are not aligned, also of a Node Buffer', () => {
    expect(tensorFromBytes('float32', [2], bytes.subarray(1)).data).to.deep.equal(Float32Array.of(1, -2));
    const buffer = Buffer.from(bytes).subarray(1);
    expect(tensorFromBytes('float32', [2], buffer).data).to.deep.equal(Float32Array.of(1, -2));
  });

  it('tensorFromBytes takes every byte but 0 for true', () => {
    const source = Uint8Array.of(0, 1, 2, 255);
    expect(tensorFromBytes('bool', [4], source).data).to.deep.equal(Uint8Array.of(0, 1, 1, 1));
    expect(tensorFromBytes('uint8', [4], source).data).to.deep.equal(Uint8Array.of(0, 1, 2, 255));
  });

  it('tensorFromBytes reads a scalar and an empty tensor', () => {
    expect(tensorFromBytes('float32', [], bytes.subarray(1, 5)).data).to.deep.equal(Float32Array.of(1));
    expect(tensorFromBytes('int64', [0, 3], bytes.subarray(1, 1)).data).to.deep.equal(new BigInt64Array(0));
  });

  it('tensorFromBytes refuses bytes that do not match the shape', () => {
    expect(() => tensorFromBytes('float32', [2], bytes)).to.throw(
      TensorError,
      'a float32 tensor of shape [2] takes 8 bytes, not 9',
    );
    expect(() => tensorFromBytes('int8', [-3, -3], bytes)).to.throw(TensorError, 'dimensions must be');
  });
});

describe('copyTensor', () => {
  it('copyTensor copies a Buffer, whose own slice is a view, and shared memory', () => {
    for (const data of [Buffer.from([1, 2]), new Uint8Array(new SharedArrayBuffer(2))]) {
      const original = tensor('uint8', [2], data);
      const copy = copyTensor(original);
      expect([...copy.data]).to.deep.equal([...data]);
      expect(copy.data.buffer).to.be.instanceOf(ArrayBuffer).and.not.equal(data.buffer);
      data.fill(9);
      expect([...copy.data]).not.to.include(9);
    }
  });
});

describe('tensorBytes', () => {
  it('tensorBytes returns the elements little-endian, without a copy', () => {
    const data = Uint16Array.of(9, 0x0102, 0x0304).subarray(1);
    const bytes = tensorBytes(tensor('uint16', [2], data));
    expect(bytes).to.deep.equal(Uint8Array.of(2, 1, 4, 3));
    expect(bytes.buffer).to.equal(data.buffer);
  });

  it('tensorBytes and tensorFromBytes make the same tensor again', () => {
    for (const dtype of DTYPES) {
      const original = tensor(dtype, [2, 1], allocate(dtype, 2));
      expect(tensorFromBytes(dtype, [2, 1], tensorBytes(original)), dtype).to.deep.equal(original);
    }
  });
});
