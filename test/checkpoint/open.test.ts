import {
  cpSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { defineGraph } from '../../graphs/shared/definition.js';
import { imageInput } from '../../graphs/shared/input.js';
import { conv } from '../../graphs/layers/convolution.js';
import { groupNorm } from '../../graphs/layers/normalization.js';
import type { Pretrained } from '../../graphs/shared/pretrained.js';
import { openFolder, type OpenPretrainedOptions, openPretrained } from '../../lib/checkpoint/open.js';
import { OnnxGroupNormError } from '../../lib/errors.js';
import { GraphBuilder } from '../../lib/graph/builder.js';
import type { DeferredTensor } from '../../lib/graph/types.js';
import { castTensor } from '../../lib/half.js';
import { writeModel } from '../../lib/onnx/write.js';
import { bytesOf, elementCount, tensor, type TensorData, tensorFromBytes } from '../../lib/tensor.js';
import { matchStateDict } from '../../lib/weights/state-dict.js';
import { useTemporaryFolder } from '../cli/support.js';
import { writeCheckpoint, writeJson, writeShards, weightsFor } from '../support/checkpoint.js';

/** An encoder or a decoder, each a convolution and GroupNorm: a network of two parts, as a VAE is. */
const graph = defineGraph({
  name: 'coder',
  description: 'for tests',
  options: {
    part: { type: 'string', choices: ['encoder', 'decoder'], default: 'encoder', description: 'part' },
    channels: { type: 'integer', min: 1, default: 4, description: 'channels' },
  },
  build({ part, channels }, input) {
    const g = new GraphBuilder('coder');
    const x = imageInput(g, { ...input, channels: 3 });
    const scope = g.scope(part);
    const y = conv(scope.scope('conv'), x, { outChannels: channels, kernelSize: 3, bias: true });
    g.output('y', groupNorm(scope.scope('norm'), y, { numGroups: 2 }));
    return g.build();
  },
});

const TABLE: readonly Pretrained[] = [
  {
    library: 'diffusers',
    classes: ['Coder'],
    graph,
    parameterKey: (key) => key.replace('old_norm.', 'norm.'),
    isUnused: (key, { part = 'encoder' }) => !key.startsWith(`${part as string}.`),
  },
];
const CONFIG = { _class_name: 'Coder', _diffusers_version: '0.35.0', channels: 4 };
const ENCODER = graph.build();
const STATE_DICT = new Map([...weightsFor(ENCODER), ...weightsFor(graph.build({ part: 'decoder' }))]);

const at = useTemporaryFolder();
const open = (options: OpenPretrainedOptions = {}, folder = at()) => openFolder(TABLE, folder, options);

/** Reads the weights that a folder gives. */
async function readWeights(
  options?: OpenPretrainedOptions,
  folder?: string,
): Promise<Map<string, TensorData>> {
  await using model = await open(options, folder);
  const weights = new Map<string, TensorData>();
  for (const [name, weight] of model.weights) {
    const { dtype, dims, read } = weight as DeferredTensor;
    const pieces: Uint8Array[] = [];
    for await (const piece of read()) pieces.push(await bytesOf(piece));
    weights.set(name, tensorFromBytes(dtype, dims, Buffer.concat(pieces)));
  }
  return weights;
}

const without = (...keys: string[]) => new Map([...STATE_DICT].filter(([key]) => !keys.includes(key)));

async function refusal(options?: OpenPretrainedOptions): Promise<string> {
  try {
    await (await open(options)).close();
  } catch (error) {
    if (!(error instanceof OnnxGroupNormError)) throw error;
    expect(error.message, 'one line').not.to.include('\n');
    return `${error.code} ${error.message}`;
  }
  throw new Error('nothing was thrown');
}

describe('openPretrained', () => {
  it('openPretrained gives the graph of the configuration and the tensors of the file', async () => {
    await writeCheckpoint(at(), CONFIG, STATE_DICT);
    await using model = await open();
    expect(model).to.include({ library: 'diffusers', className: 'Coder' });
    expect(model.options).to.deep.equal({ channels: 4 });
    expect(model.files).to.deep.equal([at('config.json'), at('diffusion_pytorch_model.safetensors')]);
    expect(await readWeights()).to.deep.equal(matchStateDict(ENCODER, weightsFor(ENCODER)));
  });

  it('a part has its own tensors, and those of other parts are left out', async () => {
    await writeCheckpoint(at(), CONFIG, STATE_DICT);
    const weights = await readWeights({ part: 'decoder' });
    expect([...weights.keys()]).to.deep.equal([
      'decoder.conv.weight',
      'decoder.conv.bias',
      'decoder.norm.weight',
      'decoder.norm.bias',
    ]);
  });

  it('tensors of another dtype are converted, and so are bfloat16 files', async () => {
    await writeCheckpoint(at(), CONFIG, STATE_DICT);
    const half = await readWeights({ dtype: 'float16' });
    expect(half).to.deep.equal(matchStateDict(graph.build({}, { dtype: 'float16' }), weightsFor(ENCODER)));
    const cast = new Map([...STATE_DICT].map(([key, value]) => [key, castTensor(value, 'bfloat16')]));
    await writeCheckpoint(at(), CONFIG, cast);
    const narrow = new Map([...cast].filter(([key]) => key.startsWith('encoder.')));
    expect(await readWeights()).to.deep.equal(matchStateDict(ENCODER, narrow));
  });

  it('shards are read by their index', async () => {
    await writeShards(at(), CONFIG, STATE_DICT);
    expect(await readWeights()).to.deep.equal(matchStateDict(ENCODER, weightsFor(ENCODER)));
    await writeShards(at('timm'), CONFIG, STATE_DICT, 'model');
    expect((await readWeights({}, at('timm'))).size).to.equal(4);
  });

  it('of several precisions the file of the dtype is read, else the file without one', async () => {
    const only = (value: number) =>
      new Map(
        [...STATE_DICT].map(([key, { dims }]) => [
          key,
          tensor('float32', dims, new Float32Array(elementCount(dims)).fill(value)),
        ]),
      );
    const read = async (options?: OpenPretrainedOptions) =>
      Number((await readWeights(options)).get('encoder.conv.bias')!.data[0]);
    await writeCheckpoint(at(), CONFIG, only(1));
    await writeCheckpoint(at(), CONFIG, only(2), 'diffusion_pytorch_model.fp16.safetensors');
    expect([await read(), await read({ dtype: 'float16' })]).to.deep.equal([1, 0x4000]);
    rmSync(at('diffusion_pytorch_model.safetensors'));
    expect(await read()).to.equal(2);
    // An index of shards is taken before a file, as diffusers does.
    await writeShards(at(), CONFIG, only(3));
    expect(await read()).to.equal(3);
  });

  it('older keys are mapped to those of today', async () => {
    const older = new Map(
      [...STATE_DICT].map(([key, value]) => [key.replace('.norm.', '.old_norm.'), value]),
    );
    await writeCheckpoint(at(), CONFIG, older);
    expect(await readWeights()).to.deep.equal(matchStateDict(ENCODER, weightsFor(ENCODER)));
    await writeCheckpoint(at(), CONFIG, new Map([...older, ...STATE_DICT]));
    expect(await refusal())
      .to.include('WEIGHTS_INVALID')
      .and.include("two tensors for 'encoder.norm.weight'");
  });

  for (const [size, direction] of [
    ['weight_g', 'weight_v'],
    ['parametrizations.weight.original0', 'parametrizations.weight.original1'],
  ]) {
    it(`the two tensors of a weight norm are joined: ${size}`, async () => {
      const v = STATE_DICT.get('encoder.conv.weight') as TensorData<'float32'>;
      const g = tensor('float32', [4, 1, 1, 1], Float32Array.of(1, 2, 3, 4));
      await writeCheckpoint(
        at(),
        CONFIG,
        new Map<string, TensorData>([
          ...without('encoder.conv.weight'),
          [`encoder.conv.${size}`, g],
          [`encoder.conv.${direction}`, v],
        ]),
      );
      const expected = v.data.map((value, index) => {
        const row = Math.floor(index / 27);
        const norm = Math.hypot(...v.data.subarray(row * 27, row * 27 + 27));
        return (value * (row + 1)) / norm;
      });
      const joined = (await readWeights()).get('encoder.conv.weight')!.data as Float32Array;
      joined.forEach((value, index) => expect(value).to.be.closeTo(expected[index]!, 1e-7));
    });
  }

  it('links are followed as the cache of Hugging Face has them, and nowhere else', async () => {
    await writeCheckpoint(at('blobs'), CONFIG, STATE_DICT);
    const snapshot = at('snapshots/1/vae');
    mkdirSync(snapshot, { recursive: true });
    const link = (name: string, target: string) => symlinkSync(`../../../${target}`, join(snapshot, name));
    link('config.json', 'blobs/config.json');
    link('diffusion_pytorch_model.safetensors', 'blobs/diffusion_pytorch_model.safetensors');
    expect((await readWeights({}, snapshot)).size).to.equal(4);
    cpSync(at('blobs'), at('elsewhere'), { recursive: true });
    rmSync(join(snapshot, 'diffusion_pytorch_model.safetensors'));
    link('diffusion_pytorch_model.safetensors', 'elsewhere/diffusion_pytorch_model.safetensors');
    const error = await openFolder(TABLE, snapshot, {}).then(
      () => undefined,
      (reason: OnnxGroupNormError) => reason,
    );
    expect(error).to.have.property('code', 'WEIGHTS_NOT_FOUND');
    expect(error!.message).to.include("outside of the model's folder");
  });

  it('the weights of a closed network cannot be read', async () => {
    await writeCheckpoint(at(), CONFIG, STATE_DICT);
    const model = await open();
    await model.close();
    await model.close();
    const failure = await writeModel(at('m.onnx'), model.graph, model.weights).catch((error: Error) => error);
    expect(failure).to.have.property('code', 'FILE_UNREADABLE');
  });

  it('openPretrained has a table of its own, and checks its options', async () => {
    await writeCheckpoint(at(), CONFIG, STATE_DICT);
    const codeOf = (opening: Promise<unknown>) =>
      opening.then(
        () => 'opened',
        (error: OnnxGroupNormError) => error.code,
      );
    expect(await codeOf(openPretrained(at()))).to.equal('UNKNOWN_ARCHITECTURE');
    expect(await codeOf(openPretrained(at(), { dype: 'float16' } as object))).to.equal('UNKNOWN_OPTION');
  });
});

describe('openPretrained of a folder that it cannot read', () => {
  const cases: readonly [what: string, change: () => void | Promise<void>, message: string | RegExp][] = [
    ['without config.json', () => rmSync(at('config.json')), 'FILE_NOT_FOUND'],
    ['whose config.json is not JSON', () => writeJson(at('config.json'), '{'), 'CONFIG_INVALID'],
    ['whose config.json is a list', () => writeJson(at('config.json'), [CONFIG]), 'not a JSON object'],
    [
      'whose config.json is too large',
      () => writeJson(at('config.json'), ' '.repeat(2 ** 20) + JSON.stringify(CONFIG)),
      /^LIMIT_EXCEEDED .*limits\.configBytes/,
    ],
    [
      'whose options nest without end',
      () =>
        writeJson(
          at('config.json'),
          `{"_class_name":"Coder","channels":${'['.repeat(2e5)}${']'.repeat(2e5)}}`,
        ),
      'UNSUPPORTED_OPTION',
    ],
    [
      'whose network is larger than any memory',
      () => writeJson(at('config.json'), { ...CONFIG, channels: 1e12 }),
      /^STATE_DICT_MISMATCH .*'encoder.conv.weight' has shape \[4, 3, 3, 3\] but must be \[1000000000000, 3, 3, 3\]; take config\.json and weights of one download$/,
    ],
    [
      'without weights',
      () => renameSync(at('diffusion_pytorch_model.safetensors'), at('diffusion_pytorch_model.bin')),
      /^WEIGHTS_NOT_FOUND .*it has diffusion_pytorch_model.bin/,
    ],
    [
      'whose weights are those of another configuration',
      async () => {
        const other = new Map([...without('encoder.conv.bias', 'encoder.norm.bias')]);
        other.set('encoder.conv.biass', STATE_DICT.get('encoder.conv.bias')!);
        await writeCheckpoint(at(), CONFIG, other);
      },
      "2 tensors missing, the first 'encoder.conv.bias' (did you mean 'encoder.conv.biass'?); " +
        "1 tensor unexpected, the first 'encoder.conv.biass' (did you mean 'encoder.conv.bias'?)",
    ],
    [
      'whose weights are truncated',
      () => truncateSync(at('diffusion_pytorch_model.safetensors'), 900),
      'SAFETENSORS_INVALID',
    ],
    [
      'whose weights are 8-bit floats',
      async () => {
        await writeCheckpoint(at(), CONFIG, without('encoder.norm.bias'));
        const path = at('diffusion_pytorch_model.safetensors');
        const text = '{"encoder.norm.bias":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}}';
        const length = Buffer.alloc(8);
        length.writeBigUInt64LE(BigInt(text.length));
        writeFileSync(path, Buffer.concat([length, Buffer.from(text), Buffer.alloc(4)]));
      },
      /^UNSUPPORTED_DTYPE .*'encoder.norm.bias' is F8_E4M3/,
    ],
    [
      'without one of its shards',
      async () => {
        await writeShards(at(), CONFIG, STATE_DICT);
        rmSync(at('diffusion_pytorch_model-00002-of-00002.safetensors'));
      },
      /^WEIGHTS_NOT_FOUND .*needs the file 'diffusion_pytorch_model-00002-of-00002.safetensors', which is not in it: download that file too/,
    ],
    [
      'whose index names a file elsewhere',
      () =>
        writeJson(at('diffusion_pytorch_model.safetensors.index.json'), {
          weight_map: { a: '../x.safetensors' },
        }),
      /^WEIGHTS_INVALID .*'..\/x.safetensors', which is not in its folder/,
    ],
    [
      'whose index names no file',
      () => writeJson(at('diffusion_pytorch_model.safetensors.index.json'), { weight_map: { a: 3 } }),
      "the file of 'a' is not text",
    ],
    [
      'whose index is empty',
      () => writeJson(at('diffusion_pytorch_model.safetensors.index.json'), {}),
      "it has no 'weight_map'",
    ],
    [
      'whose index names a tensor that its file lacks',
      () =>
        writeJson(at('diffusion_pytorch_model.safetensors.index.json'), {
          weight_map: { 'encoder.conv.wight': 'diffusion_pytorch_model.safetensors' },
        }),
      /^TENSOR_NOT_FOUND .*did you mean 'encoder.conv.weight'/,
    ],
    [
      'that is a whole pipeline',
      () => {
        rmSync(at('config.json'));
        writeJson(at('model_index.json'), {
          _class_name: 'StableDiffusionPipeline',
          vae: ['diffusers', 'Coder'],
          unet: ['diffusers', 'Other'],
        });
      },
      /^CONFIG_INVALID .*is a whole pipeline; name one of its folders: \S*vae \(Coder\)$/,
    ],
  ];
  for (const [what, change, message] of cases) {
    it(`openPretrained refuses a folder ${what}`, async () => {
      await writeCheckpoint(at(), CONFIG, STATE_DICT);
      await change();
      const refused = await refusal();
      if (typeof message === 'string') expect(refused).to.include(message);
      else expect(refused).to.match(message);
    });
  }

  it('openPretrained refuses a folder that does not exist, and a file', async () => {
    writeFileSync(at('file'), readFileSync(import.meta.filename));
    const messageOf = (folder: string) => open({}, folder).then(String, (error: Error) => error.message);
    expect(await messageOf(at('none'))).to.include('does not exist');
    expect(await messageOf(at('file'))).to.include('name the folder that the file is in');
  });
});
