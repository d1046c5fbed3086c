/** GroupNorm over images with channels last, in models that ONNX Runtime has optimized and saved. */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import * as ort from 'onnxruntime-node';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import { toFloat64Array } from '../../../lib/half.js';
import { encodeModel } from '../../../lib/onnx/encode.js';
import { Model } from '../../../lib/onnx/model.js';
import { fuseGroupNorm } from '../../../lib/rewrite/norms/fuse-group-norm.js';
import { replaceNorms } from '../../../lib/rewrite/replace-norms.js';
import { ValueTypes } from '../../../lib/rewrite/analysis/value-types.js';
import { kernelLowering } from '../../../lib/lowering/op.js';
import { createSession } from '../../../lib/runtime/node.js';
import type { Shape } from '../../../lib/tensor.js';
import { maxAbsDifference, randomTensor, referenceGroupNorm } from '../../support/group-norm.js';
import { temporaryFolder } from '../../support/temporary.js';

const [N, C, H, W, GROUPS] = [2, 8, 3, 5, 4];

/** Transpose, GroupNorm and SiLU as PyTorch exports them below opset 21, Transpose. */
function channelsLast(shape: Shape): Uint8Array {
  const g = new GraphBuilder('image');
  const x = op.transpose(g, g.input('x', 'float32', shape), { perm: [0, 3, 1, 2] });
  const rows = op.reshape(g, x, [0, GROUPS, -1]);
  const [ones, zeros] = [1, 0].map((mean) =>
    g.constant(randomTensor('float32', [GROUPS], { mean, deviation: 0 })),
  );
  const norm = op.instanceNormalization(g, rows, ones!, zeros!);
  const joined = op.reshape(g, norm, op.shape(g, x), { outputShape: x.shape });
  const [scale, bias] = ['scale', 'bias'].map((stream) =>
    g.constant({ ...randomTensor('float32', [C], { stream }), dims: [C, 1, 1] }),
  );
  const y = op.silu(g, op.add(g, op.mul(g, joined, scale!), bias!));
  g.output('y', op.transpose(g, y, { perm: [0, 2, 3, 1] }));
  return encodeModel(g.build(), new Map(), { opset: 17 });
}

describe('models that ONNX Runtime has saved', () => {
  const at = temporaryFolder();
  for (const [what, shape] of Object.entries({ names: ['N', 'H', 'W', C], numbers: [N, H, W, C] })) {
    it(`GroupNorm with SiLU over channels last, saved with ${what} as sizes, becomes one node of the kernel`, async () => {
      const path = at(`${what}.onnx`);
      const saving = await ort.InferenceSession.create(channelsLast(shape), {
        optimizedModelFilePath: path,
        logSeverityLevel: 3,
      });
      await saving.release();
      const bytes = new Uint8Array(readFileSync(path));
      const model = Model.decode(bytes);
      const types = new ValueTypes(model);
      expect(replaceNorms(types, { exported: kernelLowering }).exported).to.equal(1);
      expect(fuseGroupNorm(model, types)).to.equal(1);

      const x = randomTensor('float32', [N, H, W, C]);
      const first = { ...randomTensor('float32', [N, C, H, W]), data: new Float32Array(N * C * H * W) };
      const place = (i: number) => {
        const [n, c] = [Math.floor(i / (C * H * W)), Math.floor(i / (H * W)) % C];
        return (n * H * W + (i % (H * W))) * C + c;
      };
      const values = toFloat64Array(x);
      first.data.forEach((_, i) => (first.data[i] = values[place(i)]!));
      const [scale, bias] = ['scale', 'bias'].map((stream) => randomTensor('float32', [C], { stream }));
      const right = new Float64Array(first.data.length);
      referenceGroupNorm({ x: first, scale, bias, numGroups: GROUPS, eps: 1e-5 }).forEach((v, i) => {
        right[place(i)] = v / (1 + Math.exp(-v));
      });
      for (const provider of ['cpu', 'wasm'] as const) {
        await using session = await createSession(bytes, { providers: [provider] });
        const { y } = await session.run({ x });
        expect(maxAbsDifference(y!, right)).to.be.below(3e-6);
        expect(session.groupNorm).to.be.oneOf(['kernel', 'reduce-mean']);
      }
    });
  }
});
