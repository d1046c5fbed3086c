import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder } from '../../lib/graph/builder.js';
import type { DeferredTensor } from '../../lib/graph/types.js';
import * as op from '../../lib/graph/ops/index.js';
import { encodeModel } from '../../lib/onnx/encode.js';
import { writeModel } from '../../lib/onnx/write.js';
import { createSession } from '../../lib/runtime/node.js';
import { tensor, tensorBytes, type TensorData } from '../../lib/tensor.js';
import { initializeWeights } from '../../lib/weights/initialize.js';

const g = new GraphBuilder('sample');
g.output(
  'y',
  op.mul(g, g.input('x', 'float32', [1000]), g.parameter('w', { dtype: 'float32', shape: [1000] })),
);
const GRAPH = g.build();
const WEIGHTS = new Map([
  [
    'w',
    tensor(
      'float32',
      [1000],
      Float32Array.from({ length: 1000 }, (_, i) => i),
    ),
  ],
]);

/** The same tensor, read in pieces of 1000 bytes. */
const inPieces = (weight: TensorData): DeferredTensor => ({
  dtype: weight.dtype,
  dims: weight.dims,
  // eslint-disable-next-line @typescript-eslint/require-await
  async *read() {
    const bytes = tensorBytes(weight);
    for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000);
  },
});

async function inFolder(action: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'write-'));
  try {
    await action(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

describe('writeModel', () => {
  it('writeModel writes the bytes of encodeModel, and returns their number', () =>
    inFolder(async (folder) => {
      const path = join(folder, 'm.onnx');
      const written = await writeModel(path, GRAPH, WEIGHTS, { opset: 17 });
      const bytes = await readFile(path);
      expect(new Uint8Array(bytes)).to.deep.equal(new Uint8Array(encodeModel(GRAPH, WEIGHTS, { opset: 17 })));
      expect(written).to.equal(bytes.byteLength);
    }));

  it('writeModel writes external data beside the model, and ONNX Runtime finds it', () =>
    inFolder(async (folder) => {
      const path = join(folder, 'm.onnx');
      const written = await writeModel(path, GRAPH, WEIGHTS, { externalData: true });
      expect(await readdir(folder)).to.deep.equal(['m.onnx', 'm.onnx.data']);
      const sizes = (await Promise.all([readFile(path), readFile(`${path}.data`)])).map(
        ({ byteLength }) => byteLength,
      );
      expect(written).to.equal(sizes[0]! + sizes[1]!);
      const session = await createSession(path);
      const { y } = await session.run({ x: tensor('float32', [1000], new Float32Array(1000).fill(2)) });
      expect([y!.data[1], y!.data[999]]).to.deep.equal([2, 1998]);
      await session.dispose();
    }));

  it('writeModel writes no second file if every tensor is small', () =>
    inFolder(async (folder) => {
      const small = new GraphBuilder('small');
      const w = small.parameter('w', { dtype: 'float32', shape: [2] });
      small.output('y', op.mul(small, small.input('x', 'float32', [2]), w));
      const weights = new Map([['w', tensor('float32', [2], Float32Array.of(1, 2))]]);
      await writeModel(join(folder, 'm.onnx'), small.build(), weights, { externalData: true });
      expect(await readdir(folder)).to.deep.equal(['m.onnx']);
    }));

  it('writeModel writes the same bytes if the weights are read while it writes, inside the model and beside it', () =>
    inFolder(async (folder) => {
      const both = new GraphBuilder('both');
      const w = both.parameter('w', { dtype: 'float32', shape: [4, 300], standardizeEps: 1e-6 });
      const b = both.parameter('b', { dtype: 'float32', shape: [300] });
      const small = both.parameter('small', { dtype: 'float32', shape: [1] });
      const x = both.input('x', 'float32', [1, 4]);
      both.output('y', op.mul(both, op.add(both, op.matMul(both, x, w), b), small));
      const graph = both.build();
      const weights = initializeWeights(graph, 3);
      const deferred = new Map([...weights].map(([name, weight]) => [name, inPieces(weight)]));
      for (const externalData of [false, true]) {
        const paths = [join(folder, 'whole', 'm.onnx'), join(folder, 'pieces', 'm.onnx')] as const;
        const sizes = [
          await writeModel(paths[0], graph, weights, { externalData }),
          await writeModel(paths[1], graph, deferred, { externalData }),
        ];
        expect(sizes[0]).to.equal(sizes[1]);
        for (const end of externalData ? ['', '.data'] : ['']) {
          const [whole, pieces] = await Promise.all(paths.map((path) => readFile(path + end)));
          expect(whole!.equals(pieces!)).to.be.true;
        }
      }
    }));

  it('writeModel writes no file if reading a weight fails, or gives too few bytes', () =>
    inFolder(async (folder) => {
      const path = join(folder, 'm.onnx');
      const read = (bytes: number, error?: Error) =>
        // eslint-disable-next-line @typescript-eslint/require-await
        async function* () {
          yield new Uint8Array(bytes);
          if (error) throw error;
        };
      const failing = (how: () => AsyncIterable<Uint8Array>) =>
        writeModel(path, GRAPH, new Map([['w', { dtype: 'float32', dims: [1000], read: how }]]), {
          externalData: true,
        }).then(
          () => 'written',
          (error: Error) => error.message,
        );
      expect(await failing(read(100, new Error('the disk is gone')))).to.equal('the disk is gone');
      expect(await failing(read(3999))).to.equal('a tensor of 4000 bytes was read as 3999 bytes');
      expect(await readdir(folder)).to.deep.equal([]);
      expect(await failing(read(4000))).to.equal('written');
    }));

  it('writeModel leaves the old file alone when it fails', () =>
    inFolder(async (folder) => {
      const path = join(folder, 'm.onnx');
      await writeFile(path, 'old');
      let failed = false;
      await writeModel(path, GRAPH, new Map()).catch(() => (failed = true));
      expect([failed, await readFile(path, 'utf8'), await readdir(folder)]).to.deep.equal([
        true,
        'old',
        ['m.onnx'],
      ]);
    }));
});
