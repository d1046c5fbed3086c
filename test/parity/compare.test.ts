import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ParityError } from '../../lib/errors.js';
import { compareTensors, defaultTolerance } from '../../lib/parity/compare.js';
import { tensor, type TensorData } from '../../lib/tensor.js';

const floats = (values: number[], dims = [values.length]): TensorData =>
  tensor('float32', dims, Float32Array.from(values));
const doubles = (...values: number[]): TensorData =>
  tensor('float64', [values.length], Float64Array.from(values));
const exact = { rtol: 0, atol: 0 };

describe('compareTensors', () => {
  it('an element at the bound atol + rtol·|expected| passes, and the next float beyond it fails', () => {
    // 8 · 2^-3 + 1 = 2, all exact.
    const tolerance = { rtol: 0.125, atol: 1 };
    expect(compareTensors('y', doubles(10), doubles(8), tolerance).passed).to.equal(true);
    expect(compareTensors('y', doubles(10 + 2 ** -49), doubles(8), tolerance).passed).to.equal(false);
  });

  it('the relative difference is relative to the expected value, not to the actual one', () => {
    expect(compareTensors('y', doubles(2), doubles(1), { rtol: 0.75, atol: 0 }).passed).to.equal(false);
    expect(compareTensors('y', doubles(1), doubles(2), { rtol: 0.75, atol: 0 }).passed).to.equal(true);
  });

  it('a comparison has the values of the worst element, and how much of its tolerance it uses', () => {
    const [actual, expected] = [doubles(1, 4, 1e-9), doubles(1, 2, -1e-9)];
    // Allowed are 1.5, 2 and 1: the second element uses all of it, the third, far off in ULP, nearly none.
    const result = compareTensors('y', actual, expected, { rtol: 0.5, atol: 1 });
    expect(result).to.deep.include({ passed: true, worstIndex: [1], worstActual: 4, worstExpected: 2 });
    expect(result.toleranceUsed).to.equal(1);
    const near = compareTensors('y', doubles(1e-9), doubles(-1e-9), { rtol: 0, atol: 1 });
    expect(near.maxUlp).to.be.above(1e18);
    expect(near.toleranceUsed).to.equal(2e-9);
    const none = compareTensors('y', doubles(), doubles(), exact);
    expect(none).to.include({ worstActual: null, worstExpected: null, toleranceUsed: 0 });
    expect(compareTensors('y', doubles(1), doubles(2), exact).toleranceUsed).to.equal(Infinity);
  });

  it('NaN equals NaN and no number', () => {
    const result = compareTensors('y', floats([NaN, NaN, 1]), floats([NaN, 1, NaN]), { rtol: 1, atol: 1 });
    expect([result.passed, result.mismatched, result.maxAbs, result.maxUlp]).to.deep.equal([
      false,
      2,
      Infinity,
      Infinity,
    ]);
    expect(compareTensors('y', floats([NaN]), floats([NaN]), exact)).to.include({
      passed: true,
      maxAbs: 0,
      maxRel: 0,
      maxUlp: 0,
    });
  });

  it('infinities are equal only if their signs are, and no finite number is close to infinity', () => {
    expect(
      compareTensors('y', floats([Infinity, -Infinity]), floats([Infinity, -Infinity]), exact).passed,
    ).to.equal(true);
    for (const actual of [-Infinity, 3e38, NaN]) {
      expect(
        compareTensors('y', floats([actual]), floats([Infinity]), { rtol: 1, atol: 1 }).passed,
        `${actual}`,
      ).to.equal(false);
    }
  });

  it('64-bit integers differ even if they are equal in float64', () => {
    const large = 2n ** 62n;
    for (const [dtype, make] of [
      ['int64', (value: bigint) => BigInt64Array.of(0n, value)],
      ['uint64', (value: bigint) => BigUint64Array.of(0n, value)],
    ] as const) {
      const [actual, expected] = [large + 1n, large].map((value) => tensor(dtype, [2], make(value)));
      const result = compareTensors('y', actual!, expected!, exact);
      expect(result).to.deep.include({ passed: false, mismatched: 1, maxAbs: 1, maxUlp: 1, worstIndex: [1] });
      expect(compareTensors('y', expected!, expected!, exact).passed).to.equal(true);
    }
  });

  it('a comparison counts mismatches and gives the index of the worst element', () => {
    const expected = floats([0, 0, 0, 0, 0, 0], [1, 2, 3]);
    const actual = floats([0, 0.5, 0, 0, 0, -2], [1, 2, 3]);
    const result = compareTensors('y', actual, expected, { rtol: 0, atol: 0.1 });
    expect(result).to.deep.include({ mismatched: 2, elements: 6, worstIndex: [0, 1, 2], maxAbs: 2 });
  });

  it('the worst element is the one furthest beyond its tolerance, not the one with the largest difference', () => {
    const result = compareTensors('y', doubles(1010, 1.5), doubles(1000, 1), { rtol: 0.1, atol: 0 });
    expect(result).to.deep.include({ worstIndex: [1], mismatched: 1, maxAbs: 10 });
  });

  it('tensors without elements pass', () => {
    const empty = tensor('float32', [0, 4], new Float32Array(0));
    expect(compareTensors('y', empty, empty, exact)).to.deep.include({
      passed: true,
      elements: 0,
      worstIndex: null,
    });
  });

  it('a comparison says how far the output and PyTorch are from float64', () => {
    const result = compareTensors('y', floats([1.5]), floats([1.25]), { rtol: 1, atol: 1 }, doubles(1));
    expect(result).to.include({ distanceToTruth: 0.5, referenceDistanceToTruth: 0.25 });
  });

  it('compareTensors refuses tensors of different shapes or dtypes', () => {
    for (const actual of [floats([1, 2]), doubles(1)]) {
      expect(() => compareTensors('y', actual, floats([1]), exact))
        .to.throw(ParityError)
        .with.property('code', 'OUTPUT_SHAPE');
    }
  });
});

