/** The U-Nets of diffusers. Their numbers are checked by the fixtures, their state_dict keys by `state-dict-keys.test.ts`. */
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { graphFromConfig } from '../../../graphs/pretrained.js';
import { getGraph } from '../../../graphs/registry.js';
import { CheckpointError } from '../../../lib/errors.js';
import type { Graph } from '../../../lib/graph/types.js';
import { elementCount } from '../../../lib/tensor.js';
import { refusal, shapesOf } from '../support.js';

/** The configurations of published networks, with the keys that their files have, and their parameters as PyTorch counts them. */
const PUBLISHED = {
  'Stable Diffusion 1.5': {
    parameters: 859_520_964,
    config: {
      _class_name: 'UNet2DConditionModel',
      _diffusers_version: '0.6.0',
      act_fn: 'silu',
      attention_head_dim: 8,
      block_out_channels: [320, 640, 1280, 1280],
      center_input_sample: false,
      cross_attention_dim: 768,
      down_block_types: [
        'CrossAttnDownBlock2D',
        'CrossAttnDownBlock2D',
        'CrossAttnDownBlock2D',
        'DownBlock2D',
      ],
      downsample_padding: 1,
      flip_sin_to_cos: true,
      freq_shift: 0,
      in_channels: 4,
      layers_per_block: 2,
      mid_block_scale_factor: 1,
      norm_eps: 1e-5,
      norm_num_groups: 32,
      out_channels: 4,
      sample_size: 64,
      up_block_types: ['UpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D'],
    },
  },
  'Stable Diffusion 2.1': {
    parameters: 865_910_724,
    config: {
      _class_name: 'UNet2DConditionModel',
      attention_head_dim: [5, 10, 20, 20],
      cross_attention_dim: 1024,
      dual_cross_attention: false,
      num_class_embeds: null,
      only_cross_attention: false,
      upcast_attention: true,
      use_linear_projection: true,
    },
  },
  'Stable Diffusion XL': {
    parameters: 2_567_463_684,
    config: {
      _class_name: 'UNet2DConditionModel',
      addition_embed_type: 'text_time',
      addition_embed_type_num_heads: 64,
      addition_time_embed_dim: 256,
      attention_head_dim: [5, 10, 20],
      attention_type: 'default',
      block_out_channels: [320, 640, 1280],
      class_embed_type: null,
      cross_attention_dim: 2048,
      cross_attention_norm: null,
      down_block_types: ['DownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D'],
      encoder_hid_dim: null,
      encoder_hid_dim_type: null,
      mid_block_only_cross_attention: null,
      mid_block_type: 'UNetMidBlock2DCrossAttn',
      num_attention_heads: null,
      projection_class_embeddings_input_dim: 2816,
      sample_size: 128,
      time_cond_proj_dim: null,
      transformer_layers_per_block: [1, 2, 10],
      up_block_types: ['CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'UpBlock2D'],
      upcast_attention: null,
      use_linear_projection: true,
    },
  },
  'ddpm-cifar10-32': {
    parameters: 35_746_307,
    config: {
      _class_name: 'UNet2DModel',
      attention_head_dim: null,
      block_out_channels: [128, 256, 256, 256],
      down_block_types: ['DownBlock2D', 'AttnDownBlock2D', 'DownBlock2D', 'DownBlock2D'],
      downsample_padding: 0,
      dropout: 0.0,
      flip_sin_to_cos: false,
      freq_shift: 1,
      norm_eps: 1e-6,
      sample_size: 32,
      time_embedding_type: 'positional',
      up_block_types: ['UpBlock2D', 'UpBlock2D', 'AttnUpBlock2D', 'UpBlock2D'],
    },
  },
} as const;

const countOf = ({ parameters }: Graph): number =>
  parameters.reduce((sum, { shape }) => sum + elementCount(shape as number[]), 0);

const opsOf = ({ nodes }: Graph, opType: string) => nodes.filter((node) => node.opType === opType);

/** A small network. */
const SMALL = { blockOutChannels: [8, 16], normNumGroups: 4, layersPerBlock: 1 };
const SMALL_2D = {
  ...SMALL,
  downBlockTypes: ['DownBlock2D', 'AttnDownBlock2D'],
  upBlockTypes: ['AttnUpBlock2D', 'UpBlock2D'],
} as const;
const SMALL_CONDITION = {
  ...SMALL,
  layersPerBlock: [1],
  attentionHeadDim: [2],
  crossAttentionDim: [12],
  downBlockTypes: ['CrossAttnDownBlock2D', 'DownBlock2D'],
  upBlockTypes: ['UpBlock2D', 'CrossAttnUpBlock2D'],
} as const;

describe('unet-2d and unet-2d-condition from configurations', () => {
  for (const [name, { config, parameters }] of Object.entries(PUBLISHED)) {
    it(`graphFromConfig makes ${name} with the parameters that PyTorch counts`, () => {
      expect(countOf(graphFromConfig(config))).to.equal(parameters);
    });
  }

  it('graphFromConfig gives the inputs of Stable Diffusion XL in the order of PyTorch, with sizes given for one or all', () => {
    const { config } = PUBLISHED['Stable Diffusion XL'];
    const { inputs, outputs } = graphFromConfig(config);
    expect(shapesOf(inputs)).to.deep.equal({
      sample: ['N', 4, 'H', 'W'],
      timestep: ['N'],
      encoder_hidden_states: ['N', 'S', 2048],
      text_embeds: ['N', 'E'],
      time_ids: ['N', 'I'],
    });
    expect(inputs.map(({ dtype }) => dtype)).to.deep.equal([
      'float32',
      'int64',
      'float32',
      'float32',
      'float32',
    ]);
    expect(shapesOf(outputs)).to.deep.equal({ y: ['N', 4, 'H', 'W'] });
    const shape = { sample: [1, 4, 128, 128], time_ids: [1, 6], text_embeds: [1, 1280] };
    expect(shapesOf(graphFromConfig(config, { shape }).inputs)).to.deep.include({ timestep: [1], ...shape });
    const wrong = { ...shape, time_ids: [1, 5] };
    expect(() => graphFromConfig(config, { shape: wrong }))
      .to.throw('2560')
      .with.property('code', 'SHAPE_MISMATCH');
  });

  for (const [key, value, supported] of [
    ['dual_cross_attention', true, 'false'],
    ['attention_type', 'gated', 'default'],
    ['addition_embed_type', 'image', 'text_time'],
    ['encoder_hid_dim_type', 'image_proj', 'text_proj'],
    ['num_attention_heads', 8, 'null'],
    ['class_embed_type', 'other', 'simple_projection'],
    ['down_block_types', ['SimpleCrossAttnDownBlock2D', 'DownBlock2D'], 'CrossAttnDownBlock2D'],
    ['up_block_types', ['UpBlock2D', 'KCrossAttnUpBlock2D'], 'CrossAttnUpBlock2D'],
    ['transformer_layers_per_block', [[1, 2], 1], 'a list of 1 to 64 elements'],
    ['resnet_time_scale_shift', 'ada_group', 'scale_shift'],
    ['norm_num_groups', null, 'an integer of at least 1'],
    ['time_embedding_type', 'learned', 'fourier'],
    ['layers_per_block', 1000, 'at most 24'],
  ] as const) {
    it(`graphFromConfig refuses ${key} ${JSON.stringify(value)} of UNet2DConditionModel by name`, () => {
      const config = { ...PUBLISHED['Stable Diffusion 1.5'].config, [key]: value };
      expect(() => graphFromConfig(config))
        .to.throw(CheckpointError)
        .with.property('message')
        .that.includes(`UNet2DConditionModel has ${key} ${JSON.stringify(value)}`)
        .and.includes(supported);
    });
  }

  it('graphFromConfig refuses blocks with FIR filters and unknown keys of UNet2DModel by name', () => {
    const { config } = PUBLISHED['ddpm-cifar10-32'];
    for (const [key, value] of [
      ['down_block_types', ['SkipDownBlock2D', 'AttnSkipDownBlock2D']],
      ['mid_block_typ', 'x'],
    ] as const) {
      expect(() => graphFromConfig({ ...config, [key]: value }))
        .to.throw(CheckpointError, key)
        .with.property('code', 'UNSUPPORTED_OPTION');
    }
  });

  it('graphFromConfig makes one head and no middle of null in a configuration of UNet2DModel', () => {
    const config = { ...PUBLISHED['ddpm-cifar10-32'].config, mid_block_type: null };
    const names = graphFromConfig(config).parameters.map((parameter) => parameter.name);
    expect(names.some((name) => name.startsWith('mid_block.'))).to.equal(false);
    expect(names).to.include('down_blocks.1.attentions.0.to_q.weight');
  });
});

describe('unet-2d', () => {
  it('unet-2d takes the sample, the step and the class in the order of PyTorch', () => {
    const { inputs } = getGraph('unet-2d').build({ ...SMALL_2D, numClassEmbeds: 10 });
    expect(shapesOf(inputs)).to.deep.equal({
      sample: ['N', 3, 'H', 'W'],
      timestep: ['N'],
      class_labels: ['N'],
    });
    expect(inputs.map(({ dtype }) => dtype)).to.deep.equal(['float32', 'int64', 'int64']);
  });

  it('unet-2d takes noise levels in float32 for waves of learned frequencies, also in float16', () => {
    const options = { ...SMALL_2D, timeEmbeddingType: 'fourier' } as const;
    for (const [dtype, expected] of [
      ['float16', 'float32'],
      ['float64', 'float64'],
    ] as const) {
      const { inputs } = getGraph('unet-2d').build(options, { dtype });
      expect(inputs.map((input) => input.dtype)).to.deep.equal([dtype, expected]);
    }
  });

  it('unet-2d refuses sizes that do not meet the skip connections, and names sizes that do', () => {
    const { code, message } = refusal('unet-2d', {}, [1, 3, 20, 32]);
    expect(code).to.equal('INVALID_SHAPE');
    expect(message)
      .to.include('has H 20')
      .and.match(/halved 3 times.*a multiple of 8, such as 16 or 24$/);
  });

  for (const [what, options, text] of [
    ['lists of different lengths', { downBlockTypes: ['DownBlock2D'] }, "'downBlockTypes' has 1 elements"],
    ['a learned time embedding without steps', { timeEmbeddingType: 'learned' }, "'numTrainTimesteps'"],
    ['heads of more channels than there are', { attentionHeadDim: 1000 }, 'attentionHeadDim 1000'],
    ['an unknown block', { upBlockTypes: ['SkipUpBlock2D'] }, 'AttnUpBlock2D'],
    ['more levels than any network has', { blockOutChannels: Array<number>(13).fill(8) }, 'at most 12'],
    ['more channels than any network has', { blockOutChannels: [2 ** 40, 8] }, 'at most 65536'],
  ] as const) {
    it(`unet-2d refuses ${what}`, () => {
      const { code, message } = refusal('unet-2d', options);
      expect(code).to.equal('INVALID_ATTRIBUTE');
      expect(message).to.include(text);
    });
  }
});

describe('unet-2d-condition', () => {
  it('unet-2d-condition takes the scores of the attention in float32 in float16 with upcastAttention alone', () => {
    const scores = (upcastAttention: boolean, dtype: 'float16' | 'float32') =>
      opsOf(
        getGraph('unet-2d-condition').build({ ...SMALL_CONDITION, upcastAttention }, { dtype }),
        'Softmax',
      ).map(({ inputs }) => inputs[0]!.dtype);
    expect(new Set(scores(true, 'float16'))).to.deep.equal(new Set(['float32']));
    expect(new Set(scores(false, 'float16'))).to.deep.equal(new Set(['float16']));
    expect(new Set(scores(true, 'float32'))).to.deep.equal(new Set(['float32']));
  });

  it('unet-2d-condition doubles sizes by a factor where they are known to fit, and by size where not', () => {
    const resize = (shape?: number[]) =>
      opsOf(getGraph('unet-2d-condition').build(SMALL_CONDITION, { shape }), 'Resize').map(
        ({ inputs }) => inputs.length,
      );
    expect(resize([1, 4, 8, 12])).to.deep.equal([1]);
    expect(resize([1, 4, 9, 12])).to.deep.equal([4]);
    expect(resize()).to.deep.equal([4]);
  });

  for (const [what, options, text] of [
    [
      'a list that fits neither one nor all levels',
      { layersPerBlock: [1, 2, 3] },
      "'layersPerBlock' has 3 elements",
    ],
    [
      'different widths of the text',
      { crossAttentionDim: [12, 16] },
      'must be the same number for all levels',
    ],
    [
      'heads that do not divide the channels',
      { attentionHeadDim: [3] },
      '8 channels cannot be divided into 3 heads',
    ],
    [
      'more transformers than can be built of so few options',
      { layersPerBlock: [24], transformerLayersPerBlock: [24] },
      'but at most 500 are allowed',
    ],
    ['a projection without a width', { classEmbedType: 'projection' }, "'projectionClassEmbeddingsInputDim'"],
    [
      'text_time without the width of the waves',
      { additionEmbedType: 'text_time' },
      "'additionTimeEmbedDim'",
    ],
  ] as const) {
    it(`unet-2d-condition refuses ${what}`, () => {
      const { code, message } = refusal('unet-2d-condition', { ...SMALL_CONDITION, ...options });
      expect(code).to.equal('INVALID_ATTRIBUTE');
      expect(message).to.include(text);
    });
  }
});
