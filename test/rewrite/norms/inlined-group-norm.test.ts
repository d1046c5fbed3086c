import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import type { Value } from '../../../lib/graph/types.js';
import { encodeModel } from '../../../lib/onnx/encode.js';
import { Model } from '../../../lib/onnx/model.js';
import { lowerInlinedGroupNorm } from '../../../lib/rewrite/norms/inlined-group-norm.js';
import { ValueTypes } from '../../../lib/rewrite/analysis/value-types.js';
import { createSession } from '../../../lib/runtime/node.js';
import { type Shape, tensor, type TensorData } from '../../../lib/tensor.js';
import { maxAbsDifference, randomTensor, referenceGroupNorm } from '../../support/group-norm.js';
import { NATIVE_REASON } from '../../support/native.js';

const SAMPLES = ['inlined-group-norm', 'saved-group-norm'];
const sample = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../../samples/${name}.onnx`, import.meta.url)));

/** What the samples compute, in float64. */
function expected(x: TensorData): Float64Array {
  const scale = tensor('float32', [4], Float32Array.of(1, 2, 3, 4));
  const bias = tensor('float32', [4], Float32Array.of(-1, -1, -1, -1));
  return referenceGroupNorm({ x, scale, bias, numGroups: 2, eps: 1e-5 }).map((value) => Math.max(0, value));
}

const FAR = randomTensor('float32', [2, 4, 6, 5], { mean: 1000, deviation: 0.1 });

describe("lowerInlinedGroupNorm, given ONNX's definition of GroupNormalization,", () => {
  for (const name of SAMPLES) {
    for (const options of [{}, { groupNorm: 'reduce-mean' }, { providers: ['wasm'] }] as const) {
      const how = JSON.stringify(options);
      it(`lowerInlinedGroupNorm makes a session agree with float64 for any mean: ${name}, ${how}`, async () => {
        const session = await createSession(sample(name), options);
        const isKernel = how === '{}' && NATIVE_REASON === undefined;
        expect(session.groupNorm).to.equal(isKernel ? 'kernel' : 'reduce-mean');
        for (const [mean, deviation] of [
          [0, 1],
          [300, 1],
          [1000, 0.1],
        ] as const) {
          const x = randomTensor('float32', [2, 4, 6, 5], { mean, deviation });
          const { y } = await session.run({ x });
          // Results of up to 10: what torch.testing.assert_close allows of them.
          expect(maxAbsDifference(y!, expected(x)), `mean ${mean}`).to.be.below(1e-5 + 1.3e-5);
        }
        await session.dispose();
      });
    }

    it(`lowerInlinedGroupNorm leaves the inlined body of ${name}, which is wrong, to a session with groupNorm op`, async () => {
      const session = await createSession(sample(name), { groupNorm: 'op' });
      expect(session.groupNorm).to.equal(undefined);
      const { y } = await session.run({ x: FAR });
      await session.dispose();
      expect(maxAbsDifference(y!, expected(FAR))).not.to.be.below(0.1);
    });
  }

  describe('matches only that definition', () => {
    interface Parts {
      readonly shape?: Shape;
      readonly axes?: readonly number[];
      readonly square?: (g: GraphBuilder, x: Value) => Value;
      readonly mean?: (g: GraphBuilder, mean: Value) => Value;
      readonly variance?: (g: GraphBuilder, ofSquares: Value, squareOfMean: Value) => Value;
      readonly epsilon?: (g: GraphBuilder) => Value;
    }

    const constant = (g: GraphBuilder, value: number) =>
      g.constant(tensor('float32', [1], Float32Array.of(value)));

    /** Returns the number of matches in a model with these parts in place of the usual ones. */
    function count(parts: Parts, opset: number): number {
      const { shape = ['N', 3, 'K'], axes = [2], mean: meanOf = (_, value) => value } = parts;
      const { variance: varianceOf = op.sub, square = (g, x) => op.mul(g, x, x) } = parts;
      const g = new GraphBuilder('norm');
      const x = g.input('x', 'float32', shape);
      const mean = op.reduceMean(g, x, { axes });
      const variance = varianceOf(
        g,
        op.reduceMean(g, square(g, x), { axes }),
        op.mul(g, meanOf(g, mean), meanOf(g, mean)),
      );
      const epsilon = parts.epsilon?.(g) ?? constant(g, 1e-5);
      g.output('y', op.div(g, op.sub(g, x, mean), op.sqrt(g, op.add(g, variance, epsilon))));
      const model = Model.decode(encodeModel(g.build(), new Map(), { opset }));
      return lowerInlinedGroupNorm(model, 'reduce-mean', new ValueTypes(model));
    }

    const cases: Record<string, [expected: number, parts: Parts]> = {
      'a definition over rows': [1, {}],
      'a definition over the last axis': [1, { axes: [-1] }],
      'a definition over other axes': [0, { axes: [1] }],
      'a definition over a matrix': [0, { shape: [3, 'K'], axes: [1] }],
      'a definition with unknown groups': [0, { shape: ['N', 'G', 'K'] }],
      'E[x]² − E[x²]': [0, { variance: (g, a, b) => op.sub(g, b, a) }],
      'E[x²] + E[x]²': [0, { variance: op.add }],
      'a square of two factors': [0, { square: (g, x) => op.mul(g, x, op.relu(g, x)) }],
      'a square of another mean': [0, { mean: (g, mean) => op.relu(g, mean) }],
      'an ε of higher rank, which the result would have too': [
        0,
        { epsilon: (g) => g.constant(tensor('float32', [1, 1, 1, 1], Float32Array.of(1e-5))) },
      ],
      'a computed ε': [0, { epsilon: (g) => op.relu(g, g.input('e', 'float32', [1])) }],
    };
    for (const opset of [13, 18, 21]) {
      for (const [what, [found, parts]] of Object.entries(cases)) {
        it(`lowerInlinedGroupNorm ${found === 1 ? 'matches' : 'does not match'} ${what}, at opset ${opset}`, () => {
          expect(count(parts, opset)).to.equal(found);
        });
      }
    }
  });
});
