import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import {
  compareTensors,
  decodeNpy,
  encodeNpy,
  readFixture,
  readTestDataSet,
  type TensorData,
} from '../../../../lib/index.js';
import { classifier } from '../../../support/classifier.js';
import { toOrtFormat } from '../../../support/ort-format.js';
import { EXECUTION, floats, onnx, useTemporaryFolder, writeFixture } from '../../support.js';

describe('run', () => {
  const at = useTemporaryFolder();
  let expected: TensorData;

  beforeEach(async () => {
    expected = await writeFixture(at('f.safetensors'));
    const { inputs } = await readFixture(at('f.safetensors'));
    writeFileSync(at('x.npy'), encodeNpy(inputs.get('x')!));
    const flags = ['--num-groups', '2', '--num-channels', '4', '--weights', at('f.safetensors')];
    await onnx('build', 'group-norm', ...flags, '-o', at('gn.onnx'));
  });
  const run = (...flags: string[]) => onnx('run', at('gn.onnx'), ...flags);

  it('run gives the output of the fixture for a model that build wrote', async () => {
    const { code, stdout, stderr } = await run('--input', `x=${at('x.npy')}`, '--output', at('out'));
    expect([code, stderr]).to.deep.equal([0, '']);
    const y = decodeNpy(readFileSync(at('out/y.npy')));
    // float32 against float64, values up to 5: a few units of 2⁻²⁴·5 = 3e-7.
    expect(compareTensors('y', y, expected, { rtol: 0, atol: 2e-6 }).mismatched).to.equal(0);
    expect(stdout).to.match(new RegExp(`gn\\.onnx on ${EXECUTION}: [\\d.]+ m?s\\n`));
    expect(stdout)
      .to.include(`  ${at('out/y.npy')}\n`)
      .and.to.match(/y +float32 +\[2, 4, 3, 3\] +-\d/);
  });

  it('run --test-data writes what it read and computed, as a data set that parity passes', async () => {
    mkdirSync(at('net'));
    renameSync(at('gn.onnx'), at('net/model.onnx'));
    const flags = ['--input', `x=${at('x.npy')}`, '--test-data', at('net/test_data_set_0')];
    const { code, stderr } = await onnx('run', at('net/model.onnx'), ...flags);
    expect([code, stderr]).to.deep.equal([0, '']);
    const set = await readTestDataSet(at('net/test_data_set_0'));
    expect(set.inputs.get('x')).to.deep.equal(decodeNpy(readFileSync(at('x.npy'))));
    expect(compareTensors('y', set.outputs.get('y')!, expected, { rtol: 0, atol: 2e-6 }).mismatched).to.equal(
      0,
    );
    expect((await onnx('parity', at('net'))).code).to.equal(0);
  });

  it('run --test-data refuses a folder where parity does not find the model', async () => {
    const { code, stderr } = await run(
      '--random',
      '--dim',
      'N=1,H=5,W=6',
      '--test-data',
      at('test_data_set_0'),
    );
    expect(code).to.equal(2);
    expect(stderr).to.include('--test-data takes a folder beside the model, whose name must be model.onnx');
  });

  it('run without --output leaves the folder as it was', async () => {
    const before = readdirSync(at());
    const { code, stdout } = await run('--input', 'x=random', '--dim', 'N=1,H=5,W=6');
    expect(code).to.equal(0);
    expect(stdout).to.include('[1, 4, 5, 6]').and.not.to.include('.npy');
    expect(readdirSync(at())).to.deep.equal(before);
  });

  it('run --seed gives the same output for the same seed, and another for another seed', async () => {
    const random = async (...flags: string[]) => {
      await run('--input', 'x=random', '--dim', 'N=1,H=5,W=6', '--output', at('out'), ...flags);
      return readFileSync(at('out/y.npy')).toString('hex');
    };
    const first = await random();
    expect(await random('--seed', '0')).to.equal(first);
    expect(await random('--seed', '1')).not.to.equal(first);
  });

  it('run --repeat prints the fastest and the median time', async () => {
    const { stdout } = await run('--input', `x=${at('x.npy')}`, '--repeat', '4');
    expect(stdout).to.match(/: 4 runs, fastest [\d.]+ ms, median [\d.]+ ms\n/);
  });

  it("run runs a model in ONNX Runtime's own format", async () => {
    await onnx('convert', at('gn.onnx'), '-o', at('converted.onnx'));
    writeFileSync(at('gn.ort'), await toOrtFormat(readFileSync(at('converted.onnx'))));
    const { code } = await onnx('run', at('gn.ort'), '--input', `x=${at('x.npy')}`, '--output', at('out'));
    expect(code).to.equal(0);
    const y = decodeNpy(readFileSync(at('out/y.npy')));
    expect(compareTensors('y', y, expected, { rtol: 0, atol: 2e-6 }).mismatched).to.equal(0);
  });

  it('run leaves out texts, maps and sequences of a classifier, and says so', async () => {
    writeFileSync(at('classifier.onnx'), classifier());
    const flags = ['--input', 'x=random', '--dim', 'N=2', '--output', at('out')];
    const { code, stdout } = await onnx('run', at('classifier.onnx'), ...flags);
    expect(code).to.equal(0);
    expect(stdout)
      .to.include('output label: texts, left out')
      .and.include('output maps: not a tensor, left out');
    expect(readdirSync(at('out'))).to.deep.equal(['probabilities.npy']);
  });

  it('run says which sizes fit a network that cannot take those of its input', async () => {
    const flags = ['--num-groups', '2', '--width', '2', '-o', at('unet.onnx')];
    await onnx('build', 'unet', ...flags);
    const { code, stderr } = await onnx('run', at('unet.onnx'), '--random', '--dim', 'N=1,H=65,W=32');
    expect(code).to.equal(2);
    expect(stderr).to.match(/unet\.onnx cannot take H=65: it halves .* Nearby fit H=64 or 80\n$/);
  });

  it('run --group-norm chooses how GroupNormalization runs', async () => {
    const x = `x=${at('x.npy')}`;
    expect((await run('--input', x, '--group-norm', 'layer-norm')).stdout).to.include('as layer-norm');
    expect((await run('--input', x, '--group-norm', 'op')).stdout).not.to.include('GroupNormalization as');
  });

  it('run converts a file of another float dtype, and says so', async () => {
    const x = decodeNpy(readFileSync(at('x.npy')));
    const wide = { dtype: 'float64', dims: x.dims, data: Float64Array.from(x.data as Float32Array) } as const;
    writeFileSync(at('x64.npy'), encodeNpy(wide));
    const { code, stdout } = await run('--input', `x=${at('x64.npy')}`);
    expect(code).to.equal(0);
    expect(stdout).to.include(`input x: ${at('x64.npy')} converted from float64 to float32`);
  });

  it('run counts elements that are not finite, and says that it saves bfloat16 as float32', async () => {
    const x = floats([1, 4, 1, 2], [NaN, 1, 2, 3, 4, 5, 6, 7]);
    writeFileSync(at('nan.npy'), encodeNpy(x));
    const nan = await run('--input', `x=${at('nan.npy')}`);
    expect(nan.stdout)
      .to.include('  input x: 1 of 8 elements is NaN\n')
      .and.to.include('  output y: 4 of 8 elements are NaN; min, max and mean leave them out\n');
    const flags = ['--num-groups', '2', '--num-channels', '4', '--dtype', 'bfloat16'];
    await onnx('build', 'group-norm', ...flags, '-o', at('gn.onnx'));
    const half = await run('--input', 'x=random', '--dim', 'N=1,H=2,W=2', '--output', at('out'));
    expect(half.stdout).to.include('  output y: saved as float32, because NumPy does not have bfloat16\n');
  });

  describe('run with bad usage or bad input', () => {
    const cases: [flags: () => string[], message: RegExp][] = [
      [
        () => [],
        /input 'x' is missing; add --input x=FILE\.npy or --input x=random\n.*\n {2}'x' float32 \[N, 4, H, W\]/,
      ],
      [() => ['--input', 'x=random'], /no size for N, H, W; add --dim N=SIZE,H=SIZE,W=SIZE/],
      [() => ['--input', 'y=random'], /'y' is not an input of the model/],
      [() => ['--input', 'x=random', '--dim', 'N=1,H=1,W=1,D=1'], /--dim D: .*the names are N, H, W/],
      [() => ['--input', 'x=random', '--dim', 'N=1', 'H=64', 'W=8'], /write commas.*: --dim N=1,H=64,W=8\n/],
      [() => ['more.onnx'], /run takes one model, but there is a second argument 'more\.onnx'; remove it/],
      [() => ['--input', 'x'], /^error: --input takes NAME=FILE\.npy or NAME=random, .*; got 'x'\n$/],
      [() => ['--dim', 'N:1'], /^error: --dim takes NAME=SIZE pairs, such as N=1,H=64; got 'N:1'\n$/],
      [() => ['--input', `x=${at('none.npy')}`], /cannot read '.*none\.npy': it does not exist/],
      [() => ['--input', `x=${at('gn.onnx')}`], /gn\.onnx is not a valid \.npy file/],
      [() => ['--input', 'x=random', '--repeat', '0'], /It must be at least 1/],
      [
        () => ['--input', 'x=random', '--provider', 'cpuu'],
        /unknown execution provider 'cpuu': did you mean 'cpu'/,
      ],
      [() => ['--input', 'x=random', '--group-norm', 'layernorm'], /did you mean 'layer-norm'/],
      [() => ['--inputs', 'x=random'], /unknown option '--inputs'\n\(Did you mean --input\?\)/],
    ];
    for (const [flags, message] of cases) {
      it(`run says what is wrong: ${message.source}`, async () => {
        const { code, stdout, stderr } = await run(...flags(), '--output', at('out'));
        expect([code, stdout]).to.deep.equal([2, '']);
        expect(stderr).to.match(message);
        expect(existsSync(at('out'))).to.be.false;
      });
    }

    it('run refuses a file that is not a model', async () => {
      const { code, stderr } = await onnx('run', at('f.safetensors'));
      expect(code).to.equal(2);
      expect(stderr).to.match(/^error: .*f\.safetensors: this is not an ONNX model/);
    });
  });
});
