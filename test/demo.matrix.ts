import { expect } from 'chai';
import { describe, it } from 'mocha';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { decodePng } from '../lib/images/png.js';
import { openSafetensors, tensor, writeSafetensors, type TensorData } from '../lib/index.js';
import { useTemporaryFolder, writeFixture } from './cli/support.js';

const path = (name: string): string => fileURLToPath(new URL(`../${name}`, import.meta.url));
const FIXTURE = path('demo/unet-cells.safetensors');

describe('demo', function () {
  this.timeout(60_000);
  const at = useTemporaryFolder();
  const demo = (...argv: string[]) =>
    spawnSync(
      process.execPath,
      ['--import', 'tsx', path('scripts/demo/demo.ts'), '--out', at('out'), ...argv],
      {
        encoding: 'utf8',
      },
    );

  it('demo builds the model, segments the image as PyTorch does, and says what to try next', () => {
    const { status, stdout } = demo();
    expect(status).to.equal(0);
    expect(stdout)
      .to.match(/^1\. A U-Net that torch \d.* has trained to find cells$/m)
      .and.to.match(/^4\. Against PyTorch: passed$/m)
      .and.to.match(/pixels as in PyTorch's mask +100 % \(24576 of 24576\)/)
      .and.to.match(/logits beyond PyTorch's tolerance +0 of 49152/)
      .and.to.match(/^5\. .*every group without γ and β has mean 0 and deviation 1: passed$/m)
      .and.to.match(/npm run cli -- run \S+unet-cells\.onnx --image YOUR\.png/);
    // scripts/demo/train.py measured 0.96 over its held-out images.
    expect(Number(/IoU with the true cells +(\S+)/.exec(stdout)?.[1])).to.be.within(0.9, 1);
    expect(readdirSync(at('out')).sort()).to.deep.equal([
      'cells-mask.png',
      'cells-overlay.png',
      'unet-cells.onnx',
    ]);
    const mask = decodePng(readFileSync(at('out/cells-mask.png')));
    expect([mask.width, mask.height, mask.channels]).to.deep.equal([192, 128, 1]);
    expect(decodePng(readFileSync(at('out/cells-overlay.png'))).channels).to.equal(3);
  });

  it("demo exits with 1 if a logit differs from PyTorch's", async () => {
    await copyWithError(at('wrong.safetensors'), 0.001);
    const { status, stdout } = demo('--fixture', at('wrong.safetensors'));
    expect(status).to.equal(1);
    expect(stdout)
      .to.match(/^4\. Against PyTorch: FAILED$/m)
      .and.to.match(/logits beyond PyTorch's tolerance +1 of 49152/)
      .and.to.include('The demo FAILED');
  });

  it('demo exits with 2 and a message, and writes no file, if the fixture is missing or of another graph', async () => {
    await writeFixture(at('group-norm.safetensors'));
    for (const [name, message] of [
      ['none', /^error: cannot read '.*none\.safetensors': it does not exist/],
      ['group-norm', /the demo needs a fixture of graph unet, not of group-norm/],
    ] as const) {
      const { status, stderr } = demo('--fixture', at(`${name}.safetensors`));
      expect(status).to.equal(2);
      expect(stderr).to.match(message);
      expect(existsSync(at('out'))).to.be.false;
    }
  });

  it('demo norms runs four normalizations in five batch sizes, with the figures of PyTorch, and writes a page with charts, and a chart', () => {
    const { status, stdout } = demo('norms');
    expect([status, stdout.match(/^(Passed|FAILED): .* from those of torch 2/m)?.[1]]).to.deep.equal([
      0,
      'Passed',
    ]);
    const rows = [...stdout.matchAll(/^ +(\d+) +(\S+) +(\S+) +(\S+) +(\S+)$/gm)].map((row) =>
      row.slice(1).map(Number),
    );
    expect(rows.map(([size]) => size)).to.deep.equal([1, 2, 4, 8, 32, 1, 2, 4, 8, 32, 1, 2, 4, 8, 32]);
    // BatchNorm of one sample is InstanceNorm; with neighbours it moves the sample, and no other normalization does.
    expect(rows[0]!.slice(1)).to.deep.equal([0, 0, 0, 0]);
    for (const [, batch, ...others] of rows.slice(1, 5)) {
      expect(batch).to.be.within(0.1, 1);
      expect(others).to.deep.equal([0, 0, 0]);
    }
    const chart = readFileSync(at('out/norms.svg'), 'utf8');
    expect(chart)
      .to.match(/^<svg\s+xmlns="http:\/\/www\.w3\.org\/2000\/svg"/)
      .and.to.include('prefers-color-scheme: dark');
    expect(chart.match(/<circle class="inside"/g)).to.have.length(4 * 5);
    const page = readFileSync(at('out/norms.html'), 'utf8');
    expect(page.match(/<svg/g)).to.have.length(3);
    expect(page)
      .to.include('Passed: ')
      .and.not.to.match(/NaN|undefined/);
  });

  it("demo norms exits with 1 if a figure differs from PyTorch's, and demo with 2 for a demo that does not exist", () => {
    const figures = JSON.parse(readFileSync(path('demo/norms.json'), 'utf8')) as {
      norms: { group_norm: { move: number }[] };
    };
    figures.norms.group_norm[2]!.move += 1e-5;
    writeFileSync(at('wrong.json'), JSON.stringify(figures));
    const wrong = demo('norms', '--figures', at('wrong.json'));
    expect([wrong.status, wrong.stdout]).to.satisfy(
      ([status, text]: [number, string]) => status === 1 && text.includes('FAILED: the figures differ'),
    );
    const unknown = demo('norm');
    expect([unknown.status, unknown.stderr]).to.deep.equal([
      2,
      "error: there is no demo 'norm': write npm run demo, npm run demo -- norms, or npm run demo -- vae\n",
    ]);
  });

  it('demo vae encodes and decodes a picture as PyTorch does, with the kernel and without, and writes the pictures side by side', () => {
    const { status, stdout } = demo('vae');
    expect(status).to.equal(0);
    expect(stdout)
      .to.match(/^1\. An AutoencoderKL that torch \d.* has trained to draw cells$/m)
      .and.to.match(/with the native kernel +10 runs/)
      .and.to.match(/ONNX Runtime alone +10 runs/)
      .and.to.match(/^5\. Against PyTorch: passed$/m)
      .and.to.match(/elements beyond PyTorch's tolerance +0 of 36864/);
    // Of samples from 0 to 255; scripts/demo/train_vae.py measures it over its held-out images.
    expect(Number(/root mean square error of the picture +(\S+)/.exec(stdout)?.[1])).to.be.within(1, 15);
    expect(readdirSync(at('out')).sort()).to.deep.equal([
      'vae-cells.png',
      'vae-decoder.onnx',
      'vae-encoder.onnx',
    ]);
    const { width, height, channels } = decodePng(readFileSync(at('out/vae-cells.png')));
    expect([width, height, channels]).to.deep.equal([3 * 3 * 128 + 2 * 12, 3 * 96, 3]);
  });

  it("demo vae exits with 1 if an element differs from PyTorch's, and with 2 for a fixture of another graph", async () => {
    await copyWithError(at('wrong.safetensors'), 0.001, path('demo/vae-cells.safetensors'));
    const { status, stdout } = demo('vae', '--fixture', at('wrong.safetensors'));
    expect(status).to.equal(1);
    expect(stdout).to.match(/elements beyond PyTorch's tolerance +1 of 36864/);
    const other = demo('vae', '--fixture', FIXTURE);
    expect(other.status).to.equal(2);
    expect(other.stderr).to.match(/the demo needs a fixture of graph autoencoder-kl, not of unet/);
  });

  it('demo vae has weights of less than 1 MB', async () => {
    const file = await openSafetensors(path('demo/vae-cells.safetensors'));
    const weights = file.keys().filter((key) => key.startsWith('state_dict.'));
    const bytes = weights.map((key) => file.info(key)).map(({ start, end }) => end - start);
    await file.close();
    expect(bytes.reduce((a, b) => a + b)).to.be.within(1e5, 1e6);
  });

  it('demo of cells has files of less than 2 MB together, with weights of less than 1 MB', async () => {
    const sizes = ['cells.png', 'cells-truth.png', 'norms.json', 'unet-cells.safetensors'].map(
      (name) => readFileSync(path(`demo/${name}`)).length,
    );
    expect(sizes.reduce((a, b) => a + b)).to.be.below(2e6);
    const file = await openSafetensors(FIXTURE);
    const weights = file.keys().filter((key) => key.startsWith('state_dict.'));
    const bytes = weights.map((key) => file.info(key)).map(({ start, end }) => end - start);
    await file.close();
    expect(bytes.reduce((a, b) => a + b)).to.be.within(9e5, 1e6);
  });
});

/** The fixture with the first of PyTorch's logits changed. */
async function copyWithError(target: string, error: number, source = FIXTURE): Promise<void> {
  const file = await openSafetensors(source);
  const tensors = await file.readAll();
  await file.close();
  const { dims, data } = tensors.get('output.y') as TensorData & { data: Float32Array };
  const changed = Float32Array.from(data, (value, i) => (i === 0 ? value + error : value));
  tensors.set('output.y', tensor('float32', dims, changed));
  await writeSafetensors(target, { metadata: file.metadata, tensors });
}
