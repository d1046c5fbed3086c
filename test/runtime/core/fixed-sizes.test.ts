/** Models with names for sizes, which sessions without the native kernel load once more for sizes that come again. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { Backend, ModelToLoad, SessionOptions } from '../../../lib/runtime/core/contract.js';
import { Model } from '../../../lib/onnx/model.js';
import { openSession } from '../../../lib/runtime/core/open.js';
import { NODE } from '../../../lib/runtime/node.js';
import { cpuBackend } from '../../../lib/runtime/ort-node/model.js';
import type { Shape, TensorData } from '../../../lib/tensor.js';
import {
  groupNormModel,
  maxAbsDifference,
  randomTensor,
  referenceGroupNorm,
} from '../../support/group-norm.js';

const GROUP_NORM = { numGroups: 2, eps: 1e-5 };
const image = (...dims: number[]): TensorData => randomTensor('float32', dims);
const modelOf = (shape: Shape): Uint8Array =>
  groupNormModel({ ...GROUP_NORM, x: image(1, 4, 3, 5) }, { lowering: 'op', opset: 21, shape });
const NAMED = ['N', 4, 'H', 'W'];

/** Opens a session on onnxruntime-node. `shapes` gets the declared shape of the input of each model that is loaded. */
async function open(model: Uint8Array, options: SessionOptions = {}, fails = false) {
  const shapes: (Shape | undefined)[] = [];
  const load = (toLoad: ModelToLoad, ...rest: Tail<Parameters<Backend['load']>>) => {
    shapes.push(Model.decode(toLoad.bytes, 'model').index.typeOf('x')?.shape);
    if (fails && shapes.length > 1) return Promise.reject(new Error('there is not enough memory'));
    return cpuBackend.load(toLoad, ...rest);
  };
  const platform = { ...NODE, backends: { cpu: [{ ...cpuBackend, load }] } };
  return { session: await openSession(platform, model, { providers: ['cpu'], ...options }), shapes };
}

type Tail<List extends readonly unknown[]> = List extends [unknown, ...infer Rest] ? Rest : never;

describe('sessions without the native kernel, of models with names for sizes', () => {
  it('a session loads such a model once more, for the sizes that two runs in a row have and any batch', async () => {
    const { session, shapes } = await open(modelOf(NAMED));
    expect(shapes).to.deep.equal([NAMED]);
    for (const dims of [
      [1, 4, 5, 6],
      [1, 4, 6, 5],
      [3, 4, 6, 5],
      [1, 4, 5, 6],
      [1, 4, 6, 5],
    ]) {
      const x = image(...dims);
      const { y } = await session.run({ x });
      expect(y!.dims).to.deep.equal(dims);
      expect(maxAbsDifference(y!, referenceGroupNorm({ ...GROUP_NORM, x }))).to.be.below(2e-6);
    }
    expect(shapes).to.deep.equal([NAMED, ['N', 4, 6, 5]]);
    await session.dispose();
  });

  it('runs that wait for the second load may be under way at once while the caller changes the inputs and the model, and dispose waits for them', async () => {
    const model = modelOf(NAMED);
    const { session, shapes } = await open(model);
    model.fill(0);
    await session.run({ x: image(1, 4, 6, 5) });
    const x = image(1, 4, 6, 5);
    const expected = referenceGroupNorm({ ...GROUP_NORM, x });
    const other = image(1, 4, 2, 3);
    const runs = [session.run({ x }), session.run({ x }), session.run({ x: other })];
    (x.data as Float32Array).fill(0);
    await session.dispose();
    const results = await Promise.all(runs);
    for (const { y } of results.slice(0, 2)) expect(maxAbsDifference(y!, expected)).to.be.below(2e-6);
    expect(maxAbsDifference(results[2]!.y!, referenceGroupNorm({ ...GROUP_NORM, x: other }))).to.be.below(
      2e-6,
    );
    expect(shapes).to.have.length(2);
  });

  it('a session loads such a model once for a single run, and for runs of different sizes', async () => {
    const { session, shapes } = await open(modelOf(NAMED));
    for (const height of [6, 7, 6, 8]) await session.run({ x: image(1, 4, height, 5) });
    expect(shapes).to.deep.equal([NAMED]);
    await session.dispose();
  });

  it('a session runs the model with names if it cannot be loaded once more', async () => {
    const { session, shapes } = await open(modelOf(NAMED), {}, true);
    const x = image(1, 4, 6, 5);
    for (let run = 0; run < 2; run++) {
      const { y } = await session.run({ x });
      expect(maxAbsDifference(y!, referenceGroupNorm({ ...GROUP_NORM, x }))).to.be.below(2e-6);
    }
    expect(shapes).to.have.length(2);
    await session.dispose();
  });

  it('a session loads a model once if its rows have a known length, or are left to ONNX Runtime', async () => {
    const cases: [Uint8Array, SessionOptions][] = [
      [modelOf(['N', 4, 6, 5]), {}],
      [modelOf(NAMED), { groupNorm: 'op' }],
    ];
    for (const [model, options] of cases) {
      const { session, shapes } = await open(model, options);
      for (let run = 0; run < 2; run++) await session.run({ x: image(2, 4, 6, 5) });
      expect(shapes).to.have.length(1);
      await session.dispose();
    }
  });
});
