import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import { encodeModel } from '../../../lib/onnx/encode.js';
import { writeModel } from '../../../lib/onnx/write.js';
import { prepareModel } from '../../../lib/runtime/model/prepare.js';
import { createSession } from '../../../lib/runtime/node.js';
import { nodeWasmBackend } from '../../../lib/runtime/ort-web/node.js';
import { tensor } from '../../../lib/tensor.js';
import { bundle } from '../../support/bundle.js';
import {
  groupNormModel,
  maxAbsDifference,
  randomTensor,
  referenceGroupNorm,
} from '../../support/group-norm.js';

const open = (model: Uint8Array | string) => createSession(model, { providers: ['wasm'] });
const NUM_GROUPS = 4;

describe('the wasm provider', () => {
  /** Half a unit in the last place of a result of at most 4. */
  const tolerances = { float32: 2e-6, float64: 1e-12, float16: 2 ** -10, bfloat16: 2 ** -7 } as const;
  for (const [dtype, tolerance] of Object.entries(tolerances) as [keyof typeof tolerances, number][]) {
    it(`the wasm provider runs GroupNormalization in ${dtype}, and takes and returns ${dtype} tensors`, async () => {
      const x = randomTensor(dtype, [2, 8, 3, 5]);
      const groupNorm = { x, numGroups: NUM_GROUPS, eps: 1e-5 };
      const session = await open(groupNormModel(groupNorm, { lowering: 'op', opset: 21 }));
      expect(session.groupNorm).to.equal('reduce-mean');
      expect(session.inputs).to.deep.equal([{ name: 'x', dtype, shape: ['D0', 8, 'D2', 'D3'] }]);
      const { y } = await session.run({ x });
      expect([y!.dtype, y!.data.constructor]).to.deep.equal([dtype, x.data.constructor]);
      expect(maxAbsDifference(y!, referenceGroupNorm(groupNorm))).to.be.below(tolerance);
      await session.dispose();
    });
  }

  it('the wasm provider returns to each of several concurrent runs of several sessions its own result', async () => {
    const x0 = randomTensor('float32', [1, 8, 2]);
    const model = groupNormModel({ x: x0, numGroups: NUM_GROUPS, eps: 1e-5 }, { lowering: 'op', opset: 21 });
    const sessions = await Promise.all([open(model), open(model)]);
    const inputs = Array.from({ length: 16 }, (_, seed) =>
      randomTensor('float32', [1, 8, 2 + seed], { seed }),
    );
    const results = await Promise.all(inputs.map((x, i) => sessions[i % 2]!.run({ x })));
    results.forEach(({ y }, i) => {
      const expected = referenceGroupNorm({ x: inputs[i]!, numGroups: NUM_GROUPS, eps: 1e-5 });
      expect(maxAbsDifference(y!, expected)).to.be.below(5e-6);
    });
    await Promise.all(sessions.map((session) => session.dispose()));
  });

  it('the wasm provider reads weights of megabytes out of the bytes of the model, and leaves small weights in the model', async () => {
    const g = new GraphBuilder('scale');
    const length = 2 ** 18;
    const large = Float32Array.from({ length }, (_, i) => i);
    const scale = g.constant(tensor('float32', [length], large));
    const shift = g.constant(tensor('float32', [1], Float32Array.of(0.5)));
    g.output('y', op.add(g, op.mul(g, g.input('x', 'float32', [1]), scale), shift));
    const model = encodeModel(g.build(), new Map());
    const prepared = prepareModel(model, 'model', undefined, undefined, nodeWasmBackend);
    expect(prepared.fileInMemory?.bytes).to.equal(model);
    expect(prepared.bytes.byteLength).to.be.below(1000);
    const session = await open(model);
    const { y } = await session.run({ x: tensor('float32', [1], Float32Array.of(2)) });
    expect(y!.data).to.deep.equal(large.map((value) => 2 * value + 0.5));
    await session.dispose();
  });

  it('the wasm provider runs again after a run that failed', async () => {
    const g = new GraphBuilder('sum');
    g.output('y', op.add(g, g.input('a', 'float32', ['A']), g.input('b', 'float32', ['B'])));
    const session = await open(encodeModel(g.build(), new Map()));
    const vector = (length: number) => tensor('float32', [length], new Float32Array(length).fill(1));
    const failed: unknown = await session
      .run({ a: vector(2), b: vector(3) })
      .catch((error: unknown) => error);
    expect(failed).to.have.property('code', 'RUN_FAILED');
    expect([...(await session.run({ a: vector(2), b: vector(2) })).y!.data]).to.deep.equal([2, 2]);
    await session.dispose();
  });

  it('the wasm provider writes into given outputs, and refuses given outputs of another shape', async () => {
    const g = new GraphBuilder('relu');
    g.output('y', op.relu(g, g.input('x', 'float32', ['N'])));
    const session = await open(encodeModel(g.build(), new Map()));
    const x = tensor('float32', [2], Float32Array.of(-1, 1));
    const y = tensor('float32', [2], Float32Array.of(9, 9));
    const result = await session.run({ x }, { outputs: { y } });
    expect(result.y).to.equal(y);
    expect([...y.data]).to.deep.equal([0, 1]);
    const long = tensor('float32', [3], new Float32Array(3));
    const error: unknown = await session
      .run({ x }, { outputs: { y: long } })
      .catch((caught: unknown) => caught);
    expect(error).to.have.property('code', 'OUTPUT_INVALID');
    expect((error as Error).message).to.include("'y' is [2] in this run, but the tensor given for it is [3]");
    await session.dispose();
  });

  it('the wasm provider finds external data beside the model', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'wasm-'));
    try {
      const g = new GraphBuilder('external');
      const weight = g.parameter('weight', { dtype: 'float32', shape: [512] });
      g.output('y', op.mul(g, g.input('x', 'float32', ['N', 512]), weight));
      const scale = randomTensor('float32', [512]);
      const path = join(folder, 'model.onnx');
      await writeModel(path, g.build(), new Map([['weight', scale]]), { externalData: true });
      const session = await open(path);
      const { y } = await session.run({ x: tensor('float32', [1, 512], new Float32Array(512).fill(1)) });
      expect(y!.data).to.deep.equal(scale.data);
      await session.dispose();
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  // The second way of starting is one that threads refuse to inherit.
  for (const flags of [[], ['--input-type=module']]) {
    it(`the wasm provider leaves no thread behind that keeps the process from ending ${flags.join()}`, async function () {
      this.timeout(60_000);
      // A string starts the file, because Node takes `--input-type` only for a program in a string.
      const programs = pathToFileURL(await bundle(new URL('programs.ts', import.meta.url)));
      const program = `import('${programs.href}').then(({ relu }) => relu());`;
      const run = promisify(execFile)(process.execPath, [...flags, '-e', program], {
        cwd: tmpdir(),
        timeout: 50_000,
      });
      expect(await run).to.deep.equal({ stdout: '3\n', stderr: '' });
    });
  }
});
