import { expect } from 'chai';
import { describe, it } from 'mocha';
import * as node from 'onnxruntime-node';
import * as web from 'onnxruntime-web';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import type { Value } from '../../../lib/graph/types.js';
import { encodeModel } from '../../../lib/onnx/encode.js';
import { Model } from '../../../lib/onnx/model.js';
import { withoutOptimizers, wrongOptimizers } from '../../../lib/runtime/core/workarounds.js';
import { loadAddon } from '../../../lib/runtime/native/addon.js';
import { createSession } from '../../../lib/runtime/node.js';
import { tensor } from '../../../lib/tensor.js';
import { declared, node as operator, smallModel, STRING } from '../../support/small-model.js';
import { rejection } from '../../support/temporary.js';

function modelOf(name: string, make: (g: GraphBuilder, x: Value) => Value): Uint8Array {
  const g = new GraphBuilder(name);
  g.output('y', make(g, g.input('x', 'float32', [1, 1, 4, 4])));
  return encodeModel(g.build(), new Map(), { opset: 17 });
}

const AROUND = [0, 0, 1, 1, 0, 0, 1, 1];
const POOL = { kernelShape: [3, 3], strides: [2, 2] };
const KERNEL = tensor('float32', [1, 1, 1, 1], Float32Array.of(2));

/** The numbers −1 to −16, so that the zeros of a Pad are the largest. */
const X = Float32Array.from({ length: 16 }, (_, i) => -1 - i);

/** Each model with its result, in which only the last window touches no padding. */
const MODELS: Record<string, { readonly model: Uint8Array; readonly y: readonly number[] }> = {
  'Pad and MaxPool': {
    model: modelOf('max', (g, x) => op.maxPool(g, op.pad(g, x, { pads: AROUND }), POOL)),
    y: [0, 0, 0, -6],
  },
  'Pad, Identity, Cast and MaxPool': {
    model: modelOf('cast', (g, x) => {
      const same = g.node('Identity', [op.pad(g, x, { pads: AROUND })], {}, [
        { dtype: 'float32', shape: [1, 1, 6, 6] },
      ])[0]!;
      return op.cast(g, op.maxPool(g, op.cast(g, same, 'float64'), POOL), 'float32');
    }),
    y: [0, 0, 0, -6],
  },
  'Pad and AveragePool': {
    model: modelOf('average', (g, x) => op.averagePool(g, op.pad(g, x, { pads: AROUND }), POOL)),
    // Sums of four, six, six and nine elements, each over nine.
    y: [-(1 + 2 + 5 + 6) / 9, -(2 + 3 + 4 + 6 + 7 + 8) / 9, -(5 + 6 + 9 + 10 + 13 + 14) / 9, -99 / 9],
  },
  'a Pad of the weights of a Conv': {
    model: modelOf('weights', (g, x) =>
      // Window sums: the kernel is a 2 in the middle of zeros.
      op.conv(g, x, op.pad(g, g.constant(KERNEL), { pads: AROUND }), undefined),
    ),
    y: [-12, -14, -20, -22],
  },
};

const run = async (ort: typeof node | typeof web, model: Uint8Array, options: object): Promise<number[]> => {
  const session = await ort.InferenceSession.create(model, { logSeverityLevel: 4, ...options });
  const { y } = await session.run({ x: new ort.Tensor('float32', X, [1, 1, 4, 4]) });
  await session.release();
  return [...(y!.data as Float32Array)];
};

const closeTo = (actual: Iterable<number>, expected: readonly number[]): void => {
  const values = [...actual];
  expect(values).to.have.length(expected.length);
  for (const [i, value] of expected.entries()) expect(values[i]).to.be.closeTo(value, 1e-5);
};

