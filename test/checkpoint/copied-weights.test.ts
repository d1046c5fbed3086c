import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { defineGraph } from '../../graphs/shared/definition.js';
import { imageInput } from '../../graphs/shared/input.js';
import { conv } from '../../graphs/layers/convolution.js';
import { groupNorm } from '../../graphs/layers/normalization.js';
import type { Pretrained } from '../../graphs/shared/pretrained.js';
import { openFolder, type OpenPretrainedOptions } from '../../lib/checkpoint/open.js';
import { FileError } from '../../lib/errors.js';
import { GraphBuilder } from '../../lib/graph/builder.js';
import { encodeModel } from '../../lib/onnx/encode.js';
import { writeModel, type WriteOptions } from '../../lib/onnx/write.js';
import type { Provider } from '../../lib/runtime/core/contract.js';
import { createSession } from '../../lib/runtime/node.js';
import { useTemporaryFolder } from '../cli/support.js';
import { writeCheckpoint, writeShards, weightsFor } from '../support/checkpoint.js';
import { randomTensor } from '../support/group-norm.js';
import { rejection } from '../support/temporary.js';

/** Convolutions and GroupNorm of so many channels that the header is far below a hundredth of the file. */
const graph = defineGraph({
  name: 'wide',
  description: 'for tests',
  options: {
    part: { type: 'string', choices: ['all', 'first'], default: 'all', description: 'part' },
  },
  build({ part }, input) {
    const g = new GraphBuilder('wide');
    const x = imageInput(g, { ...input, channels: 3 });
    const first = conv(g.scope('first'), x, { outChannels: 512, kernelSize: 3, bias: true });
    const norm = groupNorm(g.scope('norm'), first, { numGroups: 4 });
    const last = () => conv(g.scope('last'), norm, { outChannels: 40, kernelSize: 3, bias: true });
    g.output('y', part === 'all' ? last() : norm);
    return g.build();
  },
});
const TABLE: readonly Pretrained[] = [
  {
    library: 'diffusers',
    classes: ['Wide'],
    graph,
    isUnused: (key, { part = 'all' }) => part !== 'all' && key.startsWith('last.'),
  },
];
const CONFIG = { _class_name: 'Wide', _diffusers_version: '0.35.0' };
const GRAPH = graph.build();
const STATE_DICT = weightsFor(GRAPH);
const FILE = 'wide/diffusion_pytorch_model.safetensors';

