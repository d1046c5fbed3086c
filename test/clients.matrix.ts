import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { after, before, it } from 'mocha';
import { loadAddon } from '../lib/runtime/native/addon.js';
import { describeNative } from './support/native.js';
import { pack } from './support/packed-package.js';

const execute = promisify(execFile);

/** Versions of onnxruntime-node beside the version that transformers.js brings, and that npm then gives this package too: 1.24.3. */
const OTHERS = ['1.19.2', '1.20.1', '1.21.0', '1.22.0', '1.23.2', '1.26.0', '1.30.0'];
const TRANSFORMERS = '4.2.0';
const aliasOf = (version: string): string => `onnxruntime-${version}`;

/** The programs of the project. */
const PROGRAMS = fileURLToPath(new URL('support/packed-clients', import.meta.url));

describeNative('the package beside other versions of onnxruntime-node', function () {
  this.timeout(900_000);
  let project: string;
  const addon = loadAddon().binary!.path;

  /** Runs a program in the project, and returns the JSON that it prints last. */
  async function run(program: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<unknown> {
    const { stdout } = await execute(process.execPath, program, {
      cwd: project,
      env: { ...process.env, ONNX_GROUPNORM_ADDON: addon, ...env },
    });
    return JSON.parse(stdout.trim().split('\n').at(-1)!);
  }

  before(async () => {
    project = await mkdtemp(join(tmpdir(), 'onnx-groupnorm-clients-'));
    const archive = await pack(project);
    await writeFile(join(project, 'package.json'), '{ "name": "clients", "type": "module" }');
    await cp(PROGRAMS, project, { recursive: true });
    const flags = ['--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts'];
    const others = OTHERS.map((version) => `${aliasOf(version)}@npm:onnxruntime-node@${version}`);
    const packages = [archive, `@huggingface/transformers@${TRANSFORMERS}`, ...others];
    await execute('npm', ['install', ...flags, ...packages], { cwd: project });
  });

  after(() => rm(project, { recursive: true, force: true }));

  for (const version of OTHERS) {
    it(`registerNativeCpu gives onnxruntime-node ${version} the kernel, on its own library, and leaves its cpu as it is`, async () => {
      const found = (await run(['native-cpu.mjs', aliasOf(version)])) as [
        number,
        boolean,
        number,
        boolean,
        number,
      ];
      const [native, isTensor, plain, isPlainTensor, session] = found;
      expect([isTensor, isPlainTensor]).to.deep.equal([true, true]);
      expect(native).to.be.below(1e-4);
      expect(session).to.be.below(1e-4);
      expect(plain).to.be.above(10 * native);
    });
  }

  it('transformers.js runs a wav2vec2 folder on native-cpu, closer to float64 than on its own cpu', async () => {
    const found = (await run(['transformers.mjs'])) as [[number, number[]], [number, number[]]];
    const [[native, dims], [plain]] = found;
    expect(dims).to.deep.equal([1, 16, 4]);
    expect(native).to.be.below(1e-4);
    expect(plain).to.be.above(10 * native);
  });

  it('without the kernel, a session beside another loaded version says which, and the overrides to paste', async () => {
    const found = (await run(['without-kernel.mjs'], { ONNX_GROUPNORM_ADDON: 'skip' })) as [string, string];
    expect(found[0]).to.equal('PROVIDER_UNAVAILABLE');
    expect(found[1]).to.include(
      'onnxruntime-node 1.24.3 cannot be loaded, because this process has loaded version 1.30.0',
    );
    expect(found[1]).to.include('"overrides": { "onnx-groupnorm": { "onnxruntime-node": "1.30.0" } }');
  });
});