describe('runtime/core/workarounds: Pad_Fusion', () => {
  const ways = {
    native: { providers: ['native'] },
    // A named lowering has ONNX Runtime without the kernel.
    cpu: { providers: ['cpu'], groupNorm: 'reduce-mean' },
    wasm: { providers: ['wasm'] },
  } as const;
  for (const [what, { model, y }] of Object.entries(MODELS)) {
    for (const [provider, options] of Object.entries(ways)) {
      it(`a session on ${provider} computes ${what} as ONNX defines it, at each level of optimization`, async function () {
        if (provider === 'native' && loadAddon().problem !== undefined) return this.skip();
        for (const graphOptimizationLevel of ['disabled', 'basic', 'all'] as const) {
          const session = await createSession(model, { ...options, graphOptimizationLevel });
          const results = await session.run({ x: tensor('float32', [1, 1, 4, 4], X) });
          closeTo(results['y']!.data as Float32Array, y);
          await session.dispose();
        }
      }).timeout(30_000);
    }
  }

  it('wrongOptimizers names Pad_Fusion for these models, and no optimizer for a Pad that only a Conv reads', () => {
    for (const { model } of Object.values(MODELS)) {
      expect(wrongOptimizers(Model.decode(model))).to.deep.equal(['Pad_Fusion']);
    }
    const conv = modelOf('conv', (g, x) =>
      op.conv(g, op.pad(g, x, { pads: AROUND }), g.constant(KERNEL), undefined),
    );
    expect(wrongOptimizers(Model.decode(conv))).to.deep.equal([]);
  });

  it('withoutOptimizers keeps the other entries, and the optimizers that the caller switched off', () => {
    const key = 'optimization.disable_specified_optimizers';
    expect(withoutOptimizers({ a: '1' }, [])).to.deep.equal({ a: '1' });
    expect(withoutOptimizers({ a: '1' }, ['B', 'C'])).to.deep.equal({ a: '1', [key]: 'B;C' });
    expect(withoutOptimizers({ [key]: 'A' }, ['B'])).to.deep.equal({ [key]: 'A;B' });
  });

  // When this test fails, ONNX Runtime is mended: see wrongOptimizers for what can go then.
  for (const [name, ort] of Object.entries({ 'onnxruntime-node': node, 'onnxruntime-web': web })) {
    it(`${name} itself still needs wrongOptimizers, because its Pad_Fusion is wrong`, async () => {
      const { model, y } = MODELS['Pad and MaxPool']!;
      const on = { executionProviders: [ort === web ? 'wasm' : 'cpu'] };
      closeTo(await run(ort, model, { ...on, graphOptimizationLevel: 'disabled' }), y);
      closeTo(await run(ort, model, on), [-1, -2, -5, -6]);
      const weights = MODELS['a Pad of the weights of a Conv']!;
      closeTo(await run(ort, weights.model, { ...on, graphOptimizationLevel: 'disabled' }), weights.y);
      const refusal = await run(ort, weights.model, on).catch(String);
      expect(refusal).to.include('is not a graph input, initializer, or output of a previous node');
    }).timeout(30_000);
  }
});

describe('runtime/core/workarounds: texts', () => {
  const bytes = smallModel([operator('Identity', 'x', 'y')], {
    input: [declared('x', STRING, ['N'])],
    output: [declared('y', STRING, ['N'])],
  });
  const texts = ['a', 'b\0c'];

  it('a session refuses a text that ONNX Runtime would cut off at U+0000', async () => {
    await using session = await createSession(bytes, { providers: ['wasm'] });
    const error = await rejection(session.run({ x: tensor('string', [2], texts) }));
    expect(error).to.have.property('code', 'INPUT_DTYPE');
    expect(String(error)).to.include("'x': text 1 has the character U+0000");
  });

  for (const [name, { InferenceSession, Tensor }] of Object.entries({ node, web })) {
    it(`onnxruntime-${name} itself still needs cutText, because it cuts texts off`, async () => {
      const session = await InferenceSession.create(bytes);
      const { y } = await session.run({ x: new Tensor('string', texts, [2]) });
      expect(y!.data).to.deep.equal(['a', 'b']);
      await session.release();
    });
  }
});
