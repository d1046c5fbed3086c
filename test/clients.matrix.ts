import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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

/** A wav2vec2 of one layer: convolution, GroupNorm of each channel, ReLU; with its result in float64. */
const MODEL = `
import { encodeModel, GraphBuilder, op, tensor } from 'onnx-groupnorm';
const [C, K, T] = [4, 4, 64];
const weight = Float32Array.from({ length: C * K }, (_, i) => Math.sin(i + 1));
export function model() {
  const g = new GraphBuilder('wav2vec2');
  const wide = op.unsqueeze(g, g.input('input_values', 'float32', ['N', 'T']), { axes: [1] });
  const kernel = g.parameter('conv.weight', { dtype: 'float32', shape: [C, 1, K] });
  const conv = op.conv(g, wide, kernel, undefined, { strides: [K] });
  const norm = op.relu(g, op.groupNormalization(g, conv, undefined, undefined, { numGroups: C }));
  g.output('last_hidden_state', op.transpose(g, norm, { perm: [0, 2, 1] }));
  const weights = new Map([['conv.weight', tensor('float32', [C, 1, K], weight)]]);
  return encodeModel(g.build(), weights, { opset: 21 });
}
/** Its mean is large, which ONNX Runtime's own definition of GroupNormalization gets wrong. */
export const input = Float32Array.from({ length: T }, (_, i) => 300 + Math.sin(i * i));
export function expected() {
  const columns = Array.from({ length: C }, (_, c) => {
    const sums = Array.from({ length: T / K }, (_, t) =>
      weight.slice(c * K, (c + 1) * K).reduce((sum, w, k) => sum + w * input[t * K + k], 0));
    const mean = sums.reduce((a, b) => a + b) / sums.length;
    const variance = sums.reduce((a, b) => a + (b - mean) ** 2, 0) / sums.length;
    return sums.map((v) => Math.max((v - mean) / Math.sqrt(variance + 1e-5), 0));
  });
  return columns[0].flatMap((_, t) => columns.map((column) => column[t]));
}
/** The largest distance from float64. */
export const distance = (data) => expected().reduce((most, v, i) => Math.max(most, Math.abs(v - data[i])), 0);
`;

const withNativeCpu = (version: string): string => `
import * as ort from '${aliasOf(version)}';
import { createSession, tensor } from 'onnx-groupnorm';
import { registerNativeCpu } from 'onnx-groupnorm/native-cpu';
import { distance, input, model } from './model.mjs';
registerNativeCpu(ort);
const run = async (executionProviders) => {
  const session = await ort.InferenceSession.create(model(), { executionProviders });
  const { last_hidden_state: y } = await session.run({ input_values: new ort.Tensor('float32', input, [1, input.length]) });
  await session.release();
  return [distance(y.data), y instanceof ort.Tensor];
};
const session = await createSession(model(), { providers: ['native'] });
const { last_hidden_state: y } = await session.run({ input_values: tensor('float32', [1, input.length], input) });
await session.dispose();
console.log(JSON.stringify([...await run(['native-cpu', 'cpu']), ...await run(['cpu']), distance(y.data)]));
`;

const TRANSFORMERS_PROGRAM = `
import { AutoModel, env, Tensor } from '@huggingface/transformers';
import 'onnx-groupnorm/native-cpu';
import { distance, input } from './model.mjs';
env.allowRemoteModels = false;
const run = async (session_options) => {
  const model = await AutoModel.from_pretrained('wav2vec2', { dtype: 'fp32', local_files_only: true, session_options });
  const { last_hidden_state: y } = await model({ input_values: new Tensor('float32', input, [1, input.length]) });
  return [distance(y.data), y.dims];
};
env.localModelPath = process.cwd();
console.log(JSON.stringify([
  await run({ executionProviders: ['native-cpu', 'cpu'] }),
  await run({}),
]));
`;

const WITHOUT_KERNEL = `
import '${aliasOf('1.30.0')}';
import { createSession } from 'onnx-groupnorm';
import { model } from './model.mjs';
const refusal = await createSession(model(), { providers: ['cpu'] }).catch((error) => error);
console.log(JSON.stringify([refusal.code, refusal.message]));
`;

describeNative('the package beside other versions of onnxruntime-node', function () {
  this.timeout(900_000);
  let project: string;
  const addon = loadAddon().binary!.path;

  /** Runs a program in the project, and returns the JSON that it prints last. */
  async function run(source: string, env: NodeJS.ProcessEnv = {}): Promise<unknown> {
    await writeFile(join(project, 'program.mjs'), source);
    const { stdout } = await execute(process.execPath, ['program.mjs'], {
      cwd: project,
      env: { ...process.env, ONNX_GROUPNORM_ADDON: addon, ...env },
    });
    return JSON.parse(stdout.trim().split('\n').at(-1)!);
  }

  before(async () => {
    project = await mkdtemp(join(tmpdir(), 'onnx-groupnorm-clients-'));
    const archive = await pack(project);
    await writeFile(join(project, 'package.json'), '{ "name": "clients", "type": "module" }');
    await writeFile(join(project, 'model.mjs'), MODEL);
    const flags = ['--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts'];
    const others = OTHERS.map((version) => `${aliasOf(version)}@npm:onnxruntime-node@${version}`);
    const packages = [archive, `@huggingface/transformers@${TRANSFORMERS}`, ...others];
    await execute('npm', ['install', ...flags, ...packages], { cwd: project });
  });

  after(() => rm(project, { recursive: true, force: true }));

  for (const version of OTHERS) {
    it(`registerNativeCpu gives onnxruntime-node ${version} the kernel, on its own library, and leaves its cpu as it is`, async () => {
      const found = (await run(withNativeCpu(version))) as [number, boolean, number, boolean, number];
      const [native, isTensor, plain, isPlainTensor, session] = found;
      expect([isTensor, isPlainTensor]).to.deep.equal([true, true]);
      expect(native).to.be.below(1e-4);
      expect(session).to.be.below(1e-4);
      expect(plain).to.be.above(10 * native);
    });
  }

  it('transformers.js runs a wav2vec2 folder on native-cpu, closer to float64 than on its own cpu', async () => {
    const folder = join(project, 'wav2vec2');
    await mkdir(join(folder, 'onnx'), { recursive: true });
    await writeFile(
      join(folder, 'config.json'),
      JSON.stringify({ model_type: 'wav2vec2', architectures: ['Wav2Vec2Model'] }),
    );
    await run(
      `import { writeFileSync } from 'node:fs';
      import { model } from './model.mjs';
      writeFileSync('wav2vec2/onnx/model.onnx', model());
      console.log('true');`,
    );
    const found = (await run(TRANSFORMERS_PROGRAM)) as [[number, number[]], [number, number[]]];
    const [[native, dims], [plain]] = found;
    expect(dims).to.deep.equal([1, 16, 4]);
    expect(native).to.be.below(1e-4);
    expect(plain).to.be.above(10 * native);
  });

  it('without the kernel, a session beside another loaded version says which, and the overrides to paste', async () => {
    const found = (await run(WITHOUT_KERNEL, { ONNX_GROUPNORM_ADDON: 'skip' })) as [string, string];
    expect(found[0]).to.equal('PROVIDER_UNAVAILABLE');
    expect(found[1]).to.include(
      'onnxruntime-node 1.24.3 cannot be loaded, because this process has loaded version 1.30.0',
    );
    expect(found[1]).to.include('"overrides": { "onnx-groupnorm": { "onnxruntime-node": "1.30.0" } }');
  });
});