describe('the ULP distance of compareTensors', () => {
  const ulp = (a: TensorData, b: TensorData): number => compareTensors('y', a, b, exact).maxUlp;
  const half = (dtype: 'float16' | 'bfloat16', bits: number): TensorData =>
    tensor(dtype, [1], Uint16Array.of(bits));

  it('ULP are counted in the dtype of the output', () => {
    expect(ulp(floats([1 + 3 * 2 ** -23]), floats([1]))).to.equal(3);
    expect(ulp(doubles(1 + 3 * 2 ** -52), doubles(1))).to.equal(3);
    expect(ulp(half('float16', 0x3c03), half('float16', 0x3c00))).to.equal(3);
    expect(ulp(half('bfloat16', 0x3f83), half('bfloat16', 0x3f80))).to.equal(3);
  });

  it('ULP are counted through zero, and −0 equals 0', () => {
    expect(ulp(floats([0]), floats([-0]))).to.equal(0);
    expect(ulp(floats([2 ** -149]), floats([-(2 ** -149)]))).to.equal(2);
    expect(ulp(doubles(Number.MIN_VALUE), doubles(-Number.MIN_VALUE))).to.equal(2);
    expect(ulp(doubles(0), doubles(-Number.MIN_VALUE))).to.equal(1);
    expect(ulp(half('float16', 0x8001), half('float16', 0x0001))).to.equal(2);
  });
});

describe('defaultTolerance, per dtype', () => {
  it('the default tolerance of each dtype is that of torch.testing.assert_close', () => {
    // https://docs.pytorch.org/docs/stable/testing.html
    expect(defaultTolerance('float16')).to.deep.equal({ rtol: 1e-3, atol: 1e-5 });
    expect(defaultTolerance('bfloat16')).to.deep.equal({ rtol: 1.6e-2, atol: 1e-5 });
    expect(defaultTolerance('float32')).to.deep.equal({ rtol: 1.3e-6, atol: 1e-5 });
    expect(defaultTolerance('float64')).to.deep.equal({ rtol: 1e-7, atol: 1e-7 });
    expect(defaultTolerance('int64')).to.deep.equal({ rtol: 0, atol: 0 });
  });
});
