import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';
import { encodeModel } from '../../../lib/onnx/encode.js';
import { Model } from '../../../lib/onnx/model.js';
import { exportedModel } from '../../support/exported-model.js';
import {
  type GroupNormCase,
  groupNormModel,
  maxAbsDifference,
  randomTensor,
  referenceGroupNorm,
} from '../../support/group-norm.js';
import { runPlain } from '../../support/plain-runtime.js';
import { onnx, useTemporaryFolder } from '../support.js';

const CASE: GroupNormCase = {
  x: randomTensor('float32', [1, 8, 10, 12], { mean: 1000, deviation: 0.1 }),
  scale: randomTensor('float32', [8], { stream: 'scale' }),
  numGroups: 2,
  eps: Math.fround(1e-5),
};
/** The error of results of up to 10: what torch.testing.assert_close allows of them. */
const TOLERANCE = 1e-5 + 1.3e-5;

describe('cli/convert', () => {
  const at = useTemporaryFolder();
  const files = (folder = '') => readdirSync(at(folder)).sort();
  const convert = (...flags: string[]) => onnx('convert', at('in.onnx'), '-o', at('out.onnx'), ...flags);

  it('writes a model that ONNX Runtime runs rightly, and says what it replaced', async () => {
    writeFileSync(at('in.onnx'), groupNormModel(CASE, { lowering: 'op', opset: 21 }));
    const { code, stdout, stderr } = await convert();
    expect([code, stderr]).to.deep.equal([0, '']);
    expect(stdout.split('\n').slice(1)).to.deep.equal([
      '1 GroupNorm written as reduce-mean: 1 GroupNormalization',
      '',
    ]);
    expect(stdout).to.match(/^Wrote .*out\.onnx \([\d.]+ kB\)\n/);
    const y = await runPlain(readFileSync(at('out.onnx')), CASE.x);
    expect(maxAbsDifference(y, referenceGroupNorm(CASE))).to.be.below(TOLERANCE);
    expect(files()).to.deep.equal(['in.onnx', 'out.onnx']);
  });

  for (const lowering of ['reduce-mean', 'instance-norm', 'layer-norm']) {
    it(`writes what PyTorch exports as ${lowering}`, async () => {
      writeFileSync(at('in.onnx'), exportedModel(CASE, 17));
      const { code, stdout } = await convert('--lowering', lowering);
      expect(code).to.equal(0);
      expect(stdout).to.include(
        `1 GroupNorm written as ${lowering}: 1 as PyTorch exports it below opset 21\n`,
      );
      const y = await runPlain(readFileSync(at('out.onnx')), CASE.x);
      expect(maxAbsDifference(y, referenceGroupNorm(CASE))).to.be.below(TOLERANCE);
    });
  }

  it('--lowering op writes the operator, and says who runs it', async () => {
    writeFileSync(at('in.onnx'), exportedModel(CASE, 21));
    const { code, stdout } = await convert('--lowering', 'op');
    expect(code).to.equal(0);
    expect(stdout)
      .to.include('1 GroupNorm written as op: ')
      .and.include('run it in a session of onnx-groupnorm');
    const { nodes } = Model.decode(readFileSync(at('out.onnx')));
    expect(nodes.map(({ opType }) => opType)).to.include('GroupNormalization');
  });

  it('copies a model with nothing to rewrite, and says so', async () => {
    const g = new GraphBuilder('relu');
    g.output('y', op.relu(g, g.input('x', 'float32', [4])));
    writeFileSync(at('in.onnx'), encodeModel(g.build(), new Map()));
    const { code, stdout } = await convert();
    expect(code).to.equal(0);
    expect(stdout).to.include(`, a copy of ${at('in.onnx')}: nothing in it needs to be rewritten\n`);
    expect(readFileSync(at('out.onnx')).equals(readFileSync(at('in.onnx')))).to.equal(true);
    writeFileSync(at('in.onnx'), groupNormModel(CASE, { lowering: 'reduce-mean', opset: 21 }));
    expect((await convert()).stdout).to.include('nothing in it needs to be rewritten');
  });

  describe('weights in a file of their own', () => {
    const build = () =>
      onnx('build', 'group-norm', '--num-groups', '8', '--num-channels', '512', '--external-data', '-o', at('in.onnx')); // prettier-ignore
    const convertTo = (path: string) => onnx('convert', at('in.onnx'), '-o', at(path));
    const runs = async (path: string) =>
      (await onnx('run', at(path), '--input', 'x=random', '--dim', 'N=1,H=2,W=2')).code;

    it('stay there in the same folder, by whatever path', async () => {
      await build();
      mkdirSync(at('folder'));
      for (const path of ['out.onnx', 'folder/../out.onnx']) {
        const { code, stdout } = await convertTo(path);
        expect(code).to.equal(0);
        expect(stdout).to.include('Its weights lie beside it: in.onnx.data\n');
        expect(files()).to.deep.equal(['folder', 'in.onnx', 'in.onnx.data', 'out.onnx']);
        expect(await runs('out.onnx')).to.equal(0);
      }
    });

    it('are copied to another folder, once', async () => {
      await build();
      const { code, stdout } = await convertTo('new/out.onnx');
      expect(code).to.equal(0);
      expect(stdout).to.include('Its weights lie beside it: in.onnx.data (copied)\n');
      expect(files('new')).to.deep.equal(['in.onnx.data', 'out.onnx']);
      expect(readFileSync(at('new/in.onnx.data')).equals(readFileSync(at('in.onnx.data')))).to.equal(true);
      expect(await runs('new/out.onnx')).to.equal(0);
      expect((await convertTo('new/other.onnx')).stdout).to.include('beside it: in.onnx.data\n');
    });

    it('are not copied over another file, and then nothing is written', async () => {
      await build();
      mkdirSync(at('new'));
      writeFileSync(at('new/in.onnx.data'), 'another');
      const { code, stdout, stderr } = await convertTo('new/out.onnx');
      expect([code, stdout]).to.deep.equal([2, '']);
      expect(stderr).to.include('is there and is another').and.include('name another folder with -o');
      expect(files('new')).to.deep.equal(['in.onnx.data']);
      expect(readFileSync(at('new/in.onnx.data'), 'utf8')).to.equal('another');
    });

    it('are not written over by the model, there or in another folder', async () => {
      await build();
      const before = readFileSync(at('in.onnx.data'));
      expect((await convertTo('in.onnx.data')).stderr).to.include('which is the weights of');
      expect((await convertTo('new/in.onnx.data')).stderr).to.include('give it another name');
      expect(readFileSync(at('in.onnx.data')).equals(before)).to.equal(true);
      expect(existsSync(at('new'))).to.equal(false);
    });

    it('that are not parted from the model by way of a link', async function () {
      if (process.platform === 'win32') this.skip();
      await build();
      mkdirSync(at('elsewhere'));
      writeFileSync(at('elsewhere/old.onnx'), 'old');
      symlinkSync(at('elsewhere/old.onnx'), at('out.onnx'));
      const { code, stderr } = await convertTo('out.onnx');
      expect(code).to.equal(2);
      expect(stderr).to.include('it is a symbolic link into another folder');
      expect(readFileSync(at('elsewhere/old.onnx'), 'utf8')).to.equal('old');
    });
  });

  it('a failed conversion leaves the old file as it was, and nothing else', async () => {
    writeFileSync(at('out.onnx'), 'the old model');
    writeFileSync(at('in.onnx'), exportedModel(CASE, 16));
    writeFileSync(at('text.onnx'), 'no model');
    const failures: [string[], RegExp][] = [
      [
        [at('in.onnx'), '--lowering', 'op'],
        /in\.onnx: lowering 'op' needs a model of opset 21 .*reduce-mean/,
      ],
      [[at('in.onnx'), '--lowering', 'layer-norm'], /in\.onnx: lowering 'layer-norm' needs opset 17/],
      [[at('in.onnx'), '--lowering', 'layernorm'], /unknown lowering 'layernorm': did you mean 'layer-norm'/],
      [[at('in.onnx'), '--lowering', 'contrib-group-norm'], /for sessions .* and not for files/],
      [[at('text.onnx')], /text\.onnx: this is not an ONNX model, or the file is damaged/],
      [[at('none.onnx')], /cannot read '.*none\.onnx': it does not exist; check the path/],
      [[at()], /cannot read .*: it is a folder/],
    ];
    for (const [flags, message] of failures) {
      const { code, stdout, stderr } = await onnx('convert', ...flags, '-o', at('out.onnx'));
      expect([code, stdout], flags.join(' ')).to.deep.equal([2, '']);
      expect(stderr)
        .to.match(/^error: /)
        .and.to.match(message);
    }
    expect(readFileSync(at('out.onnx'), 'utf8')).to.equal('the old model');
    expect(files()).to.deep.equal(['in.onnx', 'out.onnx', 'text.onnx']);
  });

  it('a file that cannot be written is bad input', async () => {
    writeFileSync(at('in.onnx'), exportedModel(CASE, 17));
    const { code, stderr } = await onnx('convert', at('in.onnx'), '-o', at());
    expect([code, stderr]).to.deep.equal([2, `error: cannot write '${at()}': it is a folder; name a file\n`]);
  });

  describe('bad usage', () => {
    const cases: [flags: string[], message: RegExp][] = [
      [[], /missing required argument 'model'\n'onnx-groupnorm convert --help' explains what it takes/],
      [['in.onnx'], /required: -o, --output <file>; 'onnx-groupnorm convert --help'/],
      [['in.onnx', 'out.onnx', '-o', 'x.onnx'], /too many arguments/],
      [['in.onnx', '-o', 'x.onnx', '--lower', 'op'], /unknown option '--lower'/],
    ];
    for (const [flags, message] of cases) {
      it(`convert ${flags.join(' ')}`, async () => {
        const { code, stdout, stderr } = await onnx('convert', ...flags);
        expect([code, stdout]).to.deep.equal([2, '']);
        expect(stderr).to.match(message);
      });
    }
  });
});
