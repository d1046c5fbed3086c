import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { TensorError } from '../lib/errors.js';
import {
  castTensor,
  filledTensor,
  fromBfloat16Bits,
  fromFloat16Bits,
  toBfloat16Bits,
  toFloat16Bits,
  toFloat64Array,
} from '../lib/half.js';
import { DTYPES, tensor, type FloatDType } from '../lib/tensor.js';

const PATTERNS = Array.from({ length: 65536 }, (_, bits) => bits);

const FORMATS = [
  {
    name: 'float16',
    from: fromFloat16Bits,
    to: toFloat16Bits,
    infinity: 0x7c00,
    // numpy 2.4.6: sha256 of arange(65536, dtype='<u2').view('<f2').astype('<f4'), NaN as 0x7fc00000
    decoded: '385ff5fe69182797cda5f1827e20cf423f4416bc9246f27d0eec27cac9039259',
    // numpy 2.4.6: sha256 of every 9973rd float32 that is not NaN, .astype('<f2')
    encoded: '5f80bc7dfff34fbd0a23a8c2714213f302244dd7b8ab9fd99a9cf4077808400e',
  },
  {
    name: 'bfloat16',
    from: fromBfloat16Bits,
    to: toBfloat16Bits,
    infinity: 0x7f80,
    // torch 2.13.0: the same with .view(torch.bfloat16).float() and .to(torch.bfloat16)
    decoded: 'f12e27efe34841dfd6391497b86f389096b03a376586e1d9691bba0a8de3980a',
    encoded: '4c5135638b2571c3fb0caf61cd7d7ab595bafd33029385a1b58da4e8bdd1ee43',
  },
];

describe('a filled tensor', () => {
  it('filledTensor holds one number, in any dtype and shape', () => {
    for (const dtype of DTYPES) {
      const ones = filledTensor(dtype, [2, 3], 1);
      expect(ones).to.deep.include({ dtype, dims: [2, 3] });
      expect([...toFloat64Array(ones)]).to.deep.equal(Array(6).fill(1));
    }
    expect(filledTensor('int64', [], -3).data).to.deep.equal(BigInt64Array.of(-3n));
    expect(filledTensor('bfloat16', [0], 1).data).to.have.length(0);
  });
});

for (const { name, from, to, infinity, decoded, encoded } of FORMATS) {
  describe(`${name} bits`, () => {
    const isNaNPattern = (bits: number): boolean => (bits & 0x7fff) > infinity;

    it(`${name} bits stand for the number that NumPy and PyTorch read, in all 65,536 patterns`, () => {
      const words = new Uint32Array(Float32Array.from(PATTERNS, from).buffer);
      for (const bits of PATTERNS) if (isNaNPattern(bits)) words[bits] = 0x7fc00000;
      expect(sha256(words)).to.equal(decoded);
    });

    it(`${name} bits come back from their number, and NaN as a NaN`, () => {
      const comesBack = (bits: number): boolean => {
        const back = to(from(bits));
        return isNaNPattern(bits) ? isNaNPattern(back) : back === bits;
      };
      expect(PATTERNS.filter((bits) => !comesBack(bits))).to.deep.equal([]);
    });

    it(`${name} bits are the bits to which NumPy and PyTorch round 428,978 float32 numbers`, () => {
      const words = Uint32Array.from({ length: Math.ceil(2 ** 32 / 9973) }, (_, i) => i * 9973);
      const numbers = new Float32Array(words.buffer).filter((number) => !Number.isNaN(number));
      expect(numbers.length).to.equal(428978);
      expect(sha256(Uint16Array.from(numbers, to))).to.equal(encoded);
      // A cast works on the bits.
      const dtype = name as FloatDType;
      const cast = castTensor(tensor('float32', [numbers.length], numbers), dtype);
      expect(sha256(cast.data as Uint16Array)).to.equal(encoded);
      const nan = castTensor(tensor('float32', [1], Float32Array.of(NaN)), dtype).data[0]!;
      expect(isNaNPattern(Number(nan))).to.be.true;
      const back = castTensor(tensor(dtype, [65536], Uint16Array.from(PATTERNS)), 'float32').data;
      expect(PATTERNS.filter((bits) => !Object.is(back[bits], from(bits)))).to.deep.equal([]);
    });

    it(`${name} rounds a tie to even, and a float64 beside the tie to its nearest`, () => {
      // Between neighbours, subnormal or not; the last pair has the largest number, whose neighbour is infinity.
      const roundsWell = (below: number): boolean => {
        const above = below + 1;
        const beyond = above === infinity ? 2 * from(below) - from(below - 1) : from(above);
        const tie = (from(below) + beyond) / 2;
        return [1, -1].every((sign) => {
          const signBit = sign < 0 ? 0x8000 : 0;
          const around = [neighbour(tie, -1n), tie, neighbour(tie, 1n)].map((number) => to(sign * number));
          const expected = [below, below % 2 === 0 ? below : above, above].map((bits) => signBit | bits);
          return around.every((bits, i) => bits === expected[i]);
        });
      };
      expect(PATTERNS.slice(0, infinity).filter((below) => !roundsWell(below))).to.deep.equal([]);
    });

    it(`${name} keeps the sign of zero and of infinity, and overflows to infinity`, () => {
      expect([0, -0, Infinity, -Infinity, 1e308, -1e308].map(to)).to.deep.equal([
        0,
        0x8000,
        infinity,
        0x8000 | infinity,
        infinity,
        0x8000 | infinity,
      ]);
      expect(from(0x8000)).to.equal(-0);
    });

    it(`${name} rounds the least float64 to zero`, () => {
      expect([5e-324, -5e-324].map(to)).to.deep.equal([0, 0x8000]);
    });
  });
}

