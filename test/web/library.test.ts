/** The package's entry for browsers, in one: bundled, and used by a script as an application would. */
import { expect } from 'chai';
import { build } from 'esbuild';
import { after, before, it, type Context } from 'mocha';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import {
  encodeModelExternal,
  getGraph,
  initializeWeights,
  LOWERING_NAMES,
  type CaseResult,
} from '../../lib/index.js';
import { renameLocations } from '../../lib/onnx/protobuf/tensor-walk.js';
import { SAFE_LOWERING } from '../../lib/rewrite/replace-norms.js';
import { copyRuntime } from '../../scripts/web/build.js';
import { serve, type WebServer } from '../../scripts/web/server.js';
import { fixturePath } from '../support/fixtures.js';
import { describeInBrowser, launch } from './chromium.js';

const ENTRY = fileURLToPath(new URL('../../lib/browser.ts', import.meta.url));

/** A layer as it is made and as it is trained, a mean that is large against the deviation, and NaN. */
const CASES = ['initial', 'mean-300', 'net-unet', 'nan-in-one-group'];

const SCRIPT = `
  import * as library from './browser.js';
  library.setRuntimeFolder('ort');
  const fetchBytes = async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer());
  const build = (name, options, input) => library.getGraph(name).build(options, input);
  window.check = async (name, spec) =>
    library.checkFixture(library.decodeFixture(await fetchBytes('fixtures/' + name), name), spec, build);
  window.compare = async (model) => {
    const data = Float32Array.from({ length: 2048 }, (_, i) => Math.sin(i));
    const feeds = { x: library.tensor('float32', [1, 512, 2, 2], data) };
    const side = (groupNorm) => ({ model, label: groupNorm, session: { providers: ['wasm'], groupNorm } });
    const { passed, counts } = await library.compareModels(side('reduce-mean'), side('instance-norm'), { feeds });
    return { passed, within: counts.within };
  };
  window.inspect = async () => {
    const bytes = library.embedExternalData(
      await fetchBytes('model.onnx'),
      new Map([['model.onnx.data', await fetchBytes('model.onnx.data')]]),
    );
    const data = Float32Array.from({ length: 2048 }, (_, i) => 300 + (i % 3));
    const feeds = { x: library.tensor('float32', [1, 512, 2, 2], data) };
    const { provider, normalizations } = await library.inspectModel(bytes, { feeds });
    return { provider, statistics: normalizations.map(({ statistics }) => statistics) };
  };
  window.open = async (model, options) => {
    const session = await library.createSession(model, options);
    const { inputs, provider, fallbacks } = session;
    const data = Float32Array.from({ length: 2048 }, (_, i) => 1000 + Math.sin(i));
    const { y } = await session.run({ x: library.tensor('float32', [1, 512, 2, 2], data) });
    await session.dispose();
    return { inputs, provider, fallbacks, y: Array.from(y.data) };
  };
  const shared = (bytes) => {
    const memory = new Uint8Array(new SharedArrayBuffer(bytes.length));
    memory.set(bytes);
    return memory;
  };
  window.runShared = async (provider) => {
    const graph = library.getGraph('group-norm').build({ numGroups: 1, numChannels: 2 });
    const model = shared(library.encodeModel(graph, library.initializeWeights(graph)));
    const session = await library.createSession(model, { providers: [provider] });
    const vector = (...values) => {
      const bytes = new Uint8Array(Float32Array.from(values).buffer);
      return library.tensor('float32', [1, 2, 1, 1], new Float32Array(shared(bytes).buffer));
    };
    const y = vector(0, 0);
    await session.run({ x: vector(1, 3) }, { outputs: { y } });
    await session.dispose();
    return Array.from(y.data);
  };
  window.determinants = async (providers) => {
    const { GraphBuilder, op, encodeModel, createSession, tensor } = library;
    const g = new GraphBuilder('determinants');
    const x = g.input('x', 'float32', ['N', 2, 2]);
    g.output('y', op.relu(g, g.node('Det', [x], {}, [{ dtype: 'float32', shape: ['N'] }])[0]));
    const session = await createSession(encodeModel(g.build(), new Map()), { providers });
    const { y } = await session.run({ x: tensor('float32', [2, 2, 2], Float32Array.of(2, 0, 0, 3, 0, 1, 1, 0)) });
    await session.dispose();
    return { provider: session.provider, y: Array.from(y.data) };
  };
  window.lose = async (model) => {
    const devices = [];
    const { requestDevice } = GPUAdapter.prototype;
    GPUAdapter.prototype.requestDevice = async function (...given) {
      devices.push(await requestDevice.apply(this, given));
      return devices.at(-1);
    };
    const session = await library.createSession(model, { providers: ['webgpu', 'wasm'] });
    const before = session.provider;
    for (const device of devices) device.destroy();
    const data = Float32Array.from({ length: 2048 }, (_, i) => Math.sin(i));
    const { y } = await session.run({ x: library.tensor('float32', [1, 512, 2, 2], data) });
    const { provider, fallbacks } = session;
    await session.dispose();
    return { before, provider, fallbacks, largest: Math.max(...y.data) };
  };
  window.float64 = async (providers) => {
    const graph = library.getGraph('group-norm').build({ numGroups: 2, numChannels: 4 }, { dtype: 'float64' });
    const session = await library.createSession(library.encodeModel(graph, library.initializeWeights(graph)), { providers });
    return { provider: session.provider, fallbacks: session.fallbacks };
  };
`;

