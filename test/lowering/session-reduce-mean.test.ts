/** GroupNorm in sessions on ONNX Runtime's CPU kernels: `cpu`, as where the addon is not installed, and `wasm`. */
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import type { Provider, Session } from '../../lib/runtime/core/contract.js';
import { openSession } from '../../lib/runtime/session/open.js';
import { NODE } from '../../lib/runtime/node.js';
import { cpuBackend } from '../../lib/runtime/ort-node/model.js';
import { elementCount, type Shape, tensor, type TensorData } from '../../lib/tensor.js';
import {
  type GroupNormCase,
  groupNormModel,
  maxAbsDifference,
  randomTensor,
  referenceGroupNorm,
} from '../support/group-norm.js';

const PLAIN = { ...NODE, backends: { ...NODE.backends, cpu: [cpuBackend] } };
const PROVIDERS: readonly Provider[] = ['cpu', 'wasm'];

const open = (provider: Provider, groupNorm: GroupNormCase, shape: Shape, opset = 21): Promise<Session> =>
  openSession(PLAIN, groupNormModel(groupNorm, { lowering: 'op', opset, shape }), { providers: [provider] });

/** Names for all sizes but the channels. */
const named = (dims: readonly number[]): Shape => dims.map((dim, axis) => (axis === 1 ? dim : `D${axis}`));

/** Replaces what is below `threshold` by it: the squares about the mean are equal then, and sums are rounded one way. */
const clipped = ({ dims, data }: TensorData, threshold: number): TensorData =>
  tensor(
    'float32',
    dims,
    (data as Float32Array).map((value) => Math.max(value, threshold)),
  );

/**
 * Returns the largest distance from float64 of runs with known sizes, and with names for them.
 */
async function errors(provider: Provider, groupNorm: GroupNormCase, opset?: number): Promise<number[]> {
  const { x } = groupNorm;
  const expected = referenceGroupNorm(groupNorm);
  const found: number[] = [];
  for (const shape of [x.dims, named(x.dims)]) {
    await using session = await open(provider, groupNorm, shape, opset);
    const { y } = await session.run({ x });
    expect(y!.dims).to.deep.equal(x.dims);
    found.push(maxAbsDifference(y!, expected));
  }
  return found;
}

const affine = (channels: number) => ({
  scale: randomTensor('float32', [channels], { stream: 'scale' }),
  bias: randomTensor('float32', [channels], { stream: 'bias' }),
});

