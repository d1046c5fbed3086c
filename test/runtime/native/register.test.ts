import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { it } from 'mocha';
import * as common from 'onnxruntime-common';
import * as node from 'onnxruntime-node';
import { OptionError } from '../../../lib/errors.js';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import { encodeModelExternal } from '../../../lib/onnx/encode.js';
import { tensor } from '../../../lib/tensor.js';
import { registerNativeCpu } from '../../../lib/native-cpu.js';
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
import { externalTensor, modelsWithTensor } from '../../support/tensor-places.js';

const CASE = { x: randomTensor('float32', [2, 8, 6, 5], { mean: 1000 }), numGroups: 4, eps: 2 ** -17 };
const MODEL = groupNormModel(CASE, { lowering: 'op', opset: 21 });
const OPTIONS = { executionProviders: ['native-cpu'] };

/** Collects the warnings of `native-cpu` from here on. Returns a function that waits for them and ends it. */
function warningsOf(): () => Promise<string[]> {
  const said: string[] = [];
  const listen = (warning: Error & { code?: string }) => {
    if (warning.code === 'ONNX_GROUPNORM_NATIVE_CPU') said.push(warning.message);
  };
  process.on('warning', listen);
  return async () => {
    await new Promise(setImmediate);
    process.off('warning', listen);
    return said;
  };
}

