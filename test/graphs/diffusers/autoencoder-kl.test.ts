import { expect } from 'chai';
import { describe, it } from 'mocha';
import { attentionKey } from '../../../graphs/diffusers/attention.js';
import { graphFromConfig, recogniseConfig } from '../../../graphs/pretrained.js';
import { getGraph } from '../../../graphs/registry.js';
import type { Graph } from '../../../lib/graph/types.js';
import { elementCount } from '../../../lib/tensor.js';
import { refusal, shapesOf } from '../support.js';

const LEVELS = 4;

/** The `config.json` of Stable Diffusion 1.5's VAE. */
const SD_1 = {
  _class_name: 'AutoencoderKL',
  _diffusers_version: '0.6.0',
  act_fn: 'silu',
  block_out_channels: [128, 256, 512, 512],
  down_block_types: Array<string>(LEVELS).fill('DownEncoderBlock2D'),
  in_channels: 3,
  latent_channels: 4,
  layers_per_block: 2,
  norm_num_groups: 32,
  out_channels: 3,
  sample_size: 512,
  up_block_types: Array<string>(LEVELS).fill('UpDecoderBlock2D'),
};

/** What the configurations of later models add. */
const SDXL = {
  ...SD_1,
  force_upcast: true,
  latents_mean: null,
  latents_std: null,
  sample_size: 1024,
  scaling_factor: 0.13025,
  shift_factor: null,
};
const FLUX = {
  ...SDXL,
  latent_channels: 16,
  mid_block_add_attention: true,
  scaling_factor: 0.3611,
  shift_factor: 0.1159,
  use_post_quant_conv: false,
  use_quant_conv: false,
};
const SD_3 = { ...FLUX, scaling_factor: 1.5305, shift_factor: 0.0609 };

const parameterCount = ({ parameters }: Graph): number =>
  parameters.reduce((sum, { shape }) => sum + elementCount(shape as number[]), 0);

const small = (options: Record<string, unknown>) =>
  getGraph('autoencoder-kl').build({ blockOutChannels: [8, 16], normNumGroups: 4, ...options });