describe('GroupNorm in a session without the native kernel', () => {
  for (const provider of PROVIDERS) {
    it(`a session on ${provider} computes GroupNorm of any shape, by names or numbers, within rounding`, async () => {
      const spec = fc.record({
        batch: fc.integer({ min: 0, max: 3 }),
        numGroups: fc.integer({ min: 1, max: 4 }),
        channelsPerGroup: fc.integer({ min: 1, max: 4 }),
        spatial: fc.array(fc.constantFrom(1, 2, 7, 33, 40), { maxLength: 3 }),
        mean: fc.constantFrom(0, -10, 1000),
        opset: fc.constantFrom(18, 20, 21),
        parameters: fc.boolean(),
      });
      await fc.assert(
        fc.asyncProperty(
          spec,
          async ({ batch, numGroups, channelsPerGroup, spatial, mean, opset, parameters }) => {
            const channels = numGroups * channelsPerGroup;
            fc.pre(elementCount(spatial) <= 1600);
            const x = randomTensor('float32', [batch, channels, ...spatial], { mean });
            const groupNorm = { x, numGroups, eps: 1e-2, ...(parameters && affine(channels)) };
            // Rows of equal numbers keep the rounding of the input's mean, magnified by 1 / √ε.
            for (const error of await errors(provider, groupNorm, opset)) expect(error).to.be.below(1e-5);
          },
        ),
        { numRuns: 25, seed: 1 },
      );
    }).timeout(60_000);

    for (const [dims, numGroups] of [
      [[2, 4, 8, 30], 2], // 480 elements
      [[1, 2, 1024], 1],
      [[2, 4, 30, 50], 2], // 3,000 elements
      [[1, 2, 4099], 2], // a prime number
      [[1, 1, 262_147], 1],
      [[1, 8, 100, 300], 1], // 240,000 elements, none of the axes above 1,024
      [[1, 2, 3, 1500], 2],
    ] as const) {
      it(`a session on ${provider} is right for ${dims.join('×')} after a ReLU and at mean 10,000`, async () => {
        const relu = clipped(randomTensor('float32', dims), 0);
        const large = randomTensor('float32', dims, { mean: 1e4 });
        // 4e-6 is half a unit in the last place of 7, the largest result, for each of some 16 operations. WebAssembly adds up
        // each sum in one float32: 1e-5 is what assert_close allows for a result of 0.
        const bound = provider === 'cpu' ? 4e-6 : 1e-5;
        for (const x of [relu, large]) {
          for (const error of await errors(provider, { x, numGroups, eps: 1e-5 }))
            expect(error).to.be.below(bound);
        }
      });
    }

    it(`a session on ${provider} gives a sample of named sizes the same bits alone and in a batch`, async () => {
      for (const dims of [
        [3, 4, 6, 5], // InstanceNormalization on cpu
        [3, 4, 30, 50], // planes
        [3, 4, 70, 60], // axes
        [3, 4, 8, 9, 60],
        [3, 4, 2, 3000], // float64
        [3, 2, 40, 50], // each channel is a group
      ]) {
        const x = randomTensor('float32', dims, { mean: 10 });
        const shape = named(dims);
        await using session = await open(
          provider,
          { x, numGroups: 2, eps: 1e-5, ...affine(dims[1]!) },
          shape,
        );
        const all = (await session.run({ x })).y!.data as Float32Array;
        const size = elementCount(dims.slice(1));
        const last = tensor('float32', [1, ...dims.slice(1)], x.data.slice(2 * size));
        const { data } = (await session.run({ x: last })).y!;
        expect(data).to.deep.equal(all.slice(2 * size));
      }
    });

    it(`a session on ${provider} is right if few elements are left by a ReLU`, async () => {
      for (const length of [60, 1024, 1500]) {
        const x = clipped(randomTensor('float32', [4, 2, length], { mean: -1 }), 0);
        for (const error of await errors(provider, { x, numGroups: 2, eps: 1e-5 }))
          expect(error).to.be.below(1e-5);
      }
    });

    it(`a session on ${provider} keeps a NaN or an infinity in the group that has it`, async () => {
      for (const bad of [NaN, Infinity]) {
        for (const [dims, numGroups] of [
          [[2, 4, 3, 5], 2],
          [[2, 4, 30, 60], 2],
          [[2, 4, 3, 5], 4],
        ] as const) {
          const x = randomTensor('float32', dims);
          x.data[0] = bad;
          for (const shape of [dims, named(dims)]) {
            await using session = await open(provider, { x, numGroups, eps: 1e-5, ...affine(4) }, shape);
            const { data } = (await session.run({ x })).y!;
            const own = elementCount(dims.slice(1)) / numGroups;
            expect((data as Float32Array).subarray(own).every(Number.isFinite)).to.equal(true);
          }
        }
      }
    });

    it(`a session on ${provider} takes other sizes than those of its first run, and sizes of 0`, async () => {
      const parameters = affine(4);
      const session = await open(
        provider,
        { x: randomTensor('float32', [1, 4, 1]), numGroups: 2, eps: 1e-5, ...parameters },
        ['N', 4, 'H', 'W'],
      );
      for (const dims of [
        [1, 4, 6, 5],
        [1, 4, 60, 50],
        [2, 4, 6, 5],
        [0, 4, 6, 5],
        [1, 4, 6, 0],
        [1, 4, 0, 5],
        [3, 4, 1, 2000],
        [1, 4, 6, 5],
      ]) {
        const x = randomTensor('float32', dims);
        const y = (await session.run({ x })).y!;
        expect(y.dims).to.deep.equal(dims);
        expect(
          maxAbsDifference(y, referenceGroupNorm({ x, numGroups: 2, eps: 1e-5, ...parameters })),
        ).to.be.below(4e-6);
      }
      await session.dispose();
    });

    for (const dtype of ['float64', 'float16'] as const) {
      it(`a session on ${provider} computes GroupNorm of ${dtype}`, async () => {
        for (const dims of [
          [2, 4, 3, 5],
          [1, 4, 30, 40],
        ]) {
          const x = randomTensor(dtype, dims);
          const bound = dtype === 'float64' ? 1e-13 : 4e-3;
          for (const error of await errors(provider, { x, numGroups: 2, eps: 2 ** -10 }))
            expect(error).to.be.below(bound);
        }
      });
    }
  }
});