describe('castTensor', () => {
  it('castTensor rounds float64 to bfloat16 once, not by way of float32', () => {
    // Above the tie by less than float32 can hold: rounding twice would give the even 0x3f80.
    const source = tensor('float64', [2], Float64Array.of(1 + 2 ** -8 + 2 ** -40, 1 + 2 ** -8));
    expect(castTensor(source, 'bfloat16').data).to.deep.equal(Uint16Array.of(0x3f81, 0x3f80));
  });

  it('castTensor rounds float64 to float16 once, not by way of float32', () => {
    const source = tensor('float64', [2], Float64Array.of(1 + 2 ** -11 + 2 ** -40, 1 + 2 ** -11));
    expect(castTensor(source, 'float16').data).to.deep.equal(Uint16Array.of(0x3c01, 0x3c00));
  });

  it('castTensor keeps every value if the result is wider', () => {
    const half = tensor('float16', [4], Uint16Array.of(0x3555, 0x0001, 0xfc00, 0x8000));
    const values = [0.333251953125, 2 ** -24, -Infinity, -0];
    expect(castTensor(half, 'float32').data).to.deep.equal(Float32Array.from(values));
    expect(castTensor(half, 'float64').data).to.deep.equal(Float64Array.from(values));
    expect(castTensor(tensor('bfloat16', [1], Uint16Array.of(0x3eab)), 'float32').data[0]).to.equal(
      0.333984375,
    );
  });

  it('castTensor converts between the two 16-bit floats', () => {
    const half = tensor('float16', [2], Uint16Array.of(0x7bff, 0x0001));
    expect(castTensor(half, 'bfloat16').data).to.deep.equal(Uint16Array.of(0x4780, 0x3380));
    const brain = tensor('bfloat16', [2], Uint16Array.of(0x4780, 0x3eab));
    expect(castTensor(brain, 'float16').data).to.deep.equal(Uint16Array.of(0x7c00, 0x3558));
  });

  it('castTensor keeps the shape, and returns the tensor itself if its dtype is right', () => {
    const source = tensor('float32', [2, 1], Float32Array.of(1, 2));
    expect(castTensor(source, 'float16').dims).to.deep.equal([2, 1]);
    expect(castTensor(source, 'float32')).to.equal(source);
  });

  it('castTensor refuses a dtype that is not a float', () => {
    const source = tensor('int32', [1], Int32Array.of(1));
    expect(() => castTensor(source, 'float32')).to.throw(TensorError, 'cannot cast int32 to float32');
    const float = tensor('float32', [1], Float32Array.of(1));
    expect(() => castTensor(float, 'int8' as FloatDType)).to.throw(TensorError, 'both must be floats');
  });
});

describe('toFloat64Array', () => {
  it('toFloat64Array reads the numbers of every dtype', () => {
    expect(toFloat64Array(tensor('float16', [1], Uint16Array.of(0xc080)))).to.deep.equal(
      Float64Array.of(-2.25),
    );
    expect(toFloat64Array(tensor('bfloat16', [1], Uint16Array.of(0xc010)))).to.deep.equal(
      Float64Array.of(-2.25),
    );
    expect(toFloat64Array(tensor('float32', [1], Float32Array.of(0.1)))[0]).to.equal(0.10000000149011612);
    expect(toFloat64Array(tensor('int64', [2], BigInt64Array.of(-3n, 2n ** 53n)))).to.deep.equal(
      Float64Array.of(-3, 2 ** 53),
    );
    expect(toFloat64Array(tensor('bool', [2], Uint8Array.of(0, 1)))).to.deep.equal(Float64Array.of(0, 1));
  });
});

const sha256 = (data: Uint16Array | Uint32Array): string =>
  createHash('sha256')
    .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    .digest('hex');

const float64 = new Float64Array(1);
const bits64 = new BigInt64Array(float64.buffer);

/** The next float64 above a positive number, or below it. */
function neighbour(value: number, step: bigint): number {
  float64[0] = value;
  bits64[0] = bits64[0]! + step;
  return float64[0];
}
