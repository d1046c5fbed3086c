/** The page in Chromium, served as static files. `shared-tests.ts` has what every browser must do. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect } from 'chai';
import { after, afterEach, before, beforeEach, describe, it } from 'mocha';
import type { Browser } from 'playwright-core';
import { getGraph } from '../../graphs/registry.js';
import { toRgba } from '../../lib/images/image.js';
import { maskOf, maskToImage } from '../../lib/images/mask.js';
import {
  compareTensors,
  convertModel,
  createSession,
  decodeNpy,
  defaultTolerance,
  encodeModel,
  encodeModelExternal,
  encodeNpy,
  type Fixture,
  initializeWeights,
  readFixture,
  tensor,
  writeSafetensors,
} from '../../lib/index.js';
import { buildWeb } from '../../scripts/web/build.js';
import { serve, type WebServer, type WebServerOptions } from '../../scripts/web/server.js';
import type { Manifest } from '../../web/protocol.js';
import { fixturePath } from '../support/fixtures.js';
import { describeInBrowser, launch } from './chromium.js';
import { keepFixtures, Visitor } from './visitor.js';

const DEMO = fileURLToPath(new URL('../../demo/unet-cells.safetensors', import.meta.url));
const CELLS = fileURLToPath(new URL('../../demo/cells.png', import.meta.url));

/** A browser, a server and a visitor for every test of a `describe`. @param path The folder of the page on the server. */
function usePage(
  folder: () => string,
  headers: NonNullable<WebServerOptions['headers']>,
  path = '',
): () => Visitor {
  let browser: Browser;
  let server: WebServer;
  let visitor: Visitor;
  before(async () => {
    browser = await launch({ gpu: false });
    server = await serve(folder(), { headers });
  });
  beforeEach(async () => {
    visitor = await Visitor.open(browser, server.url + path);
  });
  afterEach(() => visitor.close());
  after(async () => {
    await browser?.close();
    await server?.close();
  });
  return () => visitor;
}