describeInBrowser("the package's entry in a browser", () => {
  let folder: string;
  let server: WebServer;
  let browser: Browser;
  let page: Page;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'library-'));
    await Promise.all([bundle(folder), copyRuntime(folder), writePage(folder), copyCases(folder)]);
    server = await serve(folder);
    browser = await launch({ gpu: true });
    page = await browser.newPage();
    await page.goto(server.url);
    await page.waitForFunction('window.float64');
  });
  after(async () => {
    await browser?.close();
    await server?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const call = <T>(what: string, ...values: readonly unknown[]): Promise<T> =>
    page.evaluate<T>(`window.${what}(${values.map((value) => JSON.stringify(value)).join(', ')})`);

  it('the browser entry runs a model by its URL, and fetches its external data beside it', async () => {
    const { y, provider } = await call<{ y: number[]; provider: string }>('open', 'model.onnx');
    expect(provider).to.equal('wasm');
    const row = y.slice(0, 1024);
    expect(row.reduce((sum, value) => sum + value) / 1024).to.be.closeTo(0, 1e-4);
    expect(row.reduce((sum, value) => sum + value ** 2) / 1024).to.be.closeTo(1, 1e-3);
  });

  it('the browser entry compares two ways to run a model, by its URL', async () => {
    const { passed, within } = await call<{ passed: boolean; within: number }>('compare', 'model.onnx');
    expect([passed, within > 0]).to.deep.equal([true, true]);
  });

  it('the browser entry inspects a model with its weights put in, and measures its norms in a run', async () => {
    type Inspected = { provider: string; statistics: { meanToDeviation: number; inlinedError: number }[] };
    const { provider, statistics } = await call<Inspected>('inspect');
    expect(provider).to.equal('wasm');
    expect(statistics).to.have.length(1);
    // A row has 300, 301 and 302 in turn, 342 times each of the first, or of the last, and 341 of the others.
    const rows = [0, 1024].map((start) => Array.from({ length: 1024 }, (_, i) => 300 + ((start + i) % 3)));
    const ratios = rows.map((row) => {
      const mean = row.reduce((sum, x) => sum + x) / 1024;
      return mean / Math.sqrt(row.reduce((sum, x) => sum + (x - mean) ** 2, 0) / 1024 + 1e-5);
    });
    expect(statistics[0]!.meanToDeviation).to.be.closeTo(Math.max(...ratios), 1e-6);
    // E[x²] − E[x]² of float32 has steps of 0.0078 near 90,000: a part of the variance of 0.67, not a rounding.
    expect(statistics[0]!.inlinedError).to.be.within(1e-5, 1);
  });

  it('the browser entry fetches no file out of the folder of the model', async () => {
    const message = (path: string) => `window.open('${path}').catch((error) => [error.code, error.message])`;
    for (const [index, location] of LEAVING.entries()) {
      const [code, text] = await page.evaluate<string[]>(message(`sub/leaving-${index}.onnx`));
      expect(code, location).to.equal('MODEL_REJECTED');
      expect(text).to.include("is not in the model's folder");
    }
    // A name is not a URL: this is a file of that very name, which the server does not have.
    const [code, text] = await page.evaluate<string[]>(message('sub/encoded.onnx'));
    expect([code, text]).to.deep.equal([
      'FILE_NOT_FOUND',
      `cannot fetch '${server.url}sub/%252e%252e/model.onnx.data%3Fa%23b': the server answers 404`,
    ]);
  });

  it('the browser entry takes SharedArrayBuffer for the model, the inputs and the outputs', async () => {
    const [first, second] = await call<[number, number]>('runShared', 'wasm');
    // Mean 2, variance 1, epsilon 1e-5.
    expect(first).to.be.closeTo(-1 / Math.sqrt(1 + 1e-5), 1e-6);
    expect(second).to.be.closeTo(1 / Math.sqrt(1 + 1e-5), 1e-6);
  });

  it('the browser entry says which URL it cannot fetch', async () => {
    const message = `window.open('none.onnx').catch((error) => [error.code, error.message])`;
    expect(await page.evaluate(message)).to.deep.equal([
      'FILE_NOT_FOUND',
      `cannot fetch '${server.url}none.onnx': the server answers 404`,
    ]);
  });

  it("the browser entry passes over Node's providers, with the reason", async () => {
    const { provider, fallbacks } = await call<{ provider: string; fallbacks: unknown[] }>(
      'open',
      'model.onnx',
      {
        providers: ['native', 'wasm'],
      },
    );
    expect(provider).to.equal('wasm');
    expect(fallbacks).to.deep.equal([
      { provider: 'native', reason: "the provider 'native' does not exist here; known: wasm, webgpu" },
    ]);
  });

  async function requireGpu(context: Context): Promise<void> {
    const has = 'navigator.gpu?.requestAdapter().then((adapter) => adapter !== null) ?? false';
    if (await page.evaluate<boolean>(has)) return;
    console.log('    not run on webgpu in a browser: this Chromium has no WebGPU, not even in software');
    context.skip();
  }

  it('the browser entry gives what PyTorch gives on WebGPU, with every lowering of GroupNorm alone', async function () {
    await requireGpu(this);
    for (const name of CASES) {
      // A network takes a GPU in software three seconds.
      for (const lowering of name.startsWith('net-') ? [SAFE_LOWERING] : LOWERING_NAMES) {
        const spec = { lowering, opset: 21, provider: 'webgpu' };
        const { passed, provider, error } = await call<CaseResult>('check', `${name}.safetensors`, spec);
        expect([passed, provider], `${name}, ${lowering}: ${error?.message}`).to.deep.equal([true, 'webgpu']);
      }
    }
  });

  it('the browser entry runs a model on WebGPU that has an operator for the CPU alone', async function () {
    await requireGpu(this);
    const result = await call('determinants', ['webgpu', 'wasm']);
    expect(result).to.deep.equal({ provider: 'webgpu', y: [6, 0] });
  });

  it('the browser entry goes on with the next provider if the GPU is lost before the first run', async function () {
    await requireGpu(this);
    type Lost = { before: string; provider: string; fallbacks: { reason: string }[]; largest: number };
    const { before, provider, fallbacks, largest } = await call<Lost>('lose', 'model.onnx');
    expect([before, provider]).to.deep.equal(['webgpu', 'wasm']);
    expect(fallbacks[0]!.reason).to.include('The browser has lost the GPU');
    expect(largest).to.be.within(1, 2);
  });

  it('the browser entry says why WebGPU does not run a model that WebGPU has no kernel for', async function () {
    await requireGpu(this);
    const { provider, fallbacks } = await call<{ provider: string; fallbacks: { reason: string }[] }>(
      'float64',
      ['webgpu', 'wasm'],
    );
    expect(provider).to.equal('wasm');
    expect(fallbacks[0]!.reason).to.include('is not set');
  });
});

