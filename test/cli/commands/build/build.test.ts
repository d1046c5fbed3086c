import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { expect } from 'chai';
import { Command } from 'commander';
import { describe, it } from 'mocha';
import type { GraphDefinition } from '../../../../graphs/shared/definition.js';
import type { OptionSpec } from '../../../../graphs/shared/options.js';
import { describeBuild, exampleRun, type Written } from '../../../../lib/cli/commands/build/output.js';
import { exampleFlags, graphExamples, graphFlags, graphOptionsOf, requireFits } from '../../../../lib/cli/commands/build/build.js';
import { UsageError } from '../../../../lib/cli/shared/terminal.js';
import { ModelError } from '../../../../lib/errors.js';
import type { Value } from '../../../../lib/graph/types.js';
import {
  counterWeights,
  createSession,
  getGraph,
  GRAPHS,
  type InputType,
  type TensorData,
  writeSafetensors,
} from '../../../../lib/index.js';
import { parametersFit } from '../../../../lib/onnx/encode.js';
import { Model } from '../../../../lib/onnx/model.js';
import { floats, onnx, useTemporaryFolder, writeFixture } from '../../support.js';

const GROUP_NORM = ['build', 'group-norm', '--num-groups', '2', '--num-channels', '4'];

describe('build', () => {
  const at = useTemporaryFolder();
  const build = (...flags: string[]) => onnx(...GROUP_NORM, '-o', at('gn.onnx'), ...flags);
  const written = () => Model.decode(readFileSync(at('gn.onnx')));

  it('build writes a model that ONNX Runtime runs, describes it, and suggests the next command', async () => {
    const { code, stdout, stderr } = await build();
    expect([code, stderr]).to.deep.equal([0, '']);
    const lines = stdout.split('\n').map((line) => line.trim().replace(/ +/g, ' '));
    expect(lines).to.deep.equal([
      `Wrote ${at('gn.onnx')} (${statSync(at('gn.onnx')).size} bytes)`,
      '',
      'graph group-norm',
      'opset 21, IR version 10',
      'lowering op',
      'nodes 1',
      'parameters 2 tensors, 8 elements',
      "weights PyTorch's default initialisation, seed 0",
      'input x float32 [N, 4, H, W]',
      'output y float32 [N, 4, H, W]',
      '',
      'Next, run it on random numbers:',
      `npx onnx-groupnorm run ${at('gn.onnx')} --random --dim N=1,H=64,W=64`,
      '',
    ]);
    const session = await createSession(at('gn.onnx'));
    expect(session.inputs.map(({ name }) => name)).to.deep.equal(['x']);
    await session.dispose();
  });

  it('build suggests a run command that works', async () => {
    const { stdout } = await build('--shape', 'N,4,L');
    const command = stdout.trim().split('\n').at(-1)!.trim().split(' ');
    expect((await onnx(...command.slice(2))).code).to.equal(0);
  });

  it('build writes the opset, lowering and dtype of the options', async () => {
    const { stdout } = await build('--opset', '17', '--lowering', 'layer-norm', '--dtype', 'float16');
    expect(stdout).to.match(/opset +17, IR version 8\n +lowering +layer-norm\n +nodes +\d+\n/);
    expect(written().opset).to.equal(17);
    expect(written().typeOf('x')).to.deep.equal({ dtype: 'float16', shape: ['N', 4, 'H', 'W'] });
    expect(written().nodes.map(({ opType }) => opType)).to.include('LayerNormalization');
  });

  it('build prints the number of nodes in the file', async () => {
    for (const lowering of ['op', 'reduce-mean', 'instance-norm', 'layer-norm']) {
      const { stdout } = await build('--lowering', lowering);
      expect(stdout).to.match(new RegExp(`nodes +${written().nodes.length}\\n`));
    }
  });

  it('build defaults to reduce-mean below opset 21', async () => {
    expect((await build('--opset', '20')).stdout).to.match(/lowering +reduce-mean/);
  });

  it('build --shape takes sizes and names', async () => {
    await build('--shape', 'batch, 4, 32, W');
    expect(written().typeOf('x')!.shape).to.deep.equal(['batch', 4, 32, 'W']);
  });

  it('build passes the graph options to the graph', async () => {
    const { stdout } = await build('--no-affine', '--eps', '0.25');
    expect(stdout).to.match(/parameters +0 tensors, 0 elements\n +weights +none\n/);
    expect(written().nodes[0]!.number('epsilon')).to.equal(0.25);
  });

  it('build --weights reads the state_dict of a fixture', async () => {
    await writeFixture(at('f.safetensors'));
    const { code, stdout } = await build('--weights', at('f.safetensors'));
    expect(code).to.equal(0);
    expect(stdout).to.include(`weights     ${at('f.safetensors')}\n`);
    expect([...written().constant('weight')!.data]).to.deep.equal([1.5, -0.5, 2, 1]);
  });

  it('build --prefix takes a part of a checkpoint, and needs --weights', async () => {
    const four = (value: number) => floats([4], Array<number>(4).fill(value));
    const checkpoint: [string, TensorData][] = [
      ['norm.weight', four(2)],
      ['norm.bias', four(3)],
      ['head.weight', four(4)],
    ];
    await writeSafetensors(at('w.safetensors'), { tensors: checkpoint });
    for (const prefix of ['norm', 'norm.']) {
      const { code, stderr } = await build('--weights', at('w.safetensors'), '--prefix', prefix);
      expect([code, stderr]).to.deep.equal([0, '']);
      expect([...written().constant('bias')!.data]).to.deep.equal([3, 3, 3, 3]);
    }
    const { code, stderr } = await build('--weights', at('w.safetensors'), '--prefix', 'nrm');
    expect([code, stderr]).to.deep.equal([
      2,
      "error: the state_dict has no keys under 'nrm'; it has: 'norm', 'head'\n",
    ]);
    expect((await build('--prefix', 'norm')).stderr).to.include('error: --prefix needs --weights\n');
  });

  it('build warns of a fixture that was made with other options, and uses it', async () => {
    await writeFixture(at('f.safetensors'));
    const flags = ['--weights', at('f.safetensors'), '-o', at('gn.onnx')];
    const { code, stderr } = await onnx('build', 'group-norm', '--num-groups', '4', '--num-channels', '4', '--eps', '1e-3', ...flags); // prettier-ignore
    expect(code).to.equal(0);
    expect(stderr).to.equal(
      `warning: ${at('f.safetensors')} was made for another network: its numGroups is 2, not 4; its eps is 0.00001, not 0.001\n`,
    );
    expect((await build('--weights', at('f.safetensors'))).stderr).to.equal('');
  });

  it('build warns of a fixture of another graph', async () => {
    await writeFixture(at('f.safetensors'), { metadata: { graph: 'unet', options: '{}' } });
    const { code, stderr } = await build('--weights', at('f.safetensors'));
    expect([code, stderr]).to.deep.equal([
      0,
      `warning: ${at('f.safetensors')} was made for another network: its graph is unet, not group-norm\n`,
    ]);
  });

  it('build makes the weights of a fixture that has only a seed', async () => {
    await writeFixture(at('f.safetensors'), { affine: false, metadata: { weights: 'counter', seed: '7' } });
    const { code } = await build('--weights', at('f.safetensors'));
    expect(code).to.equal(0);
    const graph = getGraph('group-norm').build({ numGroups: 2, numChannels: 4 });
    const expected = counterWeights(graph, 7).get('weight')!;
    expect([...written().constant('weight')!.data]).to.deep.equal([...expected.data]);
  });

  it('build lists all wrong keys of a state_dict, with suggestions', async () => {
    const four = floats([4], [1, 1, 1, 1]);
    await writeSafetensors(at('w.safetensors'), { tensors: [['wieght', four], ['bias', floats([3], [1, 1, 1])]] }); // prettier-ignore
    const { code, stderr } = await build('--weights', at('w.safetensors'));
    expect(code).to.equal(2);
    expect(stderr)
      .to.include("missing 'weight' (did you mean 'wieght'?)")
      .and.to.include("unexpected 'wieght'")
      .and.to.include("'bias' has shape [3] but must be [4]");
    expect(existsSync(at('gn.onnx'))).to.be.false;
  });

  it('build --external-data writes the weights beside the model', async () => {
    const flags = ['--num-groups', '8', '--num-channels', '512', '--external-data'];
    const { code, stdout } = await onnx('build', 'group-norm', ...flags, '-o', at('gn.onnx'));
    expect(code).to.equal(0);
    expect(stdout).to.include(`Wrote ${at('gn.onnx')} and ${at('gn.onnx')}.data (`);
    expect(statSync(at('gn.onnx.data')).size).to.be.at.least(2 * 512 * 4);
    const run = await onnx('run', at('gn.onnx'), '--input', 'x=random', '--dim', 'N=1,H=2,W=2');
    expect(run.code).to.equal(0);
  });

  it('build --external-data refuses an output that is a link into another folder', async () => {
    mkdirSync(at('elsewhere'));
    writeFileSync(at('elsewhere/model.onnx'), 'old');
    symlinkSync(at('elsewhere/model.onnx'), at('gn.onnx'));
    const { code, stderr } = await build('--external-data');
    expect(code).to.equal(2);
    expect(stderr).to.match(
      /gn\.onnx' with a file beside it: it is a symbolic link into another folder; name '/,
    );
    expect((await build()).code).to.equal(0);
    expect(readdirSync(at('elsewhere'))).to.deep.equal(['model.onnx']);
  });

  it('build keeps the data file of an older model, and says so', async () => {
    const flags = ['build', 'group-norm', '--num-groups', '8', '--num-channels', '512', '-o', at('gn.onnx')];
    const note = `${at('gn.onnx')}.data belongs to an older model; this model does not use it\n`;
    expect((await onnx(...flags, '--external-data')).stdout).not.to.include(note);
    const { stdout } = await onnx(...flags);
    expect(stdout).to.include(note);
    expect(readdirSync(at()).sort()).to.deep.equal(['gn.onnx', 'gn.onnx.data']);
  });

  it('build --external-data keeps small weights in the model, and announces no second file', async () => {
    const { code, stdout } = await build('--external-data');
    expect(code).to.equal(0);
    expect(stdout)
      .to.include(`Wrote ${at('gn.onnx')} (`)
      .and.to.include('No data file: the weights are small and stay in the model\n')
      .and.not.to.include('.data');
    expect(readdirSync(at())).to.deep.equal(['gn.onnx']);
  });

  it('build leaves the old file as it was when it fails, and no other file', async () => {
    writeFileSync(at('gn.onnx'), 'the old model');
    const failures = [
      ['--weights', at('missing.safetensors')],
      ['--opset', '12'],
      ['--opset', '17', '--lowering', 'op'],
      ['--num-groups', '3'],
      ['--shape', 'N,5,H,W'],
      ['--shape', '-1,4'],
    ];
    for (const flags of failures) {
      const { code, stdout, stderr } = await build(...flags);
      expect([code, stdout], flags.join(' ')).to.deep.equal([2, '']);
      expect(stderr).to.match(/^error: /);
    }
    expect(readFileSync(at('gn.onnx'), 'utf8')).to.equal('the old model');
    expect(readdirSync(at())).to.deep.equal(['gn.onnx']);
  });

  it('build exits 2 if it cannot write the file', async () => {
    const { code, stderr } = await onnx(...GROUP_NORM, '-o', at());
    expect([code, stderr]).to.deep.equal([2, `error: cannot write '${at()}': it is a folder; name a file\n`]);
  });

  describe('build with bad usage', () => {
    const cases: [flags: string[], message: RegExp][] = [
      [[], /name the graph first.*known: .*group-norm/],
      [['-o', 'x.onnx', 'group-norm'], /name the graph first/],
      [['grup-norm', '-o', 'x.onnx'], /unknown graph 'grup-norm': did you mean 'group-norm'\?/],
      [['grup-norm', '--num-groups', '8', '-o', 'x'], /unknown graph 'grup-norm': did you mean 'group-norm'\?/],
      [
        ['group-norm'],
        /missing --num-groups <integer>, --num-channels <integer>, --output <file>; 'npx onnx-groupnorm build group-norm --help' explains/,
      ],
      [['group-norm', '--num-group', '2'], /unknown option '--num-group'\n\(Did you mean --num-groups\?\)/],
      [['group-norm', '--num-groups', 'two'], /'--num-groups <integer>' argument 'two' is invalid/],
      [['group-norm', '--shape', 'N,?'], /'\?' is not a dimension: write a size, such as 32, or a name/],
      [['group-norm', '--dtype', 'int8'], /Allowed choices are float32, float64, float16, bfloat16/],
      [
        ['group-norm', '--seed', '1', '--weights', 'w'],
        /'--weights <file>' cannot be used with option '--seed/,
      ],
      [[...GROUP_NORM.slice(1), '-o', 'x', '--lowering', 'layernorm'], /did you mean 'layer-norm'/],
      [[...GROUP_NORM.slice(1), '-o', 'x', 'y'], /too many arguments/],
    ];
    for (const [flags, message] of cases) {
      it(`build refuses: build ${flags.join(' ')}`, async () => {
        const { code, stdout, stderr } = await onnx('build', ...flags);
        expect([code, stdout]).to.deep.equal([2, '']);
        expect(stderr).to.match(message);
      });
    }
  });
});

