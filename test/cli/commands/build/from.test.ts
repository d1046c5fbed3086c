import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { graphFromConfig } from '../../../../graphs/pretrained.js';
import { createSession, encodeModel, keepIo, type Shape } from '../../../../lib/index.js';
import { Model } from '../../../../lib/onnx/model.js';
import { matchStateDict } from '../../../../lib/weights/state-dict.js';
import { TINY_BIT, weightsFor, writeCheckpoint, writeJson, writeShards } from '../../../support/checkpoint.js';
import { randomTensor } from '../../../support/group-norm.js';
import { onnx, useTemporaryFolder } from '../../support.js';

const GRAPH = graphFromConfig(TINY_BIT);

describe('build --from', () => {
  const at = useTemporaryFolder();
  const save = () => writeCheckpoint(at('bit'), TINY_BIT, weightsFor(GRAPH), 'model.safetensors');
  const build = (...flags: string[]) => onnx('build', '--from', at('bit'), '-o', at('m.onnx'), ...flags);

  it('build --from writes the model of the configuration and the weights, and says what it recognised', async () => {
    await save();
    const { code, stdout, stderr } = await build();
    expect([code, stderr]).to.deep.equal([0, '']);
    expect(stdout)
      .to.include('class       resnetv2_50x1_bit of timm\n')
      .and.include('options     layers 1,1; numClasses 5; channels 16,32; stemChs 8; numGroups 4\n')
      .and.include(`weights     ${join(at('bit'), 'model.safetensors')}\n`)
      .and.include('onnx-groupnorm run ');
    const expected = encodeModel(GRAPH, matchStateDict(GRAPH, weightsFor(GRAPH)));
    expect(readFileSync(at('m.onnx')).equals(expected)).to.be.true;
  });

  it('build --from takes the dtype, the shape, the opset and the forms of writing that build takes', async () => {
    await writeShards(at('bit'), TINY_BIT, weightsFor(GRAPH), 'model');
    const flags = [
      '--dtype',
      'float16',
      '--keep-io',
      '--shape',
      'x=1,3,32,32',
      '--opset',
      '17',
      '--external-data',
    ];
    const { code, stdout, stderr } = await build(...flags);
    expect([code, stderr]).to.deep.equal([0, '']);
    expect(stdout).to.include(`m.onnx.data (`).and.include('input       x  float32 [1, 3, 32, 32]');
    const model = Model.decode(readFileSync(at('m.onnx')));
    expect(model.typeOf('x')).to.deep.equal({ dtype: 'float32', shape: [1, 3, 32, 32] });
    // The same numbers as a model that was never streamed.
    const input = { dtype: 'float16', shape: [1, 3, 32, 32] satisfies Shape } as const;
    const graph = graphFromConfig(TINY_BIT, input);
    const whole = encodeModel(keepIo(graph, 'float32'), matchStateDict(graph, weightsFor(GRAPH)), {
      opset: 17,
    });
    const x = randomTensor('float32', [1, 3, 32, 32]);
    const results = [];
    for (const one of [at('m.onnx'), whole]) {
      await using session = await createSession(one);
      results.push((await session.run({ x })).y);
    }
    expect(results[0]).to.deep.equal(results[1]);
  });

  it('build --from refuses to overwrite a file that it reads', async () => {
    await save();
    const weights = join(at('bit'), 'model.safetensors');
    const { code, stderr } = await onnx('build', '--from', at('bit'), '-o', weights);
    expect([code, stderr]).to.deep.equal([
      2,
      `error: -o would overwrite '${weights}', which is a file of --from; choose another path\n`,
    ]);
  });

  const refusals: readonly [what: string, config: object, flags: readonly string[], message: RegExp][] = [
    ['an unknown class', { architecture: 'vit_base' }, [], /'vit_base' of timm.*known: .*resnetv2_50x1_bit/],
    ['an unknown option', { ...TINY_BIT, model_args: { aa: 'blur' } }, [], /the unknown option aa/],
    ['a part of a network without parts', TINY_BIT, ['--part', 'head'], /resnetv2_50x1_bit has no parts/],
    [
      'weights of another configuration',
      { ...TINY_BIT, num_classes: 6 },
      [],
      /has shape \[5, .*must be \[6, /,
    ],
    ['a shape that does not fit', TINY_BIT, ['--shape', '1,4,32,32'], /must be \[N, 3, H, W\]/],
    ['a lowering that the opset lacks', TINY_BIT, ['--opset', '13', '--lowering', 'op'], /op.*opset 18/],
  ];
  for (const [what, config, flags, message] of refusals) {
    it(`build --from refuses ${what} in one line, and leaves the old file`, async () => {
      await save();
      writeJson(at('bit/config.json'), config);
      writeFileSync(at('m.onnx'), 'old');
      const { code, stdout, stderr } = await build(...flags);
      expect([code, stdout]).to.deep.equal([2, '']);
      expect(stderr)
        .to.match(message)
        .and.match(/^error: [^\n]*\n$/);
      expect([readFileSync(at('m.onnx'), 'utf8'), readdirSync(at()).sort()]).to.deep.equal([
        'old',
        ['bit', 'm.onnx'],
      ]);
    });
  }

  it('build --from that fails while it writes leaves no file', async () => {
    await save();
    rmSync(at('bit/model.safetensors'));
    const { code, stderr } = await build();
    expect([code, existsSync(at('m.onnx'))]).to.deep.equal([2, false]);
    expect(stderr).to.include('has no diffusion_pytorch_model.safetensors or model.safetensors');
  });

  it('build --from needs a folder and an output, and no graph', async () => {
    const errorOf = async (...argv: string[]) => (await onnx('build', ...argv)).stderr;
    expect(await errorOf('--from', at('bit'))).to.equal(
      "error: missing --output <file>; 'npx onnx-groupnorm build --help' explains the command\n",
    );
    expect(await errorOf('autoencoder-kl', '--from', at('bit'))).to.include("remove 'autoencoder-kl'");
    expect(await errorOf('--from', at('bit'), '-o', 'x', 'unet')).to.match(
      /--from takes its network from the folder: remove 'unet' and write npx onnx-groupnorm build --from FOLDER/,
    );
    expect(await errorOf('--form', at('bit'))).to.match(
      /unknown option '--form'.*\n.*Did you mean --from.*\n'npx onnx-groupnorm build --help' explains/,
    );
    expect(await errorOf('-o', 'x')).to.match(/name the graph first.*or give --from FOLDER/);
  });
});