describe('copied weights', () => {
  const at = useTemporaryFolder();

  /** Builds the folder with external data, and returns the data. */
  async function build(options: OpenPretrainedOptions = {}, writing: WriteOptions = {}): Promise<Buffer> {
    await using model = await openFolder(TABLE, at('wide'), options);
    const size = await writeModel(at('m.onnx'), model.graph, model.weights, {
      externalData: true,
      ...writing,
    });
    const data = readFileSync(at('m.onnx.data'));
    expect(size).to.equal(statSync(at('m.onnx')).size + data.length);
    return data;
  }

  /** Requires that the model computes what it computes with its weights inside. */
  async function expectSameResults(providers: readonly Provider[] = ['cpu']): Promise<void> {
    const x = randomTensor('float32', [1, 3, 8, 8]);
    for (const provider of providers) {
      await using copied = await createSession(at('m.onnx'), { providers: [provider] });
      await using whole = await createSession(encodeModel(GRAPH, STATE_DICT), { providers: [provider] });
      expect(await copied.run({ x }), provider).to.deep.equal(await whole.run({ x }));
    }
  }

  it('writeModel copies a checkpoint that has the weights as the model needs them, and every runtime reads the copy', async () => {
    await writeCheckpoint(at('wide'), CONFIG, STATE_DICT);
    expect((await build()).equals(readFileSync(at(FILE)))).to.be.true;
    await expectSameResults(['native', 'cpu', 'wasm']);
  });

  it('writeModel copies the larger shard of a checkpoint, and writes the tensors of the other behind it', async () => {
    await writeShards(at('wide'), CONFIG, STATE_DICT);
    const shards = readdirSync(at('wide'))
      .filter((name) => name.endsWith('.safetensors'))
      .map((name) => readFileSync(at(`wide/${name}`)));
    const [larger, smaller] = shards.sort((a, b) => b.length - a.length);
    const data = await build();
    expect(data.subarray(0, larger!.length).equals(larger!)).to.be.true;
    expect(data.length).to.be.below(larger!.length + smaller!.length + 4 * 4096);
    await expectSameResults();
  });

  it('writeModel copies the file that a link of the cache of Hugging Face leads to', async () => {
    await writeCheckpoint(at('blobs'), CONFIG, STATE_DICT);
    mkdirSync(at('wide'));
    for (const name of readdirSync(at('blobs'))) symlinkSync(at(`blobs/${name}`), at(`wide/${name}`));
    expect((await build()).equals(readFileSync(at('blobs/diffusion_pytorch_model.safetensors')))).to.be.true;
  });

  it('writeModel copies no checkpoint of another dtype, and none of which the model uses a part', async () => {
    await writeCheckpoint(at('wide'), CONFIG, STATE_DICT);
    const { size } = statSync(at(FILE));
    const half = await build({ dtype: 'float16' });
    const part = await build({ part: 'first' });
    expect(half.length).to.be.below(0.6 * size);
    expect(part.length).to.be.below(0.2 * size);
  });

  it('writeModel writes tensors anew that are not aligned in the checkpoint', async () => {
    await writeCheckpoint(at('wide'), CONFIG, STATE_DICT);
    const file = readFileSync(at(FILE));
    const length = Number(file.readBigUInt64LE());
    const head = Buffer.concat([file.subarray(0, 8 + length), Buffer.from(' ')]);
    head.writeBigUInt64LE(BigInt(length + 1));
    const shifted = Buffer.concat([head, file.subarray(8 + length)]);
    writeFileSync(at(FILE), shifted);
    expect((await build()).subarray(0, 8).equals(shifted.subarray(0, 8))).to.be.false;
    await expectSameResults();
  });

  it('writeModel gives a copy the permissions of other new files, also of a checkpoint that is read-only', async () => {
    await writeCheckpoint(at('wide'), CONFIG, STATE_DICT);
    chmodSync(at(FILE), 0o400);
    await build();
    expect(statSync(at('m.onnx.data')).mode).to.equal(statSync(at('m.onnx')).mode);
  });

  it('writeModel fails over a checkpoint that has changed since it was opened, and leaves no file', async () => {
    await writeCheckpoint(at('wide'), CONFIG, STATE_DICT);
    const file = readFileSync(at(FILE));
    await using model = await openFolder(TABLE, at('wide'), {});
    writeFileSync(at(FILE), Buffer.concat([file, file]));
    const writing = writeModel(at('m.onnx'), model.graph, model.weights, { externalData: true });
    expect(await rejection(writing))
      .to.be.instanceOf(FileError)
      .with.property('message', `cannot read '${at(FILE)}': another program has changed it meanwhile`);
    expect(readdirSync(at())).to.deep.equal(['wide']);
  });

  it('writeModel says how many bytes are written, from none to all, for a copy and for tensors one by one', async () => {
    await writeCheckpoint(at('wide'), CONFIG, STATE_DICT);
    for (const dtype of ['float32', 'float16'] as const) {
      const heard: (readonly [number, number])[] = [];
      const data = await build({ dtype }, { onProgress: (...bytes) => heard.push(bytes) });
      const total = data.length + statSync(at('m.onnx')).size;
      expect(heard[0], dtype).to.deep.equal([0, total]);
      expect(heard.at(-1), dtype).to.deep.equal([total, total]);
      expect(heard.map(([written]) => written)).to.deep.equal(
        heard.map(([written]) => written).sort((a, b) => a - b),
      );
    }
  });
});