const TIB = 2 ** 40;
const unet = (width: number) => getGraph('unet').build({ width });

describe('requireFits', () => {
  it('requireFits accepts 2 GiB of weights in a file, and more as external data', () => {
    requireFits(unet(64), false, TIB);
    requireFits(unet(272), true, TIB);
  });

  it('requireFits refuses more weights than a file can hold, and suggests --external-data', () => {
    expect(() => requireFits(unet(272), false, TIB))
      .to.throw(ModelError, /an ONNX file holds at most .* write its weights as external data/)
      .with.property('option', 'externalData'); // the command line names it --external-data
  });

  it('requireFits refuses more weights than the machine has memory', () => {
    for (const width of [3000, 10_000_000]) {
      expect(() => requireFits(unet(width), true, 24 * 2 ** 30)).to.throw(
        UsageError,
        /choose smaller options/,
      );
    }
    const huge = getGraph('group-norm').build({ numGroups: 1, numChannels: Number.MAX_SAFE_INTEGER });
    expect(() => requireFits(huge, true, TIB)).to.throw(UsageError);
  });
});

const OPTIONS = { output: 'gn.onnx', opset: 17 } as const;

function summary(input: InputType = {}, written: Partial<Written> = {}, options: object = {}): string {
  const graph = getGraph('group-norm').build({ numGroups: 2, numChannels: 4 }, input);
  const all: Written = { bytes: 1234, external: false, ...written };
  return describeBuild(graph, { ...OPTIONS, ...options }, 'w.safetensors', all).join('\n');
}

