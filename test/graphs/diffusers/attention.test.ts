/** The attention between the pixels of an image, against its formula in float64. */
import { expect, use } from 'chai';
import { describe, it } from 'mocha';
import { attention, imageAttention } from '../../../graphs/diffusers/attention.js';
import onnxMatchers from '../../../lib/chai.js';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import { castTensor, toFloat64Array } from '../../../lib/half.js';
import { LOWERING_NAMES } from '../../../lib/lowering/types.js';
import { encodeModel } from '../../../lib/onnx/encode.js';
import { createSession } from '../../../lib/runtime/node.js';
import { type FloatDType, tensor, type TensorData } from '../../../lib/tensor.js';
import { counterWeights } from '../../../lib/weights/counter.js';
import { referenceGroupNorm } from '../../support/group-norm.js';
import { shapesOf } from '../support.js';
import { numbers } from '../../graph/runs.js';

use(onnxMatchers);

const CHANNELS = 16;
const GROUPS = 4;
const EPSILON = 1e-6;

function makeGraph(dtype: FloatDType, heads = 1) {
  const g = new GraphBuilder('attention');
  const x = g.input('x', dtype, ['N', CHANNELS, 'H', 'W']);
  const dimHead = CHANNELS / heads;
  g.output('y', imageAttention(g, x, { heads, dimHead, numGroups: GROUPS, eps: EPSILON }));
  return g.build();
}

type Weights = ReadonlyMap<string, Float64Array>;

/** The same in float64, pixel by pixel. */
function reference(x: TensorData, weights: Weights, heads: number): Float64Array {
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
    for (let p = 0; p < size; p++) {
      const mixed = Array.from({ length: heads }, (_, head) => attend(q!, k!, v!, p, head, heads)).flat();
      linearRow(weights, 'to_out.0', mixed).forEach((value, c) => {
        y[(n * CHANNELS + c) * size + p]! += value;
      });
    }
  }
  return y;
}

/** What one head gives for the query of pixel `p`. */
function attend(
  q: number[][],
  k: number[][],
  v: number[][],
  p: number,
  head: number,
  heads: number,
): number[] {
  const size = CHANNELS / heads;
  const part = (row: readonly number[]) => row.slice(head * size, (head + 1) * size);
  const shares = softmaxRow(k.map((key) => dot(part(q[p]!), part(key)) / Math.sqrt(size)));
  return part(v[0]!).map((_, c) =>
    dot(
      shares,
      v.map((row) => part(row)[c]!),
    ),
  );
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

describe('imageAttention', () => {
  it("imageAttention has PyTorch's state_dict keys, and infers its shapes from names", () => {
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
    for (const heads of [1, 4]) {
      it(`imageAttention with ${heads} heads computes its formula in ${dtype}, in every form`, async () => {
        const graph = makeGraph(dtype, heads);
        const weights = counterWeights(graph, 1);
        const x = castTensor(numbers([2, CHANNELS, 5, 3]), dtype);
        const wide = new Map([...weights].map(([name, data]) => [name, toFloat64Array(data)]));
        const expected = castTensor(tensor('float64', x.dims, reference(x, wide, heads)), dtype);
        for (const opset of [13, 17, 21, 25]) {
          const lowerings = heads === 1 ? LOWERING_NAMES.slice(1, opset < 17 ? 3 : 4) : [];
          for (const lowering of [undefined, ...lowerings]) {
            const session = await createSession(encodeModel(graph, weights, { opset, lowering }));
            const { y } = await session.run({ x });
            await session.dispose();
            expect(y, `${lowering} at opset ${opset}`).to.matchTensor(expected, TOLERANCES[dtype]);
          }
        }
      });
    }
  }

  it('imageAttention without a name of a size reshapes to numbers', () => {
    const g = new GraphBuilder('attention');
    const x = g.input('x', 'float32', ['N', CHANNELS, 4, 6]);
    g.output('y', imageAttention(g, x, { heads: 2, dimHead: 8, numGroups: GROUPS, eps: EPSILON }));
    expect(g.build().nodes.map(({ opType }) => opType)).not.to.include('Shape');
  });
});

describe('attention', () => {
  /** The nodes of attention over a sequence of text, and the parameters that it declares. */
  function crossAttention(dtype: FloatDType, upcast: boolean) {
    const g = new GraphBuilder('attention');
    const x = g.input('x', dtype, ['N', 'S', 12]);
    const context = g.input('text', dtype, ['N', 77, 20]);
    g.output('y', attention(g, x, { heads: 2, dimHead: 4, context, upcast }));
    return g.build();
  }

  it('attention takes keys and values from the context, and has a bias in to_out.0 only', () => {
    const { parameters, outputs } = crossAttention('float32', true);
    expect(shapesOf(parameters)).to.deep.equal({
      'to_q.weight': [8, 12],
      'to_k.weight': [8, 20],
      'to_v.weight': [8, 20],
      'to_out.0.weight': [12, 8],
      'to_out.0.bias': [12],
    });
    expect(outputs[0]!.shape).to.deep.equal(['N', 'S', 12]);
  });

  it('attention with upcast takes the softmax of narrow floats in float32, and of others as it is', () => {
    const softmax = (dtype: FloatDType, upcast: boolean) =>
      crossAttention(dtype, upcast).nodes.find(({ opType }) => opType === 'Softmax')!.outputs[0]!.dtype;
    expect(softmax('float16', true)).to.equal('float32');
    expect(softmax('float16', false)).to.equal('float16');
    expect(softmax('float64', true)).to.equal('float64');
  });
});
