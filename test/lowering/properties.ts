/** What every lowering must compute, for random shapes, groups, dtypes and opsets: in float64, and alone as in a batch. */
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { toFloat64Array } from '../../lib/half.js';
import { loweringsAt } from '../../lib/lowering/choose.js';
import { LOWERING_NAMES, type LoweringName } from '../../lib/lowering/types.js';
import type { SessionOptions } from '../../lib/runtime/core/contract.js';
import { elementCount, type FloatDType, tensor } from '../../lib/tensor.js';
import {
  type GroupNormCase,
  groupNormModel,
  maxAbsDifference,
  randomTensor,
  referenceGroupNorm,
  runModel,
} from '../support/group-norm.js';

const OPSETS = [13, 17, 18, 20, 21, 25];

/** Relative rounding error of one operation (u), the wide dtype's for the statistics. */
const UNIT: Record<FloatDType, number> = {
  float64: 2 ** -53,
  float32: 2 ** -24,
  float16: 2 ** -11,
  bfloat16: 2 ** -8,
};

interface Spec {
  readonly dtype: FloatDType;
  readonly batch: number;
  readonly numGroups: number;
  readonly channelsPerGroup: number;
  readonly spatial: number[];
  readonly eps: number;
  readonly affine: 'both' | 'scale' | 'none';
  readonly mean: number;
  readonly seed: number;
}

const spec: fc.Arbitrary<Spec> = fc.record({
  dtype: fc.constantFrom<FloatDType>('float32', 'float64', 'float16', 'bfloat16'),
  batch: fc.integer({ min: 0, max: 3 }),
  numGroups: fc.integer({ min: 1, max: 5 }),
  channelsPerGroup: fc.integer({ min: 1, max: 4 }),
  spatial: fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 4 }),
  eps: fc.constantFrom(1e-5, 1e-3, 1e-1),
  affine: fc.constantFrom('both', 'scale', 'none'),
  mean: fc.constantFrom(0, 1, -10, 100),
  seed: fc.nat(1e6),
});

function makeCase({
  dtype,
  batch,
  numGroups,
  channelsPerGroup,
  spatial,
  eps,
  affine,
  mean,
  seed,
}: Spec): GroupNormCase {
  const channels = numGroups * channelsPerGroup;
  const vector = (stream: string) => randomTensor(dtype, [channels], { seed, stream });
  return {
    x: randomTensor(dtype, [batch, channels, ...spatial], { seed, mean }),
    scale: affine === 'none' ? undefined : vector('scale'),
    bias: affine === 'both' ? vector('bias') : undefined,
    numGroups,
    eps,
  };
}

/**
 * What the rounding of the operations can add up to. A mean that is rounded to the dtype of the statistics is
 * off by some u·|mean|, which the division by the deviation magnifies; the result is rounded to the dtype once.
 */
function errorBound({ dtype }: Spec, { x, numGroups, eps }: GroupNormCase, largest: number): number {
  const wide = dtype === 'float64' ? UNIT.float64 : UNIT.float32;
  const statistics = 8 * wide * (condition(toFloat64Array(x), x.dims, numGroups, eps) + 4);
  return (statistics + 2 * UNIT[dtype]) * (1 + largest);
}

/** The largest |mean| / √(variance + eps) of a group. */
function condition(values: Float64Array, dims: readonly number[], numGroups: number, eps: number): number {
  const row = elementCount(dims.slice(1)) / numGroups;
  let worst = 0;
  for (let start = 0; start < values.length; start += row) {
    const group = values.subarray(start, start + row);
    const mean = group.reduce((sum, v) => sum + v, 0) / row;
    const variance = group.reduce((sum, v) => sum + (v - mean) ** 2, 0) / row;
    worst = Math.max(worst, Math.abs(mean) / Math.sqrt(variance + eps));
  }
  return worst;
}

/** ONNX's epsilon attributes are float32; reduce-mean has a constant of the dtype of the statistics. */
const epsilonOf = (lowering: LoweringName, eps: number): number =>
  lowering === 'reduce-mean' ? eps : Math.fround(eps);

/** A session replaces InstanceNormalization and LayerNormalization of unknown length, but not if they are asked for. */
export const ownKernel = (lowering: LoweringName): SessionOptions => ({
  groupNorm: lowering === 'op' ? undefined : lowering,
});

/** Adds the properties of every lowering. @param count How many cases, and how many batches, each lowering computes. */
export function testLowerings(count: { readonly cases: number; readonly batches: number }): void {
  describe('every lowering computes Group Normalization', () => {
    for (const lowering of LOWERING_NAMES) {
      it(`lowering ${lowering} is within rounding of the float64 definition for any rank, shape, groups, eps, dtype and opset`, async () => {
        await fc.assert(
          fc.asyncProperty(
            spec,
            fc.constantFrom(...OPSETS.filter((opset) => loweringsAt(opset).includes(lowering))),
            async (s, opset) => {
              const groupNorm = makeCase(s);
              const expected = referenceGroupNorm({ ...groupNorm, eps: epsilonOf(lowering, s.eps) });
              const model = groupNormModel(groupNorm, { lowering, opset });
              const actual = await runModel(model, groupNorm.x, ownKernel(lowering));
              expect(actual.dims).to.deep.equal(groupNorm.x.dims);
              expect(actual.dtype).to.equal(s.dtype);
              const largest = expected.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
              expect(maxAbsDifference(actual, expected)).to.be.at.most(errorBound(s, groupNorm, largest));
            },
          ),
          { numRuns: count.cases, seed: 1 },
        );
      }).timeout(60_000);
    }

    for (const lowering of LOWERING_NAMES) {
      // Not to the bit: the order of ONNX Runtime's sums depends on where a row happens to lie in memory.
      it(`lowering ${lowering} gives a sample the same result, within rounding, alone and in any batch`, async () => {
        await fc.assert(
          fc.asyncProperty(spec, fc.nat(), async (s, pick) => {
            const groupNorm = makeCase({ ...s, batch: Math.max(2, s.batch) });
            const [batch, ...rest] = groupNorm.x.dims as [number, ...number[]];
            const size = elementCount(rest);
            const sample = pick % batch;
            const alone = tensor(
              groupNorm.x.dtype,
              [1, ...rest],
              groupNorm.x.data.slice(sample * size, (sample + 1) * size),
            );
            const model = groupNormModel(groupNorm, { lowering, opset: 21 });
            const together = await runModel(model, groupNorm.x, ownKernel(lowering));
            const single = await runModel(model, alone, ownKernel(lowering));
            const inBatch = toFloat64Array(together).subarray(sample * size, (sample + 1) * size);
            const largest = inBatch.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
            expect(maxAbsDifference(single, inBatch)).to.be.at.most(errorBound(s, groupNorm, largest));
          }),
          { numRuns: count.batches, seed: 2 },
        );
      }).timeout(60_000);
    }
  });
}