describeNative("ONNX Runtime's own interface with native-cpu", () => {
  const at = temporaryFolder();

  for (const [name, ort] of Object.entries({ 'onnxruntime-common': common, 'onnxruntime-node': node })) {
    it(`native-cpu runs through ${name}, and is right where ONNX Runtime's own body is not`, async () => {
      const session = await ort.InferenceSession.create(MODEL, OPTIONS);
      expect([session.inputNames, session.outputNames]).to.deep.equal([['x'], ['y']]);
      expect(session.inputMetadata).to.deep.equal([
        { name: 'x', isTensor: true, type: 'float32', shape: ['D0', 8, 'D2', 'D3'] },
      ]);
      const x = new ort.Tensor('float32', CASE.x.data, CASE.x.dims);
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
      new node.Tensor('float32', data, dims),
    ]);
    const { y } = await session.run(Object.fromEntries(feeds) as Record<string, node.Tensor>);
    const data = y!.data as Float32Array;
    const expected = referenceGroupNorm({ ...CASE, scale });
    expect(maxAbsDifference({ dtype: 'float32', dims: y!.dims, data }, expected)).to.be.below(1e-5);
    await session.release();
  });

  it('native-cpu writes into the tensor of a fetch', async () => {
    const session = await node.InferenceSession.create(MODEL, OPTIONS);
    const feeds = { x: new node.Tensor('float32', CASE.x.data, CASE.x.dims) };
    const y = new node.Tensor('float32', new Float32Array(CASE.x.data.length), CASE.x.dims);
    const results = await session.run(feeds, { y });
    expect(results.y!.data).to.equal(y.data);
    expect(
      maxAbsDifference({ dtype: 'float32', dims: y.dims, data: y.data }, referenceGroupNorm(CASE)),
    ).to.be.below(1e-6);
    await session.release();
  });

  it('native-cpu passes float16 on as its bits', async () => {
    const half = { ...CASE, x: randomTensor('float16', [2, 8, 6, 5]) };
    const session = await node.InferenceSession.create(
      groupNormModel(half, { lowering: 'op', opset: 21 }),
      OPTIONS,
    );
    const { y } = await session.run({
      x: new node.Tensor('float16', half.x.data, half.x.dims),
    });
    const bits = new Uint16Array((y!.data as Uint16Array).buffer);
    expect(
      maxAbsDifference({ dtype: 'float16', dims: y!.dims, data: bits }, referenceGroupNorm(half)),
    ).to.be.below(4e-3);
    await session.release();
  });

  it('native-cpu ignores freeDimensionOverrides as onnxruntime-node does, with a warning', async () => {
    const warnings = warningsOf();
    for (const executionProviders of [['native-cpu'], ['cpu']]) {
      const session = await node.InferenceSession.create(MODEL, {
        executionProviders,
        freeDimensionOverrides: { D0: 2, D3: 5 },
      });
      expect(session.inputMetadata[0]).to.have.deep.property('shape', ['D0', 8, 'D2', 'D3']);
      const batch = new node.Tensor('float32', new Float32Array(3 * 240), [3, 8, 6, 5]);
      expect((await session.run({ x: batch })).y!.dims).to.deep.equal([3, 8, 6, 5]);
      await session.release();
    }
    expect(await warnings()).to.deep.equal([
      "native-cpu ignores freeDimensionOverrides, as onnxruntime-node does; createSession's option of that name works",
    ]);
  });

  it('native-cpu ignores feeds that are not inputs of the model, with one warning for each name', async () => {
    const warnings = warningsOf();
    const session = await node.InferenceSession.create(MODEL, OPTIONS);
    const x = new node.Tensor('float32', CASE.x.data, CASE.x.dims);
    for (let count = 0; count < 2; count++) {
      const { y } = await session.run({ x, attention_mask: new node.Tensor('string', ['a'], [1]) });
      expect(
        maxAbsDifference(
          { dtype: 'float32', dims: y!.dims, data: y!.data as Float32Array },
          referenceGroupNorm(CASE),
        ),
      ).to.be.below(1e-6);
    }
    await session.release();
    expect(await warnings()).to.deep.equal([
      "native-cpu ignores the feed 'attention_mask': the model's inputs are x",
    ]);
  });

  it('native-cpu reads weights from the buffers of externalData', async () => {
    const g = new GraphBuilder('external');
    const x = g.input('x', 'float32', ['N', 1024]);
    g.output('y', op.add(g, x, g.parameter('weight', { dtype: 'float32', shape: [1024] })));
    const values = Float32Array.from({ length: 1024 }, (_, i) => i);
    const weights = new Map([['weight', tensor('float32', [1024], values)]]);
    const { model, data } = encodeModelExternal(g.build(), weights, 'w.bin');
    writeFileSync(at('external.onnx'), model);
    for (const [source, provider] of [
      [model, 'native-cpu'],
      [at('external.onnx'), 'native-cpu'],
      [model, 'cpu'],
    ] as const) {
      // The two `create`s are overloads.
      const session = await node.InferenceSession.create(source as string, {
        executionProviders: [provider],
        externalData: [{ path: 'w.bin', data: Buffer.concat(data) }],
      });
      const { y } = await session.run({ x: new node.Tensor('float32', new Float32Array(1024), [1, 1024]) });
      expect(y!.data).to.deep.equal(values);
      await session.release();
    }
    const without = await rejection(node.InferenceSession.create(model, OPTIONS));
    expect(without).to.have.property('message').that.includes("separate file 'w.bin'");
  });

  it('native-cpu opens no file for tensors that ONNX Runtime does not take from the buffers of externalData', async () => {
    // ONNX Runtime reads these tensors from the working directory, where this file is.
    const name = 'package.json';
    for (const [place, model] of Object.entries(modelsWithTensor(externalTensor(name)))) {
      if (place === 'initializer') continue;
      const externalData = [{ path: name, data: new Uint8Array(16) }];
      const error = await rejection(node.InferenceSession.create(model, { ...OPTIONS, externalData }));
      expect(error, place)
        .to.have.property('message')
        .that.includes('which alone ONNX Runtime takes from memory (externalData)');
    }
  });

  it('endProfiling of native-cpu writes the profile at once', async () => {
    const session = await node.InferenceSession.create(MODEL, {
      ...OPTIONS,
      enableProfiling: true,
      profileFilePrefix: at('profile'),
    });
    await session.run({ x: new node.Tensor('float32', CASE.x.data, CASE.x.dims) });
    session.endProfiling();
    const [name] = readdirSync(at()).filter((file) => file.startsWith('profile'));
    const events = JSON.parse(readFileSync(at(name!), 'utf8')) as { args?: { op_name?: string } }[];
    expect(events.map((event) => event.args?.op_name)).to.include('GroupNormalization');
    await session.release();
  });

  it('native-cpu writes the optimized model, and runs nodes side by side', async () => {
    const path = at('optimized.onnx');
    const options = { executionMode: 'parallel', interOpNumThreads: 2, enableMemPattern: false } as const;
    for (const [model, more] of [
      [MODEL, { ...options, optimizedModelFilePath: path }],
      [path, {}],
    ] as const) {
      // The two `create`s are overloads.
      const session = await node.InferenceSession.create(model as string, { ...OPTIONS, ...more });
      const { y } = await session.run({
        x: new node.Tensor('float32', CASE.x.data, CASE.x.dims),
      });
      const data = y!.data as Float32Array;
      expect(
        maxAbsDifference({ dtype: 'float32', dims: y!.dims, data }, referenceGroupNorm(CASE)),
      ).to.be.below(1e-6);
      await session.release();
    }
  });

  const refused: Record<string, [object, string]> = {
    'external data that is not bytes': [
      { externalData: [{ path: 'weights', data: new Float32Array(1) }] },
      'externalData must be a list of { path, data }',
    ],
    'an unknown mode': [{ executionMode: 'both' }, 'executionMode must be sequential or parallel'],
    'threads that are not a number': [{ interOpNumThreads: '2' }, 'interOpNumThreads must be an integer'],
    'an entry that is not a text': [
      { extra: { session: { a: [null] } } },
      'extra: session.a.0 must be a string, a number or a boolean',
    ],
  };
  for (const [what, [options, words]] of Object.entries(refused)) {
    it(`native-cpu refuses ${what}`, async () => {
      const error = await rejection(node.InferenceSession.create(MODEL, { ...OPTIONS, ...options }));
      expect(error).to.have.property('code', 'INVALID_OPTION');
      expect(error).to.have.property('message').that.includes(`native-cpu: ${words}`);
    });
  }

  const STRINGS = all(
    int(1, 10),
    message(
      7,
      message(1, text(1, 'x'), text(2, 'y'), text(4, 'Identity')),
      valueInfo(11, 'x', 8, 1),
      valueInfo(12, 'y', 8, 1),
    ),
    message(8, int(2, 21)),
  );

  it("native-cpu says that tensors of strings need ONNX Runtime's own provider", async () => {
    const error = await rejection(node.InferenceSession.create(STRINGS, OPTIONS));
    expect(error).to.have.property('code', 'MODEL_UNSUPPORTED');
    expect(error)
      .to.have.property('message')
      .that.matches(/'x' holds strings, which cannot be passed; .* \['native-cpu', 'cpu'\]/);
  });

  it('a model that native-cpu cannot run goes to the next provider of the list, with the reason as a warning', async () => {
    const warnings = warningsOf();
    const session = await node.InferenceSession.create(STRINGS, {
      executionProviders: ['native-cpu', 'cpu'],
    });
    expect([session.inputNames, session.outputNames]).to.deep.equal([['x'], ['y']]);
    expect(session.inputMetadata[0]).to.have.property('type', 'string');
    const { y } = await session.run({ x: new node.Tensor('string', ['a'], [1]) });
    expect(y!.data).to.deep.equal(['a']);
    await session.release();
    const [said, ...others] = await warnings();
    expect(others).to.deep.equal([]);
    expect(said).to.match(/^native-cpu cannot run this model, and cpu gets it: .*'x' holds strings/);
  });

  it('a model that would end the process, or read files, goes to no other provider of the list', async () => {
    const read = message(5, text(8, 'w'), int(1, 1), int(2, 1), message(13, text(1, 'location'), text(2, 'w.bin')), int(14, 1)); // prettier-ignore
    const ends = message(1, text(1, 'x'), text(1, ''), text(2, 'y'), text(4, 'Min'));
    const reads = message(1, text(1, 'x'), text(1, 'w'), text(2, 'y'), text(4, 'Add'));
    for (const parts of [[ends], [reads, read]]) {
      const graph = message(7, ...parts, valueInfo(11, 'x', 1, 1), valueInfo(12, 'y', 1, 1));
      const model = all(int(1, 10), graph, message(8, int(2, 21)));
      const error = await rejection(
        node.InferenceSession.create(model, { executionProviders: ['native-cpu', 'cpu'] }),
      );
      expect(error)
        .to.have.property('message')
        .that.matches(/would end or hang|a model given as bytes cannot find/);
    }
  });

  it('registerNativeCpu may be called again, and refuses what is not onnxruntime', () => {
    registerNativeCpu(node);
    registerNativeCpu(common);
    expect(() => registerNativeCpu({} as typeof node))
      .to.throw(OptionError, 'registerNativeCpu takes the module onnxruntime-node or onnxruntime-common')
      .with.property('code', 'INVALID_OPTION');
  });

  it('native-cpu refuses what is not a model', async () => {
    expect(
      await rejection(node.InferenceSession.create(new Uint8Array(100).fill(255), OPTIONS)),
    ).to.be.instanceOf(Error);
  });
});
