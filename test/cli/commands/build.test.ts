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
import { describe, it } from 'mocha';
import {
  counterWeights,
  createSession,
  getGraph,
  type TensorData,
  writeSafetensors,
} from '../../../lib/index.js';
import { Model } from '../../../lib/onnx/model.js';
import { floats, onnx, useTemporaryFolder, writeFixture } from '../support.js';

const GROUP_NORM = ['build', 'group-norm', '--num-groups', '2', '--num-channels', '4'];

describe('cli/build', () => {
  const at = useTemporaryFolder();
  const build = (...flags: string[]) => onnx(...GROUP_NORM, '-o', at('gn.onnx'), ...flags);
  const written = () => Model.decode(readFileSync(at('gn.onnx')));

  it('writes a model that ONNX Runtime runs, and says what it is and what to do next', async () => {
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
      `onnx-groupnorm run ${at('gn.onnx')} --input x=random --dim N=1,H=64,W=64`,
      '',
    ]);
    const session = await createSession(at('gn.onnx'));
    expect(session.inputs.map(({ name }) => name)).to.deep.equal(['x']);
    await session.dispose();
  });

  it('the command that it suggests works', async () => {
    const { stdout } = await build('--shape', 'N,4,L');
    const command = stdout.trim().split('\n').at(-1)!.trim().split(' ');
    expect((await onnx(...command.slice(1))).code).to.equal(0);
  });

  it('opset, lowering and dtype are those that are asked for', async () => {
    const { stdout } = await build('--opset', '17', '--lowering', 'layer-norm', '--dtype', 'float16');
    expect(stdout).to.match(/opset +17, IR version 8\n +lowering +layer-norm\n +nodes +\d+\n/);
    expect(written().opset).to.equal(17);
    expect(written().typeOf('x')).to.deep.equal({ dtype: 'float16', shape: ['N', 4, 'H', 'W'] });
    expect(written().nodes.map(({ opType }) => opType)).to.include('LayerNormalization');
  });

  it('the printed number of nodes is the number in the file', async () => {
    for (const lowering of ['op', 'reduce-mean', 'instance-norm', 'layer-norm']) {
      const { stdout } = await build('--lowering', lowering);
      expect(stdout).to.match(new RegExp(`nodes +${written().nodes.length}\\n`));
    }
  });

  it('below opset 21 the default is the lowering that runs everywhere', async () => {
    expect((await build('--opset', '20')).stdout).to.match(/lowering +reduce-mean/);
  });

  it('a shape may have names', async () => {
    await build('--shape', 'batch, 4, 32, W');
    expect(written().typeOf('x')!.shape).to.deep.equal(['batch', 4, 32, 'W']);
  });

  it('graph options reach the graph', async () => {
    const { stdout } = await build('--no-affine', '--eps', '0.25');
    expect(stdout).to.match(/parameters +0 tensors, 0 elements\n +weights +none\n/);
    expect(written().nodes[0]!.number('epsilon')).to.equal(0.25);
  });

  it('weights come from a state_dict or a fixture', async () => {
    await writeFixture(at('f.safetensors'));
    const { code, stdout } = await build('--weights', at('f.safetensors'));
    expect(code).to.equal(0);
    expect(stdout).to.include(`weights     ${at('f.safetensors')}\n`);
    expect([...written().constant('weight')!.data]).to.deep.equal([1.5, -0.5, 2, 1]);
  });

  it('--prefix takes a part of a checkpoint', async () => {
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
      "error: no key of the state_dict is under 'nrm'; there are: 'norm', 'head'\n",
    ]);
    expect((await build('--prefix', 'norm')).stderr).to.include('--prefix is about the keys of --weights');
  });

  it('a fixture that was made for other options is used with a warning that says which', async () => {
    await writeFixture(at('f.safetensors'));
    const flags = ['--weights', at('f.safetensors'), '-o', at('gn.onnx')];
    const { code, stderr } = await onnx('build', 'group-norm', '--num-groups', '4', '--num-channels', '4', '--eps', '1e-3', ...flags); // prettier-ignore
    expect(code).to.equal(0);
    expect(stderr).to.equal(
      `warning: ${at('f.safetensors')} was made for another network: its numGroups is 2, not 4; its eps is 0.00001, not 0.001\n`,
    );
    expect((await build('--weights', at('f.safetensors'))).stderr).to.equal('');
  });

  it('a fixture of another graph is warned of before its keys are found not to fit', async () => {
    await writeFixture(at('f.safetensors'), { metadata: { graph: 'unet', options: '{}' } });
    const { code, stderr } = await build('--weights', at('f.safetensors'));
    expect([code, stderr]).to.deep.equal([
      0,
      `warning: ${at('f.safetensors')} was made for another network: its graph is unet, not group-norm\n`,
    ]);
  });

  it('a fixture that holds a seed in place of its weights gives those that the seed makes', async () => {
    await writeFixture(at('f.safetensors'), { affine: false, metadata: { weights: 'counter', seed: '7' } });
    const { code } = await build('--weights', at('f.safetensors'));
    expect(code).to.equal(0);
    const graph = getGraph('group-norm').build({ numGroups: 2, numChannels: 4 });
    const expected = counterWeights(graph, 7).get('weight')!;
    expect([...written().constant('weight')!.data]).to.deep.equal([...expected.data]);
  });

  it('wrong keys are all listed, with what may have been meant', async () => {
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

  it('external data lies beside the model', async () => {
    const flags = ['--num-groups', '8', '--num-channels', '512', '--external-data'];
    const { code, stdout } = await onnx('build', 'group-norm', ...flags, '-o', at('gn.onnx'));
    expect(code).to.equal(0);
    expect(stdout).to.include(`Wrote ${at('gn.onnx')} and ${at('gn.onnx')}.data (`);
    expect(statSync(at('gn.onnx.data')).size).to.be.at.least(2 * 512 * 4);
    const run = await onnx('run', at('gn.onnx'), '--input', 'x=random', '--dim', 'N=1,H=2,W=2');
    expect(run.code).to.equal(0);
  });

  it('does not part a model from its data by way of a link', async () => {
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

  it('says that the data of an older model is still there, and leaves it', async () => {
    const flags = ['build', 'group-norm', '--num-groups', '8', '--num-channels', '512', '-o', at('gn.onnx')];
    const note = `${at('gn.onnx')}.data is still there, from an older model: this one does not need it\n`;
    expect((await onnx(...flags, '--external-data')).stdout).not.to.include(note);
    const { stdout } = await onnx(...flags);
    expect(stdout).to.include(note);
    expect(readdirSync(at()).sort()).to.deep.equal(['gn.onnx', 'gn.onnx.data']);
  });

  it('weights too small for a file of their own stay in the model, and no second file is announced', async () => {
    const { code, stdout } = await build('--external-data');
    expect(code).to.equal(0);
    expect(stdout)
      .to.include(`Wrote ${at('gn.onnx')} (`)
      .and.to.include('its weights are too small for a file of their own')
      .and.not.to.include('.data');
    expect(readdirSync(at())).to.deep.equal(['gn.onnx']);
  });

  it('a failed build leaves the old file as it was, and nothing else', async () => {
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

  it('a file that cannot be written is bad input', async () => {
    const { code, stderr } = await onnx(...GROUP_NORM, '-o', at());
    expect([code, stderr]).to.deep.equal([2, `error: cannot write '${at()}': it is a folder; name a file\n`]);
  });

  describe('bad usage', () => {
    const cases: [flags: string[], message: RegExp][] = [
      [[], /name the graph first.*known: .*group-norm/],
      [['-o', 'x.onnx', 'group-norm'], /name the graph first/],
      [['grup-norm', '-o', 'x.onnx'], /unknown graph 'grup-norm': did you mean 'group-norm'\?/],
      [['group-norm'], /required: --num-groups <integer>, --num-channels <integer>, -o, --output <file>/],
      [['group-norm', '--num-group', '2'], /unknown option '--num-group'\n\(Did you mean --num-groups\?\)/],
      [['group-norm', '--num-groups', 'two'], /'--num-groups <integer>' argument 'two' is invalid/],
      [['group-norm', '--shape', 'N,?'], /'\?' is no dimension/],
      [['group-norm', '--dtype', 'int8'], /Allowed choices are float32, float64, float16, bfloat16/],
      [
        ['group-norm', '--seed', '1', '--weights', 'w'],
        /'--weights <file>' cannot be used with option '--seed/,
      ],
      [[...GROUP_NORM.slice(1), '-o', 'x', '--lowering', 'layernorm'], /did you mean 'layer-norm'/],
      [[...GROUP_NORM.slice(1), '-o', 'x', 'y'], /too many arguments/],
    ];
    for (const [flags, message] of cases) {
      it(`build ${flags.join(' ')}`, async () => {
        const { code, stdout, stderr } = await onnx('build', ...flags);
        expect([code, stdout]).to.deep.equal([2, '']);
        expect(stderr).to.match(message);
      });
    }
  });
});
