/**
 * That `op` suffices for what stands around GroupNorm in diffusion models: the attention in the middle of Stable
 * Diffusion's VAE. Source: diffusers' `Attention` with `group_norm`, one head and `residual_connection=True`, as
 * `UNetMidBlock2D` makes it, and its state_dict keys.
 */
import { expect, use } from 'chai';
import { describe, it } from 'mocha';
import onnxMatchers from '../../lib/chai.js';
import { GraphBuilder, type Scope } from '../../lib/graph/builder.js';
import * as op from '../../lib/graph/ops/index.js';
import type { Value } from '../../lib/graph/types.js';
import { castTensor, toFloat64Array } from '../../lib/half.js';
import { LOWERING_NAMES } from '../../lib/lowering/types.js';
import { encodeModel } from '../../lib/onnx/encode.js';
import { createSession } from '../../lib/runtime/node.js';
import { type FloatDType, tensor, type TensorData } from '../../lib/tensor.js';
import { counterWeights } from '../../lib/weights/counter.js';
import { referenceGroupNorm } from '../support/group-norm.js';
import { numbers } from './runs.js';

use(onnxMatchers);

const CHANNELS = 16;
const GROUPS = 4;
const EPSILON = 1e-6;

/** `torch.nn.Linear` on (..., C). */
function linear(g: Scope, x: Value, features: number): Value {
  const weight = g.parameter('weight', { dtype: x.dtype, shape: [features, x.shape.at(-1) as number] });
  const bias = g.parameter('bias', { dtype: x.dtype, shape: [features] });
  return op.add(g, op.matMul(g, x, op.transpose(g, weight)), bias);
}

/** softmax(q · kᵀ / √d) · v. */
function attend(g: Scope, q: Value, k: Value, v: Value): Value {
  const scores = op.matMul(g, q, op.transpose(g, k, { perm: [0, 2, 1] }));
  const scale = g.constant(castTensor(numbersOf(1 / Math.sqrt(CHANNELS)), q.dtype as FloatDType), 'scale');
  return op.matMul(g, op.softmax(g, op.mul(g, scores, scale)), v);
}

const numbersOf = (...values: number[]): TensorData =>
  tensor('float64', [values.length], Float64Array.from(values));

/** (N, C, H, W) to the same. */
function attentionBlock(g: Scope, x: Value): Value {
  const norm = g.scope('group_norm');
  const [scale, offset] = ['weight', 'bias'].map((name) =>
    norm.parameter(name, { dtype: x.dtype, shape: [CHANNELS] }),
  );
  const normalized = op.groupNormalization(norm, x, scale, offset, { numGroups: GROUPS, epsilon: EPSILON });
  const pixels = op.transpose(g, op.reshape(g, normalized, [0, 0, -1]), { perm: [0, 2, 1] });
  const [q, k, v] = ['to_q', 'to_k', 'to_v'].map((name) => linear(g.scope(name), pixels, CHANNELS));
  const out = linear(g.scope('to_out.0'), attend(g, q!, k!, v!), CHANNELS);
  const image = op.reshape(g, op.transpose(g, out, { perm: [0, 2, 1] }), op.shape(g, x), {
    outputShape: x.shape,
  });
  return op.add(g, image, x);
}

function makeGraph(dtype: FloatDType) {
  const g = new GraphBuilder('attention');
  g.output('y', attentionBlock(g, g.input('x', dtype, ['N', CHANNELS, 'H', 'W'])));
  return g.build();
}

type Weights = ReadonlyMap<string, Float64Array>;

