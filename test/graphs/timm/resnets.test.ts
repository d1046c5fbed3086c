import { expect } from 'chai';
import { describe, it } from 'mocha';
import { graphFromConfig, recogniseConfig } from '../../../graphs/pretrained.js';
import { getGraph } from '../../../graphs/registry.js';
import { CheckpointError } from '../../../lib/errors.js';
import type { Graph } from '../../../lib/graph/types.js';
import { encodeModel } from '../../../lib/onnx/encode.js';
import { Model } from '../../../lib/onnx/model.js';
import { elementCount } from '../../../lib/tensor.js';
import { initializeWeights } from '../../../lib/weights/initialize.js';
import { refusal, shapesOf } from '../support.js';

const countOf = ({ parameters }: Graph): number =>
  parameters.reduce((sum, { shape }) => sum + elementCount(shape as number[]), 0);

/** The number of parameters of networks with each number of blocks, stem and width. */
const PARAMETERS: Readonly<Record<string, number>> = {
  resnet50_gn: 25_557_032,
  resnet10t: 5_435_488,
  resnet14t: 10_081_632,
  resnet18: 11_689_512,
  resnet26d: 16_014_408,
  resnet34d: 21_816_904,
  resnet50c: 25_576_264,
  resnet101s: 44_672_936,
  resnet152: 60_192_808,
  resnet200: 64_673_832,
  resnetv2_50x1_bit: 25_549_352,
  resnetv2_101x3_bit: 387_934_888,
  resnetv2_152x2_bit: 236_335_208,
  resnetv2_50d_gn: 25_568_584,
};

const optionsOf = (architecture: string, model_args: object = {}) =>
  recogniseConfig({ architecture, model_args }).options;

function refusesConfig(architecture: string, model_args: object, message: string): void {
  expect(() => optionsOf(architecture, model_args))
    .to.throw(CheckpointError, message)
    .with.property('code', 'UNSUPPORTED_OPTION');
}

const opTypesOf = (name: string, options: Record<string, unknown>): string[] =>
  getGraph(name)
    .build(options)
    .nodes.map(({ opType }) => opType);

describe('resnet-gn', () => {
  it('resnet-gn without options is resnet50_gn, with 25,557,032 parameters', () => {
    const graph = getGraph('resnet-gn').build();
    // Counted by torch: sum(p.numel() for p in timm.create_model("resnet50_gn").parameters()).
    expect(countOf(graph)).to.equal(25_557_032);
    expect(shapesOf(graph.inputs)).to.deep.equal({ x: ['N', 3, 'H', 'W'] });
    expect(shapesOf(graph.outputs)).to.deep.equal({ y: ['N', 1000] });
  });

  it('resnet-gn without classes gives the pooled features, twice as many for both poolings', () => {
    const features = (globalPool: 'avg' | 'catavgmax') =>
      getGraph('resnet-gn').build({ numClasses: 0, globalPool }).outputs[0]!.shape;
    expect(features('avg')).to.deep.equal(['N', 2048]);
    expect(features('catavgmax')).to.deep.equal(['N', 4096]);
  });

  it('resnet-gn refuses what timm refuses, by the name of the option', () => {
    for (const [options, message] of [
      [{ layers: [2, 2, 2] }, "option 'layers' has 3 stages but 'channels' 4"],
      [{ layers: [1, 1], channels: [64, 64] }, "options 'layers' and 'channels' must have 4 elements, not 2"],
      [
        { block: 'basic', cardinality: 2 },
        "options 'cardinality' and 'baseWidth' are for block 'bottleneck'",
      ],
      [{ outputStride: 12 }, "option 'outputStride' is 12 but must be 8, 16 or 32"],
      [{ baseWidth: 1, channels: [32, 64, 64, 64] }, 'give a first convolution of 0 channels'],
      [{ cardinality: 32, baseWidth: 4, blockReduceFirst: 3 }, 'a first convolution of 42 channels'],
      [{ stemType: 'patch' }, 'option \'stemType\' is "patch" but must be one of'],
    ] as const) {
      const error = refusal('resnet-gn', options);
      expect(error.code).to.be.oneOf(['INVALID_ATTRIBUTE', 'NUM_GROUPS_MISMATCH']);
      expect(error.message).to.include(message);
    }
  });

  it('resnet-gn refuses channels that its groups do not divide, and names the normalization', () => {
    const error = refusal('resnet-gn', { numGroups: 48 });
    expect(error.code).to.equal('NUM_GROUPS_MISMATCH');
    expect(error.message).to.include("'bn1'");
  });
});

