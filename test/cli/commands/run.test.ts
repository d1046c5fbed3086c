import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { beforeEach, describe, it } from 'mocha';
import { compareTensors, decodeNpy, encodeNpy, readFixture, type TensorData } from '../../../lib/index.js';
import { EXECUTION, floats, onnx, useTemporaryFolder, writeFixture } from '../support.js';

describe('cli/run', () => {
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

  it("build, then run, gives the fixture's output", async () => {
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

  it('without --output nothing is written', async () => {
    const before = readdirSync(at());
    const { code, stdout } = await run('--input', 'x=random', '--dim', 'N=1,H=5,W=6');
    expect(code).to.equal(0);
    expect(stdout).to.include('[1, 4, 5, 6]').and.not.to.include('.npy');
    expect(readdirSync(at())).to.deep.equal(before);
  });

  it('the same seed gives the same output, another another', async () => {
    const random = async (...flags: string[]) => {
      await run('--input', 'x=random', '--dim', 'N=1,H=5,W=6', '--output', at('out'), ...flags);
      return readFileSync(at('out/y.npy')).toString('hex');
    };
    const first = await random();
    expect(await random('--seed', '0')).to.equal(first);
    expect(await random('--seed', '1')).not.to.equal(first);
  });

  it('--repeat reports the fastest and the median of so many runs', async () => {
    const { stdout } = await run('--input', `x=${at('x.npy')}`, '--repeat', '4');
    expect(stdout).to.match(/: 4 runs, fastest [\d.]+ ms, median [\d.]+ ms\n/);
  });

  it('--group-norm says how GroupNormalization runs', async () => {
    const x = `x=${at('x.npy')}`;
    expect((await run('--input', x, '--group-norm', 'layer-norm')).stdout).to.include('as layer-norm');
    expect((await run('--input', x, '--group-norm', 'op')).stdout).not.to.include('GroupNormalization as');
  });

  it('a file of another float is converted, and the user is told', async () => {
    const x = decodeNpy(readFileSync(at('x.npy')));
    const wide = { dtype: 'float64', dims: x.dims, data: Float64Array.from(x.data as Float32Array) } as const;
    writeFileSync(at('x64.npy'), encodeNpy(wide));
    const { code, stdout } = await run('--input', `x=${at('x64.npy')}`);
    expect(code).to.equal(0);
    expect(stdout).to.include(`input x: ${at('x64.npy')} converted from float64 to float32`);
  });

  it('outputs that are not finite are counted, and bfloat16 is said to be saved as float32', async () => {
    const x = floats([1, 4, 1, 2], [NaN, 1, 2, 3, 4, 5, 6, 7]);
    writeFileSync(at('nan.npy'), encodeNpy(x));
    const nan = await run('--input', `x=${at('nan.npy')}`);
    expect(nan.stdout)
      .to.include('  input x: 1 of 8 elements is NaN\n')
      .and.to.include('  output y: 4 of 8 elements are NaN; min, max and mean are those of the others\n');
    const flags = ['--num-groups', '2', '--num-channels', '4', '--dtype', 'bfloat16'];
    await onnx('build', 'group-norm', ...flags, '-o', at('gn.onnx'));
    const half = await run('--input', 'x=random', '--dim', 'N=1,H=2,W=2', '--output', at('out'));
    expect(half.stdout).to.include('  output y: bfloat16, which NumPy does not have, saved as float32\n');
  });

  describe('bad usage and bad input', () => {
    const cases: [flags: () => string[], message: RegExp][] = [
      [
        () => [],
        /input 'x' is missing: add --input x=FILE\.npy or --input x=random\n.*\n {2}'x' float32 \[N, 4, H, W\]/,
      ],
      [() => ['--input', 'x=random'], /no size for N, H, W; add --dim N=SIZE,H=SIZE,W=SIZE/],
      [() => ['--input', 'y=random'], /'y' is not an input of the model/],
      [() => ['--input', 'x=random', '--dim', 'N=1,H=1,W=1,D=1'], /--dim D: .*names: N, H, W/],
      [() => ['--input', 'x=random', '--dim', 'N=1', 'H=64', 'W=8'], /write commas.*: --dim N=1,H=64,W=8\n/],
      [() => ['more.onnx'], /run takes one model; what is 'more\.onnx'\?/],
      [() => ['--input', 'x'], /It must be NAME=VALUE/],
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
      it(`says what is wrong: ${message.source}`, async () => {
        const { code, stdout, stderr } = await run(...flags(), '--output', at('out'));
        expect([code, stdout]).to.deep.equal([2, '']);
        expect(stderr).to.match(message);
        expect(existsSync(at('out'))).to.be.false;
      });
    }

    it('a file that is not a model', async () => {
      const { code, stderr } = await onnx('run', at('f.safetensors'));
      expect(code).to.equal(2);
      expect(stderr).to.match(/^error: .*f\.safetensors: this is not an ONNX model/);
    });
  });
});