describe('autoencoder-kl', () => {
  it('autoencoder-kl has the parameters of the VAEs of Stable Diffusion 1.5, XL and 3 and of Flux', () => {
    // Counted by torch: sum(p.numel() for p in AutoencoderKL.from_config(config).parameters()).
    const counts = [SD_1, SDXL, SD_3, FLUX].map((config) => parameterCount(graphFromConfig(config)));
    expect(counts).to.deep.equal([83_653_863, 83_653_863, 83_819_683, 83_819_683]);
    const parts = ['encoder', 'decoder'].map((part) => graphFromConfig(SD_1, { part }));
    expect(parts.map(parameterCount)).to.deep.equal([34_163_664, 49_490_199]);
  });

  it('autoencoder-kl reads the scaling of latents from a configuration, and leaves them unscaled', () => {
    expect(recogniseConfig(FLUX).options).to.deep.include({ scalingFactor: 0.3611, shiftFactor: 0.1159 });
    const operators = graphFromConfig(FLUX, { part: 'decoder' }).nodes.map(({ opType }) => opType);
    expect(operators[0]).to.equal('Conv');
  });

  it('autoencoder-kl refuses kinds of levels and activations that it lacks, and unknown keys, by name', () => {
    const refuses = (config: object, ...words: string[]) => {
      for (const word of words) expect(() => graphFromConfig({ ...SD_1, ...config })).to.throw(word);
    };
    const kinds = ['DownEncoderBlock2D', 'KDownBlock2D', 'DownEncoderBlock2D', 'DownEncoderBlock2D'];
    refuses({ down_block_types: kinds }, 'down_block_types', 'KDownBlock2D', 'AttnDownEncoderBlock2D');
    refuses({ act_fn: 'swiglu' }, 'act_fn', 'swiglu', 'silu');
    refuses({ norm_type: 'spatial' }, 'norm_type');
  });

  it('autoencoder-kl has the inputs and the output of its part, with sizes that follow from names', () => {
    const typesOf = ({ inputs, outputs }: Graph) => [shapesOf(inputs), shapesOf(outputs)];
    expect(typesOf(small({}))).to.deep.equal([
      { x: ['N', 3, 'H', 'W'] },
      { y: ['N', 3, '2*floor(H/2)', '2*floor(W/2)'] },
    ]);
    expect(typesOf(small({ part: 'decoder' }))).to.deep.equal([
      { z: ['N', 4, 'h', 'w'] },
      { y: ['N', 3, '2*h', '2*w'] },
    ]);
    expect(typesOf(small({ part: 'encoder', latents: 'sample' }))).to.deep.equal([
      { x: ['N', 3, 'H', 'W'], noise: ['N', 4, 'h', 'w'] },
      { y: ['N', 4, 'floor(H/2)', 'floor(W/2)'] },
    ]);
  });

  it('autoencoder-kl takes one kind for all levels, and refuses another number than that of the levels', () => {
    expect(parameterCount(small({ upBlockTypes: ['AttnUpDecoderBlock2D'] }))).to.equal(
      parameterCount(small({ upBlockTypes: ['AttnUpDecoderBlock2D', 'AttnUpDecoderBlock2D'] })),
    );
    const three = ['DownEncoderBlock2D', 'DownEncoderBlock2D', 'DownEncoderBlock2D'];
    const options = { blockOutChannels: [32, 32], downBlockTypes: three };
    expect(refusal('autoencoder-kl', options).message).to.include(
      "option 'downBlockTypes' has 3 elements, but blockOutChannels has 2",
    );
  });

  it('autoencoder-kl refuses groups that do not divide the channels of every level', () => {
    const error = refusal('autoencoder-kl', { blockOutChannels: [32, 48] });
    expect(error).to.have.property('code', 'NUM_GROUPS_MISMATCH');
    expect(error.message).to.include('blockOutChannels 48 is not divisible by normNumGroups 32');
  });

  it('autoencoder-kl refuses latents and their scaling for a part that has no use for them', () => {
    const message = (options: Record<string, unknown>) => refusal('autoencoder-kl', options).message;
    expect(message({ part: 'decoder', latents: 'mean' })).to.include("latents is 'mean'");
    expect(message({ latents: 'moments' })).to.include("latents is 'moments'");
    expect(message({ scaleLatents: true })).to.include('scaleLatents is true');
    expect(message({ part: 'encoder', scaleLatents: true })).to.include("give latents as 'mean' or 'sample'");
  });

  it('autoencoder-kl reads keys of older versions, and no other keys, as those of today', () => {
    const { pretrained } = recogniseConfig(SD_1);
    const today = (key: string) => pretrained.parameterKey!(key);
    const at = 'decoder.mid_block.attentions.0';
    expect(today(`${at}.query.weight`)).to.equal(`${at}.to_q.weight`);
    expect(today(`${at}.key.bias`)).to.equal(`${at}.to_k.bias`);
    expect(today(`${at}.value.weight`)).to.equal(`${at}.to_v.weight`);
    expect(today(`${at}.proj_attn.bias`)).to.equal(`${at}.to_out.0.bias`);
    for (const key of [
      `${at}.group_norm.weight`,
      'query.weight',
      `${at}.to_q.weight`,
      'encoder.key.weight',
    ]) {
      expect(attentionKey(key)).to.equal(key);
    }
  });

  it("autoencoder-kl leaves out the other half's keys of a checkpoint", () => {
    const { pretrained } = recogniseConfig(SD_1);
    const isUnused = (key: string, part: string) => pretrained.isUnused!(key, { part });
    const keys = ['encoder.conv_in.bias', 'quant_conv.bias', 'decoder.conv_in.bias', 'post_quant_conv.bias'];
    expect(keys.map((key) => isUnused(key, 'encoder'))).to.deep.equal([false, false, true, true]);
    expect(keys.map((key) => isUnused(key, 'decoder'))).to.deep.equal([true, true, false, false]);
    expect(keys.map((key) => isUnused(key, 'autoencoder'))).to.deep.equal([false, false, false, false]);
  });
});
