import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { SessionError } from '../../../lib/errors.js';
import { castTensor } from '../../../lib/half.js';
import type { Session, SessionOptions } from '../../../lib/runtime/core/contract.js';
import { chooseBackend, createSession } from '../../../lib/runtime/node.js';
import { type HalfArray, tensor, type TensorData } from '../../../lib/tensor.js';
import {
  groupNormModel,
  maxAbsDifference,
  randomTensor,
  referenceGroupNorm,
} from '../../support/group-norm.js';

const CASE = {
  x: randomTensor('float16', [2, 8, 6, 5]),
  scale: randomTensor('float16', [8], { stream: 'scale' }),
  bias: randomTensor('float16', [8], { stream: 'bias' }),
  numGroups: 4,
  eps: 1e-5,
};
const EXPECTED = referenceGroupNorm(CASE);
const LARGEST = EXPECTED.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
/** Half a unit in the last of float16's 11 bits: one rounding, of a result that is right to float32. */
const TOLERANCE = 2 ** (Math.floor(Math.log2(LARGEST)) - 11) + 1e-5;

/** onnxruntime-node, which `cpu` is with a rewrite named, the addon, WebAssembly, and what else the machine has. */
const PROVIDERS: Record<string, SessionOptions> = {
  cpu: { providers: ['cpu'], groupNorm: 'reduce-mean' },
  native: { providers: ['native'] },
  wasm: { providers: ['wasm'] },
  cuda: { providers: ['cuda'], strict: true },
  webgpu: { providers: ['webgpu'], strict: true },
};

type HalfConstructor = new (data: ArrayLike<number> | ArrayBufferLike, ...rest: number[]) => HalfArray;
const { Float16Array } = globalThis as unknown as { Float16Array?: HalfConstructor };

describe('float16', () => {
  for (const [provider, options] of Object.entries(PROVIDERS)) {
    describe(`on ${provider}`, () => {
      const withSession = (run: (session: Session) => Promise<void>) =>
        async function (this: Mocha.Context) {
          const { problems } = await chooseBackend(
            options.providers![0] as 'cpu',
            options.groupNorm !== undefined,
          );
          if (problems) return notRun(this, `${provider}: ${problems[0]?.reason}`);
          const session = await createSession(groupNormModel(CASE, { lowering: 'op', opset: 21 }), options);
          try {
            await run(session);
          } catch (error) {
            // Not every GPU has float16; CUDA's all do.
            const { code, message } = error as SessionError;
            if (provider !== 'webgpu' || code !== 'PROVIDER_UNAVAILABLE') throw error;
            notRun(this, `${provider}: ${message}`);
          } finally {
            await session.dispose();
          }
        };

      it(
        'a session takes and returns float16 as 16 bits in a Uint16Array',
        withSession(async (session) => {
          const { y } = await session.run({ x: CASE.x });
          expect(y!.data).to.be.instanceOf(Uint16Array);
          expect(maxAbsDifference(y!, EXPECTED)).to.be.below(TOLERANCE);
        }),
      );

      it(
        'a session writes float16 into a given Uint16Array',
        withSession(async (session) => {
          const given = tensor('float16', CASE.x.dims, new Uint16Array(CASE.x.data.length));
          const { y } = await session.run({ x: CASE.x }, { outputs: { y: given } });
          expect(y!.data.buffer).to.equal(given.data.buffer);
          expect(maxAbsDifference(given, EXPECTED)).to.be.below(TOLERANCE);
        }),
      );

      it('a session takes a Float16Array, by hand or through tensor(), and writes into one', async function () {
        if (!Float16Array) return notRun(this, `Node ${process.versions.node} has no Float16Array`);
        const HalfArrayType = Float16Array;
        const test = withSession(async (session) => {
          const bits = CASE.x.data;
          const data = new HalfArrayType(bits.buffer, bits.byteOffset, bits.length);
          const target = new HalfArrayType(bits.map(() => 0));
          const byHand = (half: HalfArray) =>
            ({ dtype: 'float16', dims: CASE.x.dims, data: half }) as unknown as TensorData;
          for (const x of [byHand(data), tensor('float16', CASE.x.dims, data)]) {
            const { y } = await session.run({ x });
            expect(y!.data).to.be.instanceOf(Uint16Array);
            expect(maxAbsDifference(y!, EXPECTED)).to.be.below(TOLERANCE);
          }
          const { y } = await session.run({ x: byHand(data) }, { outputs: { y: byHand(target) } });
          expect(y!.data.buffer).to.equal(target.buffer);
          expect(maxAbsDifference(byHand(target), EXPECTED)).to.be.below(TOLERANCE);
          expect(castTensor(byHand(target), 'float32').data).to.have.length(bits.length);
        });
        await test.call(this);
      });
    });
  }
});

/** A line of its own, because a skip alone does not say why. */
function notRun(test: Mocha.Context, reason: string): void {
  console.log(`    not run: ${reason}`);
  test.skip();
}