describe('configurations of timm for resnet-gn', () => {
  it("resnet50_gn and timm's other ResNets with norm_layer groupnorm are read, with the numbers of blocks of their names", () => {
    expect(optionsOf('resnet50_gn')).to.deep.equal({
      block: 'bottleneck',
      layers: [3, 4, 6, 3],
      numGroups: 32,
    });
    expect(optionsOf('resnet18', { norm_layer: 'groupnorm', drop_path_rate: 0.1 })).to.deep.equal({
      block: 'basic',
      layers: [2, 2, 2, 2],
      numGroups: 32,
    });
    expect(
      optionsOf('resnet101d', { norm_layer: 'groupnorm1', stem_width: 16, cardinality: 2 }),
    ).to.deep.equal({
      block: 'bottleneck',
      layers: [3, 4, 23, 3],
      stemType: 'deep',
      stemWidth: 16,
      avgDown: true,
      cardinality: 2,
      numGroups: 1,
    });
  });

  it('ResNets of timm have as many parameters as in timm, whatever the number and the letter of their names', () => {
    // Counted by torch: sum(p.numel() for p in timm.create_model(name, norm_layer="groupnorm1").parameters()).
    for (const [name, count] of Object.entries(PARAMETERS)) {
      const isPlain = /^resnet\d+[cdst]?$/.test(name);
      const graph = graphFromConfig({
        architecture: name,
        model_args: isPlain ? { norm_layer: 'groupnorm1' } : {},
      });
      expect(countOf(graph), name).to.equal(count);
    }
  });

  it('a ResNet with BatchNorm, an activation or an attention that resnet-gn lacks is refused by the name of the argument', () => {
    refusesConfig('resnet50', {}, 'resnet50 has norm_layer "batchnorm", which is not supported');
    refusesConfig('resnet50_gn', { norm_layer: 'layernorm2d' }, 'norm_layer "layernorm2d"');
    refusesConfig('resnet50_gn', { act_layer: 'silu' }, 'act_layer "silu"');
    refusesConfig('resnet50_gn', { block_args: { attn_layer: 'se' } }, 'block_args');
    refusesConfig('resnet50_gn', { aa_layer: 'blurpool' }, 'aa_layer "blurpool"');
    refusesConfig('resnetv2_50x1_bit', { preact: false }, 'preact false');
  });
});

describe('resnetv2-bit', () => {
  it('resnetv2-bit without options is resnetv2_50x1_bit, with 25,549,352 parameters', () => {
    const graph = getGraph('resnetv2-bit').build();
    // Counted by torch: sum(p.numel() for p in timm.create_model("resnetv2_50x1_bit").parameters()).
    expect(countOf(graph)).to.equal(25_549_352);
    expect(shapesOf(graph.outputs)).to.deep.equal({ y: ['N', 1000] });
  });

  it('resnetv2-bit pads the stem by zeros only where stemType is fixed', () => {
    const hasPad = (stemType: string) =>
      opTypesOf('resnetv2-bit', { stemType, numGroups: 8 }).includes('Pad');
    const types = ['', 'same', 'deep', 'deep_same', 'tiered', 'fixed', 'deep_fixed'];
    expect(types.filter(hasPad)).to.deep.equal(['fixed', 'deep_fixed']);
  });

  it('a Pad of resnetv2-bit names its axes from opset 18 on, so that no Pad_Fusion makes −∞ of its zeros', () => {
    const graph = getGraph('resnetv2-bit').build({ layers: [1], channels: [32], numGroups: 8 });
    const weights = initializeWeights(graph);
    for (const [opset, inputs] of [
      [17, 3],
      [18, 4],
      [25, 4],
    ] as const) {
      const model = Model.decode(encodeModel(graph, weights, { opset }));
      const pad = model.nodes.find(({ opType }) => opType === 'Pad')!;
      expect(pad.inputs).to.have.length(inputs);
      expect([...pad.attributes()].map(({ name }) => name)).to.not.include('axes');
    }
  });

  it('resnetv2-bit refuses layers and channels of different numbers of stages', () => {
    const error = refusal('resnetv2-bit', { layers: [1, 1] });
    expect(error.code).to.equal('INVALID_ATTRIBUTE');
    expect(error.message).to.include("option 'layers' has 2 stages but 'channels' 4");
  });
});
