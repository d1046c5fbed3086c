import { expect } from 'chai';
import { before, it } from 'mocha';
import * as common from 'onnxruntime-common';
import * as node from 'onnxruntime-node';
import { registerNativeCpu } from '../../../lib/runtime/native-cpu.js';
import { all, int, message, text, valueInfo } from '../../onnx/bytes.js';
import {
  groupNormModel,
  maxAbsDifference,
  randomTensor,
  referenceGroupNorm,
} from '../../support/group-norm.js';
import { describeNative } from '../../support/native.js';
import { withInitializersAsInputs } from '../../support/optional-inputs.js';
import { rejection, temporaryFolder } from '../../support/temporary.js';

const CASE = { x: randomTensor('float32', [2, 8, 6, 5], { mean: 1000 }), numGroups: 4, eps: 2 ** -17 };
const MODEL = groupNormModel(CASE, { lowering: 'op', opset: 21 });
const OPTIONS = { executionProviders: ['native-cpu'] };

describeNative("ONNX Runtime's own interface with native-cpu", () => {
  before(registerNativeCpu);
  const at = temporaryFolder();

  for (const [name, ort] of Object.entries({ 'onnxruntime-common': common, 'onnxruntime-node': node })) {
    it(`runs through ${name}, and is right where ONNX Runtime's own body is not`, async () => {
      const session = await ort.InferenceSession.create(MODEL, OPTIONS);
      expect([session.inputNames, session.outputNames]).to.deep.equal([['x'], ['y']]);
      expect(session.inputMetadata).to.deep.equal([
        { name: 'x', isTensor: true, type: 'float32', shape: ['D0', 8, 'D2', 'D3'] },
      ]);
      const x = new ort.Tensor('float32', CASE.x.data as Float32Array, CASE.x.dims);
      const { y } = await session.run({ x });
      expect(y).to.be.instanceOf(ort.Tensor);
      const data = y!.data as Float32Array;
      expect(
        maxAbsDifference({ dtype: 'float32', dims: y!.dims, data }, referenceGroupNorm(CASE)),
      ).to.be.below(1e-6);
      await session.release();
    });
  }

  it('native-cpu lists required inputs only, as onnxruntime-node, and takes other values for optional inputs', async () => {
    const scale = randomTensor('float32', [8], { stream: 'scale' });
    const ones = randomTensor('float32', [8], { mean: 1, deviation: 0 });
    const model = groupNormModel({ ...CASE, scale: ones }, { lowering: 'op', opset: 21 });
    const session = await node.InferenceSession.create(withInitializersAsInputs(model), OPTIONS);
    expect(session.inputNames).to.deep.equal(['x']);
    const feeds = Object.entries({ x: CASE.x, weight: scale }).map(([name, { data, dims }]) => [
      name,
      new node.Tensor('float32', data as Float32Array, dims),
    ]);
    const { y } = await session.run(Object.fromEntries(feeds) as Record<string, node.Tensor>);
    const data = y!.data as Float32Array;
    const expected = referenceGroupNorm({ ...CASE, scale });
    expect(maxAbsDifference({ dtype: 'float32', dims: y!.dims, data }, expected)).to.be.below(1e-5);
    await session.release();
  });

  it('writes into the tensor of a fetch', async () => {
    const session = await node.InferenceSession.create(MODEL, OPTIONS);
    const feeds = { x: new node.Tensor('float32', CASE.x.data as Float32Array, CASE.x.dims) };
    const y = new node.Tensor('float32', new Float32Array(CASE.x.data.length), CASE.x.dims);
    const results = await session.run(feeds, { y });
    expect(results.y!.data).to.equal(y.data);
    expect(
      maxAbsDifference({ dtype: 'float32', dims: y.dims, data: y.data }, referenceGroupNorm(CASE)),
    ).to.be.below(1e-6);
    await session.release();
  });

  it('passes float16 on as its bits', async () => {
    const half = { ...CASE, x: randomTensor('float16', [2, 8, 6, 5]) };
    const session = await node.InferenceSession.create(
      groupNormModel(half, { lowering: 'op', opset: 21 }),
      OPTIONS,
    );
    const { y } = await session.run({
      x: new node.Tensor('float16', half.x.data as Uint16Array, half.x.dims),
    });
    const bits = new Uint16Array((y!.data as Uint16Array).buffer);
    expect(
      maxAbsDifference({ dtype: 'float16', dims: y!.dims, data: bits }, referenceGroupNorm(half)),
    ).to.be.below(4e-3);
    await session.release();
  });

  it('fixes the sizes of free dimensions', async () => {
    const session = await node.InferenceSession.create(MODEL, {
      ...OPTIONS,
      freeDimensionOverrides: { D0: 2, D3: 5 },
    });
    expect(session.inputMetadata[0]).to.have.deep.property('shape', [2, 8, 'D2', 5]);
    const batch = new node.Tensor('float32', new Float32Array(3 * 240), [3, 8, 6, 5]);
    expect(await rejection(session.run({ x: batch }))).to.have.property('code', 'INPUT_SHAPE');
    await session.release();
  });

  it('writes the optimized model, and runs nodes side by side', async () => {
    const path = at('optimized.onnx');
    const options = { executionMode: 'parallel', interOpNumThreads: 2, enableMemPattern: false } as const;
    for (const [model, more] of [
      [MODEL, { ...options, optimizedModelFilePath: path }],
      [path, {}],
    ] as const) {
      // The two `create`s are overloads.
      const session = await node.InferenceSession.create(model as string, { ...OPTIONS, ...more });
      const { y } = await session.run({
        x: new node.Tensor('float32', CASE.x.data as Float32Array, CASE.x.dims),
      });
      const data = y!.data as Float32Array;
      expect(
        maxAbsDifference({ dtype: 'float32', dims: y!.dims, data }, referenceGroupNorm(CASE)),
      ).to.be.below(1e-6);
      await session.release();
    }
  });

  const refused: Record<string, [object, string]> = {
    'data that it would not read': [
      { externalData: [{ path: 'weights', data: new Uint8Array(1) }] },
      'externalData is not read: give the path of the model',
    ],
    'an unknown mode': [{ executionMode: 'both' }, 'executionMode must be sequential or parallel'],
    'threads that are not a number': [{ interOpNumThreads: '2' }, 'interOpNumThreads must be an integer'],
    'a negative size': [{ freeDimensionOverrides: { D0: -1 } }, 'freeDimensionOverrides must be sizes'],
    'an entry that is not a text': [
      { extra: { session: { a: [null] } } },
      'extra: session.a.0 must be a string, a number or a boolean',
    ],
  };
  for (const [what, [options, words]] of Object.entries(refused)) {
    it(`refuses ${what}`, async () => {
      const error = await rejection(node.InferenceSession.create(MODEL, { ...OPTIONS, ...options }));
      expect(error).to.have.property('code', 'INVALID_OPTION');
      expect(error).to.have.property('message').that.includes(`native-cpu: ${words}`);
    });
  }

  it("says that tensors of strings need ONNX Runtime's own provider", async () => {
    const model = all(
      int(1, 10),
      message(
        7,
        message(1, text(1, 'x'), text(2, 'y'), text(4, 'Identity')),
        valueInfo(11, 'x', 8, 1),
        valueInfo(12, 'y', 8, 1),
      ),
      message(8, int(2, 21)),
    );
    const error = await rejection(node.InferenceSession.create(model, OPTIONS));
    expect(error).to.have.property('code', 'MODEL_UNSUPPORTED');
    expect(error)
      .to.have.property('message')
      .that.matches(/'x' holds strings, which cannot be passed; .* executionProviders: \['cpu'\]/);
  });

  it('refuses what is not a model', async () => {
    expect(
      await rejection(node.InferenceSession.create(new Uint8Array(100).fill(255), OPTIONS)),
    ).to.be.instanceOf(Error);
  });
});
