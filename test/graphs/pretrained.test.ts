import { expect } from 'chai';
import { describe, it } from 'mocha';
import { defineGraph } from '../../graphs/shared/definition.js';
import { graphFromConfig, recogniseConfig } from '../../graphs/pretrained.js';
import { type Pretrained, unsupportedOption } from '../../graphs/shared/pretrained.js';
import { CheckpointError } from '../../lib/errors.js';
import { GraphBuilder } from '../../lib/graph/builder.js';

const graph = defineGraph({
  name: 'sample',
  description: 'for tests',
  options: {
    part: { type: 'string', choices: ['both', 'encoder'], default: 'both', description: 'part' },
    actFn: { type: 'string', choices: ['silu', 'relu'], default: 'silu', description: 'activation' },
    layersPerBlock: { type: 'integers', min: 1, max: 9, default: [2], description: 'layers' },
    numClassEmbeds: { type: 'integer', default: null, description: 'classes' },
    depth: { type: 'integer', default: 1, description: 'from the name of the class' },
  },
  build(_, { dtype }) {
    const g = new GraphBuilder('sample');
    g.output('y', g.input('x', dtype, [1]));
    return g.build();
  },
});

const TABLE: readonly Pretrained[] = [
  {
    library: 'diffusers',
    classes: ['SampleModel'],
    graph,
    ignored: ['sample_size'],
    supported: { dual: [false, null] },
    reads: ['mid_type'],
    options: ({ mid_type: mid = 'plain' }, className) => {
      if (mid !== 'plain') throw unsupportedOption(className, 'mid_type', mid, '"plain"');
      return {};
    },
  },
  {
    library: 'timm',
    classes: ['net50', 'net101'],
    graph,
    defaults: () => ({ actFn: 'silu', layersPerBlock: [3] }),
    supported: { num_classes: [1000], global_pool: ['avg'] },
    options: (_, className) => ({ depth: Number(className.slice(3)) }),
  },
];

const options = (config: object, part?: string) => recogniseConfig(config, part, TABLE).options;
const diffusers = (config: object) => options({ _class_name: 'SampleModel', ...config });

function refuses(config: object, code: string, message: string, part?: string): void {
  expect(() => options(config, part))
    .to.throw(CheckpointError, message)
    .with.property('code', code);
}

describe('graphs/pretrained', () => {
  it('a key of a configuration is the option of the graph whose name it has in camelCase', () => {
    expect(
      diffusers({
        _diffusers_version: '0.30',
        act_fn: 'relu',
        num_class_embeds: null,
        sample_size: 64,
        dual: false,
      }),
    ).to.deep.equal({ actFn: 'relu', numClassEmbeds: null });
  });

  it('a single value for an option that is a list is a list of one element', () => {
    expect(diffusers({ layers_per_block: 3 })).to.deep.equal({ layersPerBlock: [3] });
    expect(diffusers({ layers_per_block: [1, 2] })).to.deep.equal({ layersPerBlock: [1, 2] });
  });

  it("timm's arguments lie in model_args, and the name of the architecture may set options", () => {
    const config = {
      architecture: 'net101',
      num_classes: 1000,
      num_features: 2048,
      global_pool: 'avg',
      pretrained_cfg: { input_size: [3, 224, 224] },
      model_args: { act_fn: 'relu' },
    };
    expect(options(config)).to.deep.equal({ actFn: 'relu', layersPerBlock: [3], depth: 101 });
  });

  it('a key of a configuration overrides what the name of the class sets', () => {
    const config = { architecture: 'net50', model_args: { layers_per_block: [5] } };
    expect(options(config)).to.deep.equal({ actFn: 'silu', layersPerBlock: [5], depth: 50 });
  });

  it("timm's classes, pooling and channels may lie in pretrained_cfg, or in an older file beside architecture", () => {
    const recorded = { num_classes: 12, global_pool: 'max', input_size: [1, 64, 64] };
    const expected = { numClasses: 12, globalPool: 'max', inChans: 1 };
    const read = (config: object) => recogniseConfig({ architecture: 'resnet50_gn', ...config }).options;
    expect(read({ pretrained_cfg: recorded })).to.deep.include(expected);
    expect(read(recorded)).to.deep.include(expected);
    const own = { num_classes: 5, pretrained_cfg: recorded, model_args: { in_chans: 2 } };
    expect(read(own)).to.deep.include({ numClasses: 5, inChans: 2 });
  });

  it('an option that the graph lacks is refused by name', () => {
    const config = { _class_name: 'SampleModel', layer_per_block: 2 };
    refuses(
      config,
      'UNSUPPORTED_OPTION',
      'the configuration of SampleModel has the unknown option layer_per_block (did you mean layers_per_block?), which may',
    );
    refuses(
      { _class_name: 'SampleModel', constructor: 2 },
      'UNSUPPORTED_OPTION',
      'unknown option constructor',
    );
    refuses({ architecture: 'net50', model_args: { aa: 'blur' } }, 'UNSUPPORTED_OPTION', 'unknown option aa');
  });

  it('a value for which there is no graph is refused, with the values that are supported', () => {
    const sample = { _class_name: 'SampleModel' };
    refuses(
      { ...sample, act_fn: 'mish' },
      'UNSUPPORTED_OPTION',
      'has act_fn "mish", which is not supported; supported: one of silu, relu',
    );
    refuses({ ...sample, act_fn: null }, 'UNSUPPORTED_OPTION', 'act_fn null');
    refuses(
      { ...sample, dual: true },
      'UNSUPPORTED_OPTION',
      'has dual true, which is not supported; supported: false, null',
    );
    refuses({ ...sample, mid_type: 'none' }, 'UNSUPPORTED_OPTION', 'mid_type "none"');
    refuses({ ...sample, layers_per_block: [[1], [2]] }, 'UNSUPPORTED_OPTION', 'layers_per_block [[1],[2]]');
    refuses(
      { ...sample, layers_per_block: 1e9 },
      'UNSUPPORTED_OPTION',
      'each an integer of at least 1 and at most 9',
    );
  });

  it('a part sets the option of that name', () => {
    expect(options({ _class_name: 'SampleModel' }, 'encoder')).to.deep.equal({ part: 'encoder' });
    refuses(
      { _class_name: 'SampleModel' },
      'UNSUPPORTED_OPTION',
      "no part 'head'; its parts: both, encoder",
      'head',
    );
  });

  it('an unknown class is refused, with the known classes', () => {
    refuses(
      { _class_name: 'FluxModel' },
      'UNKNOWN_ARCHITECTURE',
      "of the class 'FluxModel' of diffusers, which cannot be read; known: SampleModel (diffusers); net50, net101 (timm)",
    );
    // A class of the other library.
    refuses({ architecture: 'SampleModel' }, 'UNKNOWN_ARCHITECTURE', "class 'SampleModel' of timm");
  });

  it('what is not a configuration is refused', () => {
    refuses([], 'CONFIG_INVALID', 'not a JSON object');
    refuses(null as never, 'CONFIG_INVALID', 'not a JSON object');
    refuses(
      { _class_name: 3 },
      'CONFIG_INVALID',
      "neither '_class_name' (diffusers) nor 'architecture' (timm)",
    );
    refuses({ architectures: ['BertModel'] }, 'CONFIG_INVALID', 'it is of transformers');
    refuses({ architecture: 'net50', model_args: [1] }, 'CONFIG_INVALID', "'model_args' is not an object");
  });

  it('graphFromConfig names the classes that it knows', () => {
    expect(() => graphFromConfig({ _class_name: 'FluxModel' })).to.throw(CheckpointError, 'known: ');
  });
});
