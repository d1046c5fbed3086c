import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { verifyConversion } from '../../../../lib/cli/commands/convert/verify.js';
import { Progress } from '../../../../lib/cli/shared/progress.js';
import { encodeNpy } from '../../../../lib/files/npy.js';
import { Model } from '../../../../lib/onnx/model.js';
import { ModelProto } from '../../../../lib/onnx/protobuf/proto.js';
import { convertModel } from '../../../../lib/rewrite/convert.js';
import { tensor } from '../../../../lib/tensor.js';
import { exportedModel } from '../../../support/exported-model.js';
import { type GroupNormCase, groupNormModel, randomTensor } from '../../../support/group-norm.js';
import { onnx, Sink, useTemporaryFolder } from '../../support.js';

const CASE: GroupNormCase = {
  x: randomTensor('float32', [1, 8, 10, 12]),
  scale: randomTensor('float32', [8], { stream: 'scale' }),
  numGroups: 2,
  eps: Math.fround(1e-5),
};

describe('convert --verify', () => {
  const at = useTemporaryFolder();
  const convert = (...flags: string[]) => onnx('convert', at('in.onnx'), '-o', at('out.onnx'), ...flags);
  const SIZES = ['--dim', 'D0=2,D2=6,D3=5'];

  it('convert --verify runs both models on random inputs, and prints how far they differ', async () => {
    writeFileSync(at('in.onnx'), exportedModel(CASE, 17));
    for (const [flags, runs] of [
      [['--verify'], '3 random inputs'],
      [['--verify', '1'], '1 random input'],
    ] as const) {
      // prettier-ignore
      for (const lowering of [[], ['--lowering', 'layer-norm'], ['--merge']]) {
        const { code, stdout, stderr } = await convert(...flags, ...SIZES, ...lowering);
        expect([code, stderr]).to.deep.equal([0, '']);
        expect(stdout).to.include(`Verified: the outputs before and after, on ${runs}\n`);
        expect(stdout).to.match(/ {2}output +max abs +max rel +of tolerance +beyond\n {2}y .* 0 of 480\n/);
      }
    }
    expect(Model.decode(readFileSync(at('out.onnx'))).opset).to.equal(21);
  });

  it('convert --verify takes the inputs from files, and runs once then', async () => {
    writeFileSync(at('in.onnx'), exportedModel(CASE, 17));
    writeFileSync(at('x.npy'), encodeNpy(CASE.x));
    const { code, stdout } = await convert('--verify', '--input', `x=${at('x.npy')}`);
    expect(code).to.equal(0);
    expect(stdout).to.include('Verified: the outputs before and after, on the given inputs\n');
  });

  it('convert --verify that finds a difference writes nothing, keeps the older file, and exits with 1', async () => {
    writeFileSync(at('in.onnx'), exportedModel(CASE, 17));
    writeFileSync(at('out.onnx'), 'older');
    const { code, stdout, stderr } = await convert('--verify', ...SIZES, '--rtol', '0', '--atol', '0');
    expect([code, stdout]).to.deep.equal([1, '']);
    expect(stderr).to.match(/^NOT THE SAME: the outputs before and after, on 3 random inputs\n/);
    expect(stderr).to.include('out.onnx is not written. Rounding alone may differ');
    expect(readFileSync(at('out.onnx'), 'utf8')).to.equal('older');
    expect(readdirSync(at()).sort()).to.deep.equal(['in.onnx', 'out.onnx']);
  });

  it('convert --verify is not passed by outputs that are empty, or NaN everywhere', async () => {
    writeFileSync(at('in.onnx'), exportedModel(CASE, 17));
    const { dims } = CASE.x;
    const nan = tensor('float32', dims, new Float32Array(CASE.x.data.length).fill(NaN));
    writeFileSync(at('nan.npy'), encodeNpy(nan));
    for (const inputs of [
      ['--input', `x=${at('nan.npy')}`],
      ['--dim', 'D0=0,D2=6,D3=5'],
    ]) {
      const { code, stderr } = await convert('--verify', ...inputs);
      expect([code, existsSync(at('out.onnx'))], stderr).to.deep.equal([1, false]);
      expect(stderr).to.match(/^NOTHING TO COMPARE: the outputs before and after/);
      expect(stderr).to.include('out.onnx is not written: no output has a finite element');
    }
  });

  it('convert --verify finds the weights of a model in files of their own, and copies them only afterwards', async () => {
    await onnx('build', 'group-norm', '--num-groups', '8', '--num-channels', '512', '--external-data', '-o', at('in.onnx')); // prettier-ignore
    mkdirSync(at('new'));
    const to = (...flags: string[]) =>
      onnx('convert', at('in.onnx'), '-o', at('new/out.onnx'), '--verify', '1', '--dim', 'N=1,H=2,W=3', ...flags); // prettier-ignore
    expect((await to('--rtol', '0', '--atol', '0', '--lowering', 'layer-norm')).code).to.equal(1);
    expect(readdirSync(at('new'))).to.deep.equal([]);
    const { code, stdout, stderr } = await to();
    expect(code, stderr).to.equal(0);
    expect(stdout).to.include('Verified');
    expect(readdirSync(at('new')).sort()).to.deep.equal(['in.onnx.data', 'out.onnx']);
  });

  it('convert --verify leaves out the comparison if there is nothing to rewrite', async () => {
    writeFileSync(at('in.onnx'), groupNormModel(CASE, { lowering: 'reduce-mean', opset: 21 }));
    const { code, stdout } = await convert('--verify', ...SIZES);
    expect(code).to.equal(0);
    expect(stdout).to.include('there is nothing to rewrite').and.not.include('Verified');
  });

  it('convert refuses the options of --verify without it, and --verify with --batch-norm-to-group-norm', async () => {
    writeFileSync(at('in.onnx'), exportedModel(CASE, 17));
    for (const flags of [
      ['--random'],
      SIZES,
      ['--seed', '1'],
      ['--input', 'x=random'],
      ['--rtol', '1'],
      ['--atol', '1'],
    ]) {
      // prettier-ignore
      const { code, stderr } = await convert(...flags);
      expect([flags[0], code]).to.deep.equal([flags[0], 2]);
      expect(stderr).to.include(`error: ${flags[0]} belongs to --verify; add it, or remove ${flags[0]}`);
    }
    copyFileSync(
      fileURLToPath(new URL('../../../samples/batch-norm/rows-dynamo.onnx', import.meta.url)),
      at('bn.onnx'),
    );
    const both = await onnx(
      'convert',
      at('bn.onnx'),
      '-o',
      at('out.onnx'),
      '--verify',
      '--batch-norm-to-group-norm',
    );
    expect([both.code, both.stderr]).to.deep.equal([
      2,
      'error: --verify requires equal results, and --batch-norm-to-group-norm changes them by design; remove --verify\n',
    ]);
    expect(existsSync(at('out.onnx'))).to.equal(false);
  });

  it('convert --verify refuses a wrong number, a size that is missing, and an output over an input', async () => {
    writeFileSync(at('in.onnx'), exportedModel(CASE, 17));
    writeFileSync(at('x.npy'), encodeNpy(CASE.x));
    for (const [flags, message] of [
      [['--verify', '0'], 'It must be at least 1.'],
      [['--verify', 'x'], 'It must be an integer'],
      [['--verify'], 'no size for D0, D2, D3; add --dim D0=SIZE,D2=SIZE,D3=SIZE'],
      [['--verify', '--dim', 'D0=1,D2=3,D3=4,W=2'], '--dim W: no dimension of a random input has this name'],
      [['--verify', '--input', 'z=random'], "'z' is not an input of the model"],
      [['--verify', '--rtol', '-1', ...SIZES], 'It must be at least 0.'],
    ] as const) {
      const { code, stderr } = await convert(...flags);
      expect([code, stderr]).to.satisfy(([one, text]: [number, string]) => one === 2 && text.includes(message), stderr); // prettier-ignore
    }
    const over = await onnx(
      'convert',
      at('in.onnx'),
      '-o',
      at('x.npy'),
      '--verify',
      '--input',
      `x=${at('x.npy')}`,
    );
    expect(over.code).to.equal(2);
    expect(over.stderr).to.include('-o would overwrite').and.include("which is input 'x'");
    expect(existsSync(at('out.onnx'))).to.equal(false);
  });

  it('verifyConversion fails for a model that computes something else, and says how many elements differ', async () => {
    writeFileSync(at('in.onnx'), exportedModel(CASE, 17));
    const converted = convertModel(exportedModel(CASE, 17));
    const message = ModelProto.decode(converted.bytes);
    const add = message.graph!.node!.findLast(({ opType }) => opType === 'Add')!;
    add.opType = 'Sub';
    const options = { output: 'out.onnx', seed: 0, dim: new Map([['D0', 1], ['D2', 4], ['D3', 3]]), random: true }; // prettier-ignore
    const changed = { ...converted, bytes: ModelProto.encode(message).finish() };
    const { passed, lines } = await verifyConversion(
      at('in.onnx'),
      changed,
      options,
      new Progress(new Sink()),
    );
    expect(passed).to.equal(false);
    // The sign of epsilon is another one.
    expect(lines[2]).to.match(/^ {2}y .* 440 % +32 of 96$/);
  });

  it('convert --verify says that outputs are not finite on the given inputs', async () => {
    writeFileSync(at('in.onnx'), exportedModel(CASE, 17));
    const x = tensor('float32', [1, 8, 2, 2], new Float32Array(32).fill(NaN, 0, 1));
    writeFileSync(at('x.npy'), encodeNpy(x));
    const { code, stdout } = await convert('--verify', '--input', `x=${at('x.npy')}`);
    expect(code).to.equal(0);
    expect(stdout)
      .to.include('input x: 1 of 32 elements is NaN\n')
      .and.include('output y: 16 of 32 elements are NaN\n');
  });
});
