import { expect } from 'chai';
import { describe, it } from 'mocha';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCli } from '../../lib/cli/run-cli.js';
import { writeSafetensors } from '../../lib/index.js';
import { graphFromConfig } from '../../graphs/pretrained.js';
import { TINY_BIT, weightsFor, writeCheckpoint } from '../support/checkpoint.js';
import { endAll, Serving } from './commands/serve/serving.js';
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
  compare: ['MODEL [OTHER]', '--provider', '--torch', '--map', '--html', '--debug'],
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

const examplesOf = (help: string): string[] =>
  Array.from(help.matchAll(/^ {2}\$ (.*)/gm), ([, line]) => line!);

/** Runs a line of a help in the working directory. @param servings Gets a promise for each server, which has then loaded its model. */
async function runExample(line: string, servings: Promise<void>[]): Promise<void> {
  const [, args] = /^npx onnx-groupnorm (.*?)(?: > .*)?$/.exec(line) ?? [];
  if (args === undefined) {
    execFileSync(line, { shell: true });
  } else if (args.startsWith('serve ')) {
    // The servers of a help start side by side.
    const serving = new Serving(...words(args).slice(1));
    servings.push(serving.printed(args.includes('--json-logs') ? '"state":"READY"' : 'Try it:'));
  } else {
    const { code, stderr } = await onnx(...words(args));
    expect(code, `${line}\n${stderr}`).to.equal(0);
  }
}

/** Writes the files that only users have, from the root of the repository, into the working directory. */
async function writeFilesOfUsers(root: string): Promise<void> {
  const from = (path: string, to: string) => cpSync(join(root, path), to, { recursive: true });
  from('demo/cells.png', 'cells.png');
  await onnx('build', 'unet', '--num-groups', '4', '--width', '8', '-o', 'unet.onnx');
  from('test/samples/modules/network-dynamo21.onnx', 'model.onnx');
  from('test/samples/modules/network.safetensors', 'activations.safetensors');
  mkdirSync('fixtures');
  await writeFixture('fixtures/one.safetensors');
  from('test/samples/batch-norm/images-torchscript.onnx', 'resnet50.onnx');
  const parts = ['weight', 'bias', 'running_mean', 'running_var'];
  const ones = () => floats([64], new Float32Array(64).fill(1));
  await writeSafetensors('resnet50.safetensors', {
    tensors: parts.map((part) => [`bn1.${part}`, ones()] as const),
  });
  await writeCheckpoint(
    'resnetv2_50x1_bit',
    TINY_BIT,
    weightsFor(graphFromConfig(TINY_BIT)),
    'model.safetensors',
  );
}

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

  for (const command of Object.keys(COMMANDS)) {
    it(`the examples of onnx-groupnorm ${command} --help work in an empty folder, in their order`, async function () {
      this.timeout(60_000);
      const { stdout: help } = await onnx(...words(command), '--help');
      const [pasted, withFiles = ''] = help
        .replaceAll(/ \\\n\s*/g, ' ')
        .split('\nExamples with files of your own:');
      expect(examplesOf(pasted!)).not.to.be.empty;
      const before = process.cwd();
      const servings: Promise<void>[] = [];
      process.chdir(at());
      try {
        for (const line of examplesOf(pasted!)) await runExample(line, servings);
        await Promise.all(servings);
        const own = examplesOf(withFiles);
        if (own.length > 0) await writeFilesOfUsers(before);
        for (const line of own) await runExample(line, servings);
      } finally {
        process.chdir(before);
        endAll();
      }
    });
  }

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
        .and.to.include(`'npx onnx-groupnorm ${command} --help' explains the command\n`);
    }
  });

  it('onnx-groupnorm suggests a command for a mistyped one', async () => {
    expect(await onnx('biuld')).to.deep.equal({
      code: 2,
      stdout: '',
      stderr:
        "error: unknown command 'biuld'\n(Did you mean build?)\n'npx onnx-groupnorm --help' lists the commands\n",
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
