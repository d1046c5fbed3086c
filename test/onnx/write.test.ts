import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder } from '../../lib/graph/builder.js';
import * as op from '../../lib/graph/ops/index.js';
import { encodeModel } from '../../lib/onnx/encode.js';
import { writeModel } from '../../lib/onnx/write.js';
import { createSession } from '../../lib/runtime/node.js';
import { tensor } from '../../lib/tensor.js';

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

async function inFolder(action: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'write-'));
  try {
    await action(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

describe('writeModel', () => {
  it('writes the bytes of encodeModel, and returns their number', () =>
    inFolder(async (folder) => {
      const path = join(folder, 'm.onnx');
      const written = await writeModel(path, GRAPH, WEIGHTS, { opset: 17 });
      const bytes = await readFile(path);
      expect(new Uint8Array(bytes)).to.deep.equal(new Uint8Array(encodeModel(GRAPH, WEIGHTS, { opset: 17 })));
      expect(written).to.equal(bytes.byteLength);
    }));

  it('writes external data beside the model, and ONNX Runtime finds it', () =>
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

  it('writes no second file if every tensor is small', () =>
    inFolder(async (folder) => {
      const small = new GraphBuilder('small');
      const w = small.parameter('w', { dtype: 'float32', shape: [2] });
      small.output('y', op.mul(small, small.input('x', 'float32', [2]), w));
      const weights = new Map([['w', tensor('float32', [2], Float32Array.of(1, 2))]]);
      await writeModel(join(folder, 'm.onnx'), small.build(), weights, { externalData: true });
      expect(await readdir(folder)).to.deep.equal(['m.onnx']);
    }));

  it('leaves the old file alone when it fails', () =>
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
