import { expect } from 'chai';
import { describe, it } from 'mocha';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { runCli } from '../../lib/cli/run-cli.js';
import { encodeNpy, writeSafetensors } from '../../lib/index.js';
import { graphFromConfig } from '../../graphs/pretrained.js';
import { TINY_BIT, weightsFor, writeCheckpoint } from '../support/checkpoint.js';
import { copyModel, TORCH_MODEL } from '../support/test-data.js';
import { floats, onnx, Sink, useTemporaryFolder, writeFixture } from './support.js';

/** The arguments and options of each command. */
const COMMANDS: Record<string, string[]> = {
  '': [
    ...['build', 'inspect', 'compare', 'convert', 'run', 'serve', 'parity', 'export-triton', 'export-kserve'],
    ...['doctor', '--version', '--debug', '--help'],
  ],
  build: ['group-norm', '--from', '--part', '--dtype', 'resnetv2_50x1_bit', '--debug'],
  'build group-norm': [
    ...['--num-groups', '--num-channels', '--eps', '--no-affine', '-o, --output', '--weights', '--opset'],
    ...['--lowering', '--dtype', '--shape', '--seed', '--external-data', '--debug'],
  ],
  convert: ['model', '-o, --output', '--lowering', 'reduce-mean', 'opset 21', '--debug'],
  inspect: ['model', '--json', 'reduce-mean', 'com.microsoft', '--debug'],
  run: [
    '<model>',
    '--input',
    '--output',
    '--dim',
    '--image',
    '--mask',
    '--seed',
    '--repeat',
    '--provider',
    '--group-norm',
    '--debug',
  ],
  parity: [
    ...['<fixtures...>', '--lowering', '--provider', '--opset', '--rtol', '--atol', '--json', '--junit'],
    ...['--debug', 'model.onnx', 'test_data_set_0'],
  ],
  serve: ['--port', '--max-batch-size', '--token-file', '--watch', '--json-logs', '--debug'],
  'export-triton': ['-o, --output', '--lowering', '--max-batch-size', '--dim', '--labels'],
  'export-kserve': ['-o, --output', '--storage-uri', '--image', '--debug'],
  doctor: ['--json', '--debug'],
};
const words = (command: string) => command.split(' ').filter(Boolean);

describe('the command line', () => {
  const at = useTemporaryFolder();

  for (const [command, mentioned] of Object.entries(COMMANDS)) {
    it(`onnx-groupnorm ${command} --help names every argument and option`, async () => {
      const { code, stdout, stderr } = await onnx(...words(command), '--help');
      expect([code, stderr]).to.deep.equal([0, '']);
      for (const word of mentioned) expect(stdout).to.include(word);
      expect(stdout).to.include('Examples:').and.to.include('Exit codes: 0');
      expect(Math.max(...stdout.split('\n').map((line) => line.length))).to.be.at.most(110);
    });
  }

  it('onnx-groupnorm --help has examples that work when they are pasted', async () => {
    mkdirSync(at('test/fixtures/group-norm'), { recursive: true });
    await writeFixture(at('test/fixtures/group-norm/one.safetensors'));
    writeFileSync(at('x.npy'), encodeNpy(floats([1, 32, 2, 2], new Float32Array(128))));
    cpSync('demo', at('demo'), { recursive: true });
    cpSync('test/samples/batch-norm/images-torchscript.onnx', at('resnet50.onnx'));
    const parts = ['weight', 'bias', 'running_mean', 'running_var'];
    const batchNorm = parts.map(
      (part) => [`bn1.${part}`, floats([64], new Float32Array(64).fill(1))] as const,
    );
    await writeSafetensors(at('resnet50.safetensors'), { tensors: batchNorm });
    const bit = graphFromConfig(TINY_BIT);
    await writeCheckpoint(at('resnetv2_50x1_bit'), TINY_BIT, weightsFor(bit), 'model.safetensors');
    copyModel(TORCH_MODEL, at('test/samples/test-data/torch'));
    const before = process.cwd();
    process.chdir(at());
    try {
      for (const command of Object.keys(COMMANDS)) {
        const { stdout: help } = await onnx(...words(command), '--help');
        const examples = [...help.replaceAll(/ \\\n\s*/g, ' ').matchAll(/\$ onnx-groupnorm (.*)/g)];
        expect(examples, command).not.to.be.empty;
        for (const [line, args] of examples) {
          // The server runs until a signal ends it: serve.test.ts starts it.
          if (args!.startsWith('serve ')) continue;
          const { code, stderr } = await onnx(...words(args!.replace(/ > .*/, '')));
          expect(code, `${line}\n${stderr}`).to.equal(0);
        }
      }
    } finally {
      process.chdir(before);
    }
  });

  it('onnx-groupnorm --version prints the version of package.json', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    expect(await onnx('--version')).to.deep.equal({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  it('onnx-groupnorm without a command exits 2 and prints the help', async () => {
    const { code, stdout, stderr } = await onnx();
    expect([code, stdout]).to.deep.equal([2, '']);
    expect(stderr).to.include('Usage: onnx-groupnorm').and.to.include('Examples:');
  });

  it('convert, inspect, run and parity point to their help if an argument is missing', async () => {
    for (const command of ['convert', 'inspect', 'run', 'parity']) {
      const { code, stderr } = await onnx(command);
      expect(code).to.equal(2);
      expect(stderr)
        .to.include('error: missing required argument')
        .and.to.include(`'onnx-groupnorm ${command} --help' explains the command\n`);
    }
  });

  it('onnx-groupnorm suggests a command for a mistyped one', async () => {
    expect(await onnx('biuld')).to.deep.equal({
      code: 2,
      stdout: '',
      stderr:
        "error: unknown command 'biuld'\n(Did you mean build?)\n'onnx-groupnorm --help' lists the commands\n",
    });
  });

  it('onnx-groupnorm prints a known error without a stack trace, and with it for --debug', async () => {
    const message = "error: cannot read 'none.onnx': it does not exist; check the path\n";
    expect((await onnx('run', 'none.onnx')).stderr).to.equal(message);
    for (const argv of [
      ['--debug', 'run', 'none.onnx'],
      ['run', 'none.onnx', '--debug'],
    ]) {
      const { code, stderr } = await onnx(...argv);
      expect(code).to.equal(2);
      expect(stderr)
        .to.include(message)
        .and.to.match(/\n +at .*\.ts:\d+/)
        .and.to.include('[cause]: Error: ENOENT');
    }
  });

  it('onnx-groupnorm exits 1 for an unexpected error, calls it a bug, and prints the stack only for --debug', async () => {
    const broken = () => Object.assign(new Sink(), { write: () => { throw new TypeError('no ink'); } }); // prettier-ignore
    const run = async (...argv: string[]) => {
      const stderr = new Sink();
      return { code: await runCli(argv, { stdout: broken(), stderr }), stderr: stderr.text };
    };
    expect(await run('doctor')).to.deep.equal({
      code: 1,
      stderr:
        'error: unexpected: no ink\n' +
        'This is a bug in onnx-groupnorm; run again with --debug and report the output.\n',
    });
    expect((await run('doctor', '--debug')).stderr).to.match(/TypeError: no ink\n +at /);
  });
});