describe('describeBuild', () => {
  it('describeBuild lists the file, opset, parameters, weights and input', () => {
    expect(summary())
      .to.match(/^Wrote gn\.onnx \(1\.23 kB\)\n\n/)
      .and.include('opset       17, IR version 8\n')
      .and.include('parameters  2 tensors, 8 elements\n')
      .and.include('weights     w.safetensors\n')
      .and.include('input       x  float32 [N, 4, H, W]\n');
  });

  it('describeBuild suggests 1 for the batch and 64 for each other named dimension', () => {
    expect(summary()).to.match(/npx onnx-groupnorm run gn\.onnx --random --dim N=1,H=64,W=64$/);
    expect(summary({ shape: ['L', 4, 'L'] })).to.match(/ --dim L=64$/);
    expect(summary({ shape: [1, 4, 8] })).to.match(/ --random$/);
  });

  it('build suggests a file of zeros for each input of integers, which cannot be random', () => {
    const { inputs } = getGraph('unet-2d').build({ numClassEmbeds: 3, classEmbedType: null });
    const [file, labels, run] = exampleRun('m.onnx', { inputs });
    expect(file).to.equal("echo '[0]' > timestep.json");
    expect(labels).to.equal("echo '[0]' > class_labels.json");
    expect(run).to.match(/ --random --input timestep=timestep\.json --input class_labels=class_labels\.json --dim N=1,H=64/);
  });

  it('build leaves sizes to the user that only the user knows', () => {
    const options = { additionEmbedType: 'text_time' as const, additionTimeEmbedDim: 8, blockOutChannels: [8, 8] };
    const { inputs } = getGraph('unet-2d-condition').build({
      ...options,
      ...{ projectionClassEmbeddingsInputDim: 64, normNumGroups: 2, attentionHeadDim: [4], crossAttentionDim: [8] },
      ...{ downBlockTypes: ['DownBlock2D', 'DownBlock2D'], upBlockTypes: ['UpBlock2D', 'UpBlock2D'] },
    });
    expect(exampleRun('m.onnx', { inputs }).at(-1)).to.match(/ --dim N=1,H=64,W=64,S=64,E=SIZE,I=SIZE$/);
  });

  it('describeBuild quotes a path with blanks and quotes', () => {
    expect(summary({}, {}, { output: "my model's.onnx" })).to.include("run 'my model'\\''s.onnx' --random");
  });

  it('describeBuild names the data file, or says why it is missing', () => {
    expect(summary({}, { external: true })).to.match(/^Wrote gn\.onnx and gn\.onnx\.data \(/);
    expect(summary({}, {}, { externalData: true })).to.include(
      'No data file: the weights are small and stay in the model',
    );
    expect(summary({}, { stale: true })).to.include('gn.onnx.data belongs to an older model');
    expect(summary()).to.not.include('.data');
  });
});

describe('graph options', () => {
  const specs: Record<string, OptionSpec> = {
    inChannels: { type: 'integer', description: 'channels' },
    eps: { type: 'number', default: 1e-5, description: 'added' },
    affine: { type: 'boolean', default: true, description: 'learn a weight' },
    deepSupervision: { type: 'boolean', default: false, description: 'more outputs' },
  };
  const definition: GraphDefinition = {
    name: 'test',
    description: 'a test',
    options: specs,
    build: () => {
      throw new Error('not to be built');
    },
  };
  const parse = (...argv: string[]) => {
    const command = new Command();
    for (const flag of graphFlags(definition)) command.addOption(flag);
    return graphOptionsOf(definition, command.parse(argv, { from: 'user' }).opts());
  };

  it('build parses graph options under their own names, with their defaults', () => {
    expect(parse('--in-channels', '3')).to.deep.equal({
      inChannels: 3,
      eps: 1e-5,
      affine: true,
    });
  });

  it('build parses graph options that are texts and lists', () => {
    const options: Record<string, OptionSpec> = {
      actFn: { type: 'string', choices: ['silu', 'relu'], default: 'silu', description: 'activation' },
      channels: { type: 'integers', default: [32, 64], description: 'channels' },
      skips: { type: 'booleans', default: null, description: 'whether' },
      blocks: { type: 'strings', description: 'types' },
    };
    const flags = graphFlags({ ...definition, options });
    const command = new Command();
    for (const flag of flags) command.addOption(flag);
    const argv = ['--act-fn', 'relu', '--channels', '8,8', '--skips', 'true,false', '--blocks', 'a, b'];
    expect(
      graphOptionsOf({ ...definition, options }, command.parse(argv, { from: 'user' }).opts()),
    ).to.deep.equal({
      actFn: 'relu',
      channels: [8, 8],
      skips: [true, false],
      blocks: ['a', 'b'],
    });
    expect(
      flags.map((flag) => `${flag.flags}: ${flag.description} ${flag.defaultValueDescription}`),
    ).to.deep.equal([
      '--act-fn <name>: activation: silu, relu silu',
      '--channels <integers>: channels 32,64',
      '--skips <booleans>: whether undefined',
      '--blocks <names>: types (required) undefined',
    ]);
  });

  it('build flags switch a boolean graph option away from its default', () => {
    expect(parse('--no-affine', '--deep-supervision', '--eps', '1e-3')).to.deep.equal({
      eps: 1e-3,
      affine: false,
      deepSupervision: true,
    });
  });

  it('build leaves out a required graph option that is missing', () => {
    expect(parse()).not.to.have.property('inChannels');
  });

  it('build --help marks required graph options, and shows the defaults of the others', () => {
    const help = graphFlags(definition).map((flag) => `${flag.flags}: ${flag.description}`);
    expect(help).to.deep.equal([
      '--in-channels <integer>: channels (required)',
      '--eps <number>: added',
      '--no-affine: do not learn a weight',
      '--deep-supervision: more outputs',
    ]);
    expect(graphFlags(definition)[1]!.defaultValueDescription).to.equal('1e-5');
  });

  for (const graph of GRAPHS.values()) {
    it(`build --help has example values that make a graph ${graph.name}, and build suggests sizes that fit it`, () => {
      const flags = exampleFlags(graph).flatMap((flag) => flag.split(' '));
      const command = new Command();
      for (const flag of graphFlags(graph)) command.addOption(flag);
      const options = graphOptionsOf(graph, command.parse(flags, { from: 'user' }).opts());
      const built = graph.build(options);
      expect(graphExamples(graph).includes('--external-data')).to.equal(!parametersFit(built));
      const run = exampleRun('model.onnx', built).at(-1)!;
      const sizes = new Map(
        [.../ --dim (.*)/.exec(run)![1]!.matchAll(/(\w+)=(\d+)/g)].map(([, name, size]) => [
          name!,
          Number(size),
        ]),
      );
      const sized = ({ shape }: Value) => shape.map((dim) => sizes.get(String(dim)) ?? dim);
      const shapes = built.inputs.map((input) => [input.name, sized(input)] as const);
      expect(shapes.flatMap(([, shape]) => shape)).to.satisfy((dims: unknown[]) =>
        dims.every((dim) => typeof dim === 'number'),
      );
      // With sizes in place of names, a graph refuses sizes that its network cannot take.
      expect(graph.build(options, { shape: Object.fromEntries(shapes) }).outputs).not.to.be.empty;
    });
  }
});