/** The same in float64, pixel by pixel. */
function reference(x: TensorData, weights: Weights): Float64Array {
  const [batch, , height, width] = x.dims as [number, number, number, number];
  const size = height * width;
  const at = (name: string) => tensor('float64', [CHANNELS], weights.get(name)!);
  const norm = { scale: at('group_norm.weight'), bias: at('group_norm.bias') };
  const normalized = referenceGroupNorm({ x, ...norm, numGroups: GROUPS, eps: EPSILON });
  const y = Float64Array.from(toFloat64Array(x));
  for (let n = 0; n < batch; n++) {
    const pixels = Array.from({ length: size }, (_, p) =>
      Array.from({ length: CHANNELS }, (_, c) => normalized[(n * CHANNELS + c) * size + p]!),
    );
    const [q, k, v] = ['to_q', 'to_k', 'to_v'].map((name) =>
      pixels.map((row) => linearRow(weights, name, row)),
    );
    q!.forEach((query, p) => {
      const shares = softmaxRow(k!.map((key) => dot(query, key) / Math.sqrt(CHANNELS)));
      const mixed = query.map((_, c) =>
        dot(
          shares,
          v!.map((row) => row[c]!),
        ),
      );
      linearRow(weights, 'to_out.0', mixed).forEach((value, c) => {
        y[(n * CHANNELS + c) * size + p]! += value;
      });
    });
  }
  return y;
}

const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, value, i) => sum + value * b[i]!, 0);

function linearRow(weights: Weights, name: string, row: readonly number[]): number[] {
  const weight = weights.get(`${name}.weight`)!;
  const bias = weights.get(`${name}.bias`)!;
  return Array.from(
    bias,
    (offset, i) => offset + dot(row, [...weight.subarray(i * CHANNELS, (i + 1) * CHANNELS)]),
  );
}

function softmaxRow(row: readonly number[]): number[] {
  const largest = Math.max(...row);
  const powers = row.map((value) => Math.exp(value - largest));
  const sum = powers.reduce((total, value) => total + value, 0);
  return powers.map((value) => value / sum);
}

/**
 * float32 and float64: `torch.testing.assert_close`'s. float16: results of a few units, each rounded behind every one of
 * some twelve operators, whose roundings (2⁻¹¹ of a value each) add up.
 */
const TOLERANCES = {
  float32: { rtol: 1.3e-6, atol: 1e-5 },
  float64: { rtol: 1e-7, atol: 1e-7 },
  float16: { rtol: 12 * 2 ** -11, atol: 12 * 2 ** -11 },
} as const;

describe('the attention block of a VAE, built with op', () => {
  it("the attention block has PyTorch's state_dict keys, and infers its shapes from names", () => {
    const graph = makeGraph('float32');
    expect(graph.outputs[0]!.shape).to.deep.equal(['N', CHANNELS, 'H', 'W']);
    expect(graph.parameters.map(({ name }) => name)).to.have.members(
      ['group_norm', 'to_q', 'to_k', 'to_v', 'to_out.0'].flatMap((name) => [
        `${name}.weight`,
        `${name}.bias`,
      ]),
    );
    const softmax = graph.nodes.find(({ opType }) => opType === 'Softmax')!;
    expect(softmax.outputs[0]!.shape).to.deep.equal(['N', 'H*W', 'H*W']);
  });

  for (const dtype of ['float32', 'float64', 'float16'] as const) {
    for (const opset of [13, 17, 21, 25]) {
      it(`the attention block computes its formula in ${dtype} at opset ${opset}`, async () => {
        const graph = makeGraph(dtype);
        const weights = counterWeights(graph, 1);
        const x = castTensor(numbers([2, CHANNELS, 5, 3]), dtype);
        const wide = new Map([...weights].map(([name, data]) => [name, toFloat64Array(data)]));
        const expected = castTensor(tensor('float64', x.dims, reference(x, wide)), dtype);
        for (const lowering of [undefined, ...LOWERING_NAMES.slice(1, opset < 17 ? 3 : 4)]) {
          const session = await createSession(encodeModel(graph, weights, { opset, lowering }));
          const { y } = await session.run({ x });
          await session.dispose();
          expect(y, lowering).to.matchTensor(expected, TOLERANCES[dtype]);
        }
      });
    }
  }
});