const bundle = (outdir: string) =>
  build({
    entryPoints: [ENTRY],
    outdir,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'browser',
    conditions: ['onnxruntime-web-use-extern-wasm'],
    logLevel: 'warning',
  });

async function writePage(folder: string): Promise<void> {
  await writeFile(join(folder, 'script.js'), SCRIPT);
  const icon = '<link rel="icon" href="data:,">';
  await writeFile(
    join(folder, 'index.html'),
    `<!doctype html>${icon}<script type="module" src="script.js"></script>`,
  );
  const graph = getGraph('group-norm').build({ numGroups: 2, numChannels: 512 });
  const { model, location, data } = encodeModelExternal(graph, initializeWeights(graph), 'model.onnx.data');
  await writeFile(join(folder, 'model.onnx'), model);
  await writeFile(join(folder, location), data);
  await mkdir(join(folder, 'sub'));
  const renamed = (name: string) => renameLocations(model, new Map([[location, name]]));
  for (const [index, name] of LEAVING.entries())
    await writeFile(join(folder, `sub/leaving-${index}.onnx`), renamed(name));
  await writeFile(join(folder, 'sub/encoded.onnx'), renamed('%2e%2e/model.onnx.data?a#b'));
}

/** Names of the weights of models in the folder `sub`, none of which is in that folder. */
const LEAVING = [
  '../model.onnx.data',
  '/model.onnx.data',
  '\\model.onnx.data',
  '..\\model.onnx.data',
  '//localhost/model.onnx.data',
  '\\\\localhost/model.onnx.data',
  'https://localhost/model.onnx.data',
  'data:,abcd',
  'blob:x',
];

async function copyCases(folder: string): Promise<void> {
  for (const name of CASES) {
    await cp(fixturePath('group-norm', name), join(folder, 'fixtures', `${name}.safetensors`));
  }
}