describeInBrowser('the page in a browser', () => {
  let folder: string;
  let demo: Fixture;
  let manifest: Manifest;
  before(async () => {
    folder = join(await mkdtemp(join(tmpdir(), 'web-')), 'page');
    await buildWeb(folder);
    manifest = await keepFixtures(folder, 12);
    demo = await readFixture(DEMO);
  });
  after(() => rm(dirname(folder), { recursive: true, force: true }));

  async function expectDemo(visitor: Visitor): Promise<void> {
    expect(await visitor.runDemo()).to.match(/^As in PyTorch \(torch .*\): 24576 of 24576 pixels/);
    const expected = toRgba(maskToImage(maskOf(demo.outputs.get('y')!)));
    expect(await visitor.pixels('Mask')).to.deep.equal(Uint8Array.from(expected.data));
  }

  describe('served with the recommended headers', () => {
    const visitor = usePage(() => folder, 'all');

    /** Opens the form that builds a network, and chooses the network. */
    async function chooseNetwork(
      name: string,
      options: Readonly<Record<string, unknown>> = {},
    ): Promise<void> {
      const { page } = visitor();
      await page.evaluate(`document.querySelector('#build-part').open = true`);
      await page.selectOption('#graph', name);
      for (const [option, value] of Object.entries(options))
        await page.fill(`#option-${option}`, String(value));
    }

    /** Clicks a link that saves a file, and returns the file's name and bytes. */
    async function save(selector: string): Promise<[name: string, bytes: Uint8Array]> {
      const { page } = visitor();
      const [download] = await Promise.all([page.waitForEvent('download'), page.click(selector)]);
      return [download.suggestedFilename(), new Uint8Array(await readFile(await download.path()))];
    }

    it('the page loads without a complaint, isolated, and labels every control', async () => {
      const { page, complaints } = visitor();
      expect(await page.evaluate('crossOriginIsolated')).to.equal(true);
      expect(await page.locator('#not-started').isVisible()).to.equal(false);
      const unnamed = `[...document.querySelectorAll('input, select')].filter((one) => one.labels.length === 0)`;
      expect(await page.evaluate(`${unnamed}.map((one) => one.id)`)).to.deep.equal([]);
      expect(await page.evaluate('document.querySelectorAll("input, select").length')).to.be.above(8);
      expect(complaints).to.deep.equal([]);
    });

    it('the page says that it needs a server when it is opened from a file', async () => {
      const { page } = visitor();
      await page.goto(pathToFileURL(join(folder, 'index.html')).href);
      await page.locator('#not-started').waitFor();
      expect(await visitor().text('#not-started')).to.include('needs JavaScript, and a server');
    });

    it('the page has a policy against inline scripts, and this test sees a violation', async () => {
      const { page, complaints } = visitor();
      await page.evaluate(
        `document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.ran = 1' }))`,
      );
      expect(await page.evaluate('window.ran')).to.equal(undefined);
      expect(complaints.join()).to.include('Content Security Policy');
    });

    it("the page gives PyTorch's mask in the demo, and a model that gives PyTorch's logits in onnxruntime-node", async () => {
      await expectDemo(visitor());
      const { complaints } = visitor();
      expect(await visitor().value('#panel-run', 'Ran on')).to.equal('wasm');
      const [name, model] = await save('#download');
      expect(name).to.equal('unet.onnx');
      const session = await createSession(model, { groupNorm: 'reduce-mean' });
      const { y } = await session.run(Object.fromEntries(demo.inputs));
      await session.dispose();
      const { passed, maxAbs } = compareTensors('y', y!, demo.outputs.get('y')!, defaultTolerance('float32'));
      expect(passed, `differs by ${maxAbs}`).to.equal(true);
      expect(complaints).to.deep.equal([]);
    });

    it('another model replaces all that belonged to the model before', async () => {
      const { page } = visitor();
      await visitor().runDemo();
      await chooseNetwork('group-norm', { numGroups: 2, numChannels: 4 });
      expect(await visitor().start('#build')).to.equal('Done.');
      expect(await visitor().text('#model-name')).to.equal('group-norm.onnx');
      expect(await page.locator('canvas, #verdict').count()).to.equal(0);
      expect(await visitor().rows('#panel-norms')).to.have.length(1);
      expect(await visitor().start('#run')).to.equal('Done.');
      const outputs = await visitor().rows('#panel-run');
      expect(outputs.map(([name, type]) => [name, type])).to.deep.equal([['y', 'float32 [1, 4, 64, 64]']]);
    });

    it('the page opens the model of a folder that a visitor drops, with its weights', async () => {
      const graph = getGraph('group-norm').build({ numGroups: 2, numChannels: 256 });
      const { model, location, data } = encodeModelExternal(graph, initializeWeights(graph), 'weights.bin');
      const dropped = join(dirname(folder), 'dropped');
      await mkdir(join(dropped, 'onnx'), { recursive: true });
      await writeFile(join(dropped, 'README.md'), 'a model');
      await writeFile(join(dropped, 'onnx', 'model.onnx'), model);
      await writeFile(join(dropped, 'onnx', location), data);
      const { page } = visitor();
      const { x, y } = (await page.locator('#model-file').boundingBox())!;
      const cdp = await page.context().newCDPSession(page);
      for (const type of ['dragEnter', 'dragOver', 'drop'] as const) {
        const carried = { items: [], files: [dropped], dragOperationsMask: 1 };
        await cdp.send('Input.dispatchDragEvent', { type, x: x + 5, y: y + 5, data: carried });
      }
      expect(await visitor().text('#model-name')).to.equal('model.onnx');
      expect(await visitor().start('#run')).to.equal('Done.');
    });

    it("the page opens a visitor's model with the files of its weights, runs it on a .npy file and converts it", async () => {
      const graph = getGraph('double-conv').build({ inChannels: 3, outChannels: 16, numGroups: 2 });
      const weights = initializeWeights(graph, 7);
      const files = dirname(folder);
      const { model, location, data } = encodeModelExternal(graph, weights, 'own.onnx.data');
      const x = tensor(
        'float32',
        [2, 3, 5, 6],
        Float32Array.from({ length: 180 }, (_, i) => Math.sin(i)),
      );
      await mkdir(join(files, 'own'));
      const paths = ['own.onnx', location, 'x.npy'].map((name) => join(files, 'own', name));
      await writeFile(paths[0]!, model);
      await writeFile(paths[1]!, data);
      await writeFile(paths[2]!, encodeNpy(x));

      const { page, complaints } = visitor();
      await page.setInputFiles('#model-file', paths[0]!);
      expect(await visitor().ended()).to.include('Failed');
      expect(await visitor().text('#problem')).to.include("keeps weights in 'own.onnx.data'");
      // The file that was missing is enough: the model waits for it.
      await page.setInputFiles('#model-file', paths[1]!);
      await page.locator('#model-name').waitFor();
      expect(await visitor().text('#model-name')).to.equal('own.onnx');
      const norms = await visitor().rows('#panel-norms');
      expect(norms.map(([number, name]) => [number, name])).to.deep.equal([
        ['1', 'double_conv.1'],
        ['2', 'double_conv.4'],
      ]);

      await page.setInputFiles('#input-0-file', paths[2]!);
      expect(await visitor().start('#run')).to.equal('Done.');
      const [, output] = await save('#panel-run a');
      const whole = encodeModel(graph, weights);
      const session = await createSession(whole, { groupNorm: 'reduce-mean' });
      const { y } = await session.run({ x });
      await session.dispose();
      const { passed } = compareTensors('y', decodeNpy(output), y!, defaultTolerance('float32'));
      expect(passed).to.equal(true);

      await page.click('#tab-convert');
      await page.selectOption('#conversion', 'layer-norm');
      expect(await visitor().start('#convert')).to.equal('Done.');
      const [name, converted] = await save('#converted a');
      expect(name).to.equal('own-layer-norm.onnx');
      const expected = convertModel(whole, { lowering: 'layer-norm' }).bytes;
      expect(Buffer.compare(converted, expected)).to.equal(0);
      await page.click('#converted button');
      expect(await visitor().text('#model-name')).to.equal('own-layer-norm.onnx');
      expect(await visitor().text('#panel-norms')).to.include('lowered');
      expect(complaints).to.deep.equal([]);
    });

    it('the page compares every lowering in time and in error, and measures the norms of the demo', async () => {
      await visitor().runDemo();
      expect(await visitor().start('#compare')).to.equal('Done.');
      const rows = await visitor().rows('#panel-lowerings');
      expect(rows.map(([name]) => name)).to.deep.equal(['op', 'reduce-mean', 'instance-norm', 'layer-norm']);
      for (const [name, median, error, share, difference] of rows) {
        expect(parseFloat(median!)).to.be.above(0);
        expect(parseFloat(error!), name).to.be.within(1e-8, name === 'reduce-mean' ? 1e-5 : 1e-2);
        expect(parseFloat(share!), name).to.be.above(0);
        if (name === 'reduce-mean') expect(difference).to.equal('–');
        else expect(parseFloat(difference!), name).to.be.within(0, 1e-2);
      }
      expect(await visitor().start('#measure')).to.equal('Done.');
      const norms = await visitor().rows('#panel-norms');
      expect(norms).to.have.length(18);
      for (const [, , ratio, error] of norms) {
        expect(parseFloat(ratio!)).to.be.within(0, 100);
        expect(parseFloat(error!)).to.be.within(0, 1e-2);
      }
      // Both measure the operator of ONNX Runtime on the same rows.
      expect(rows[0]![2]).to.be.oneOf(norms.map(([, , , error]) => error));
      expect(visitor().complaints).to.deep.equal([]);
    });

    it('the page runs a network of other outputs on random numbers, and shows their channels', async () => {
      const { page } = visitor();
      await chooseNetwork('detection-backbone', { width: 8, numGroups: 4, fpnChannels: 8 });
      await page.selectOption('#lowering', 'layer-norm');
      expect(await visitor().start('#build')).to.equal('Done.');
      expect(await visitor().value('#model-head', 'Nodes'))
        .to.include('LayerNormalization')
        .and.not.include('GroupNormalization');
      expect(await visitor().start('#run')).to.equal('Done.');
      const outputs = await visitor().rows('#panel-run');
      expect(outputs.map(([name, type]) => [name, type])).to.deep.equal([
        ['p3', 'float32 [1, 8, 8, 8]'],
        ['p4', 'float32 [1, 8, 4, 4]'],
        ['p5', 'float32 [1, 8, 2, 2]'],
      ]);
      expect(await page.locator('#panel-run canvas').count()).to.equal(12);
    });

    it('the page shows the options of every network, and builds it from the options that it shows or says what is wrong', async () => {
      const { page, complaints } = visitor();
      const names = await page.evaluate<string[]>(
        `[...document.querySelector('#graph').options].map(({ value }) => value)`,
      );
      expect(names[0]).to.equal('unet');
      for (const name of names) {
        await chooseNetwork(name);
        const fields = await page.locator('#options .field').count();
        expect(fields, name).to.equal(Object.keys(getGraph(name).options).length);
      }
      expect(complaints).to.deep.equal([]);
    });

    it('the page says what is wrong with options, weights and images, and stays usable', async () => {
      const { page } = visitor();
      await chooseNetwork('group-norm', { numGroups: 7, numChannels: 32 });
      expect(await visitor().start('#build')).to.include('Failed');
      expect(await visitor().text('#problem'))
        .to.include('NUM_GROUPS_MISMATCH')
        .and.to.include('allowed: 1, 2, 4');
      const { y, height } = (await page.locator('#problem').boundingBox())!;
      expect(y).to.be.at.least(0);
      expect(y + height).to.be.at.most(page.viewportSize()!.height);
      await page.click('#problem button');
      expect(await page.locator('#problem').isVisible()).to.equal(false);

      await chooseNetwork('group-norm', { numGroups: 2, numChannels: 4 });
      await page.setInputFiles(
        '#weights-file',
        fixturePath('double-conv', 'counter').replace('counter', 'image'),
      );
      expect(await visitor().start('#build')).to.include('Failed');
      expect(await visitor().text('#problem'))
        .to.include('STATE_DICT_MISMATCH')
        .and.to.include("missing 'weight'")
        .and.to.include("unexpected 'double_conv.0.weight'");
      await page.setInputFiles('#weights-file', fileURLToPath(import.meta.url));
      expect(await visitor().start('#build')).to.include('Failed');
      expect(await visitor().text('#problem'))
        .to.include('SAFETENSORS_INVALID')
        .and.to.include('page.test.ts');

      await page.selectOption('#weights', 'seed');
      expect(await visitor().start('#build')).to.equal('Done.');
      await page.selectOption('#input-0', 'image');
      expect(await visitor().start('#run')).to.include('Failed');
      expect(await visitor().text('#problem')).to.include('Choose a file for the input x');
      await page.setInputFiles('#input-0-file', DEMO);
      await visitor().start('#run');
      expect(await visitor().text('#problem')).to.include('IMAGE_INVALID');
      await page.setInputFiles('#input-0-file', CELLS);
      await visitor().start('#run');
      expect(await visitor().text('#problem')).to.include("input 'x' is float32 [N, 4, H, W]");

      await page.selectOption('#input-0', 'random');
      expect(await visitor().start('#run')).to.equal('Done.');
      expect(await page.locator('#problem').isVisible()).to.equal(false);
      await page.setInputFiles('#model-file', CELLS);
      expect(await visitor().ended()).to.include('Failed');
      expect(await visitor().text('#problem'))
        .to.include('cells.png')
        .and.to.include('a PNG image');
      expect(await visitor().text('#model-name')).to.equal('group-norm.onnx');
      expect(visitor().complaints).to.deep.equal([]);
    });

    it('a message about an option says where the page has the option, and names no flag', async () => {
      const { page } = visitor();
      const file = join(dirname(folder), 'nested.safetensors');
      const tensors = ['weight', 'bias'].map(
        (name) => [`net.${name}`, tensor('float32', [4], new Float32Array(4))] as const,
      );
      await writeSafetensors(file, { tensors: new Map(tensors) });
      await chooseNetwork('group-norm', { numGroups: 2, numChannels: 4 });
      await page.setInputFiles('#weights-file', file);
      expect(await visitor().start('#build')).to.include('Failed');
      expect(await visitor().text('#problem'))
        .to.include("give the prefix 'net'")
        .and.include("fill in 'Only the keys under this prefix'")
        .and.not.include('--');
      await page.fill('#prefix', 'net');
      expect(await visitor().start('#build')).to.equal('Done.');
    });

    it('a failed build of a network with many options leaves a short form, its error and its button in sight', async () => {
      const { page } = visitor();
      await chooseNetwork('unet-2d-condition', { normNumGroups: 7 });
      expect(await visitor().start('#build')).to.include('Failed');
      expect(await visitor().text('#problem')).to.include('NUM_GROUPS_MISMATCH');
      const height = page.viewportSize()!.height;
      expect(await page.evaluate<number>('document.documentElement.scrollHeight')).to.be.below(4 * height);
      for (const part of ['#problem', '#build']) {
        const box = (await page.locator(part).boundingBox())!;
        expect([box.y >= 0, box.y + box.height <= height], part).to.deep.equal([true, true]);
      }
    });

    it("the page takes a visitor's weights, and gives the fixture's result with them", async () => {
      const { page } = visitor();
      await chooseNetwork('unet', demo.options);
      await page.setInputFiles('#weights-file', DEMO);
      expect(await visitor().start('#build')).to.equal('Done.');
      await page.setInputFiles('#input-0-file', CELLS);
      expect(await visitor().start('#run')).to.equal('Done.');
      const expected = toRgba(maskToImage(maskOf(demo.outputs.get('y')!)));
      expect(await visitor().pixels('Mask')).to.deep.equal(Uint8Array.from(expected.data));
    });

    it('the page passes a choice of its fixtures, after a stopped check', async () => {
      const { page, complaints } = visitor();
      await page.click('#parity-part summary');
      await page.click('#check');
      await page.locator('#parity tbody tr').nth(3).waitFor();
      await page.click('#cancel');
      expect(await visitor().ended()).to.equal('Stopped.');

      await visitor().expectFixturesPass(manifest);
      expect(complaints).to.deep.equal([]);
    });

    it('the page passes over a missing WebGPU, and says so', async () => {
      const { page } = visitor();
      await chooseNetwork('group-norm', { numGroups: 2, numChannels: 4 });
      expect(await visitor().start('#build')).to.equal('Done.');
      await page.selectOption('#provider', 'webgpu');
      expect(await visitor().start('#run')).to.equal('Done.');
      expect(await visitor().value('#panel-run', 'Ran on')).to.equal('wasm');
      expect(await visitor().text('#panel-run .note')).to.match(
        /^WebGPU was not used, and WebAssembly ran the model: /,
      );
    });
  });

  describe('in a folder of a server without the recommended headers', () => {
    const visitor = usePage(() => dirname(folder), 'none', 'page/');

    it('the page runs the demo on one thread, under its own policy, without the recommended headers', async () => {
      const { page, complaints } = visitor();
      expect(await page.evaluate('crossOriginIsolated')).to.equal(false);
      expect(await visitor().text('#environment summary')).to.include(
        'one thread here: more need a server that sends two headers',
      );
      await expectDemo(visitor());
      expect(complaints).to.deep.equal([]);
      await page.evaluate(
        `document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.ran = 1' }))`,
      );
      expect(await page.evaluate('window.ran')).to.equal(undefined);
    });
  });
});
