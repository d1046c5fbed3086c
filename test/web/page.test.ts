/** The page in a real browser, served as static files. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { after, afterEach, before, beforeEach, describe, it } from 'mocha';
import type { Browser } from 'playwright-core';
import { toRgba } from '../../lib/images/image.js';
import { maskOf, maskToImage } from '../../lib/images/mask.js';
import {
  compareTensors,
  createSession,
  defaultTolerance,
  type Fixture,
  readFixture,
} from '../../lib/index.js';
import { buildWeb } from '../../scripts/web/build.js';
import { serve, type WebServer, type WebServerOptions } from '../../scripts/web/server.js';
import type { Manifest } from '../../web/protocol.js';
import { fixturePath } from '../support/fixtures.js';
import { describeInBrowser, launch } from './chromium.js';
import { Visitor } from './visitor.js';

const DEMO = fileURLToPath(new URL('../../demo/unet-cells.safetensors', import.meta.url));

/** A browser, a server and a visitor for every test of a `describe`. */
function usePage(folder: () => string, headers: NonNullable<WebServerOptions['headers']>): () => Visitor {
  let browser: Browser;
  let server: WebServer;
  let visitor: Visitor;
  before(async () => {
    browser = await launch({ gpu: false });
    server = await serve(folder(), { headers });
  });
  beforeEach(async () => {
    visitor = await Visitor.open(browser, server.url);
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
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'web-'));
    await buildWeb(folder);
    demo = await readFixture(DEMO);
  });
  after(() => rm(folder, { recursive: true, force: true }));

  async function expectDemo(visitor: Visitor): Promise<void> {
    expect(await visitor.runDemo()).to.match(/^As in PyTorch \(torch .*\): 24576 of 24576 pixels/);
    const expected = toRgba(maskToImage(maskOf(demo.outputs.get('y')!)));
    expect(await visitor.pixels('Mask')).to.deep.equal(Uint8Array.from(expected.data));
  }

  describe('served with the recommended headers', () => {
    const visitor = usePage(() => folder, 'all');

    it('the page loads without a complaint, isolated, and labels every control', async () => {
      const { page, complaints } = visitor();
      expect(await page.evaluate('crossOriginIsolated')).to.equal(true);
      const unnamed = `[...document.querySelectorAll('input, select')].filter((one) => one.labels.length === 0)`;
      expect(await page.evaluate(`${unnamed}.map((one) => one.id)`)).to.deep.equal([]);
      expect(await page.evaluate('document.querySelectorAll("input, select").length')).to.be.above(10);
      expect(complaints).to.deep.equal([]);
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
      const { page, complaints } = visitor();
      expect(await visitor().value('#result', 'Ran on')).to.equal('wasm');
      const [download] = await Promise.all([page.waitForEvent('download'), page.click('#download')]);
      expect(download.suggestedFilename()).to.equal('unet.onnx');
      const model = new Uint8Array(await readFile(await download.path()));
      const session = await createSession(model, { groupNorm: 'reduce-mean' });
      const { y } = await session.run(Object.fromEntries(demo.inputs));
      await session.dispose();
      const { passed, maxAbs } = compareTensors('y', y!, demo.outputs.get('y')!, defaultTolerance('float32'));
      expect(passed, `differs by ${maxAbs}`).to.equal(true);
      expect(complaints).to.deep.equal([]);
    });

    it('the page works by keyboard: Enter starts a task, and the focus stays at its end', async () => {
      const { page } = visitor();
      await page.focus('#build');
      await page.keyboard.press('Enter');
      await page.locator('#summary').waitFor();
      expect(await visitor().ended()).to.equal('Done.');
      expect(await page.evaluate('document.activeElement.id')).to.equal('build');
      await page.keyboard.press('Tab');
      expect(await page.evaluate('document.activeElement.id')).to.equal('download');
    });

    it('the page times every lowering, in a chart and in a table', async () => {
      expect(await visitor().start('#measure')).to.equal('Done.');
      const rows = await visitor().rows('#timings');
      expect(rows.map(([name]) => name)).to.deep.equal(['op', 'reduce-mean', 'instance-norm', 'layer-norm']);
      for (const [, ...times] of rows) {
        expect(times).to.have.length(3);
        for (const time of times) expect(parseFloat(time)).to.be.above(0);
      }
      const drawn = await visitor().pixels('Bar chart');
      expect(drawn.some((value) => value !== 0)).to.equal(true);
      expect(visitor().complaints).to.deep.equal([]);
    });

    it('the page runs a network of other outputs on random numbers, and shows their channels', async () => {
      const { page } = visitor();
      await page.selectOption('#graph', 'detection-backbone');
      await page.fill('#option-width', '8');
      await page.fill('#option-numGroups', '4');
      await page.fill('#option-fpnChannels', '8');
      await page.selectOption('#lowering', 'layer-norm');
      expect(await visitor().start('#build')).to.equal('Done.');
      expect(await visitor().value('#summary', 'GroupNorm as')).to.equal('layer-norm');
      const operators = (await visitor().rows('#summary')).map(([name]) => name);
      expect(operators).to.include('LayerNormalization').and.not.include('GroupNormalization');
      expect(await visitor().start('#run')).to.equal('Done.');
      const outputs = await visitor().rows('#result');
      expect(outputs.map(([name, type]) => [name, type])).to.deep.equal([
        ['p3', 'float32 [1, 8, 8, 8]'],
        ['p4', 'float32 [1, 8, 4, 4]'],
        ['p5', 'float32 [1, 8, 2, 2]'],
      ]);
      expect(await page.locator('#result canvas').count()).to.equal(12);
    });

    it('the page says what is wrong with options, weights and images, and stays usable', async () => {
      const { page } = visitor();
      await page.fill('#option-numGroups', '7');
      expect(await visitor().start('#build')).to.include('Failed');
      expect(await visitor().text('#problem'))
        .to.include('NUM_GROUPS_MISMATCH')
        .and.to.include('allowed: 1, 2, 4');
      const { y, height } = (await page.locator('#problem').boundingBox())!;
      expect(y).to.be.at.least(0);
      expect(y + height).to.be.at.most(page.viewportSize()!.height);
      await page.click('#problem button');
      expect(await page.locator('#problem').isVisible()).to.equal(false);
      await page.fill('#option-numGroups', '8');

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
      await page.selectOption('#input', 'image');
      expect(await visitor().start('#run')).to.include('Failed');
      expect(await visitor().text('#problem')).to.include('Choose an image');
      await page.setInputFiles('#image-file', DEMO);
      await visitor().start('#run');
      expect(await visitor().text('#problem')).to.include('IMAGE_INVALID');

      await page.selectOption('#input', 'random');
      expect(await visitor().start('#run')).to.equal('Done.');
      expect(await page.locator('#problem').isVisible()).to.equal(false);
      expect(visitor().complaints).to.deep.equal([]);
    });

    it("the page takes a visitor's weights, and gives the fixture's result with them", async () => {
      const { page } = visitor();
      await page.selectOption('#graph', 'unet');
      for (const [name, value] of Object.entries(demo.options))
        await page.fill(`#option-${name}`, String(value));
      await page.setInputFiles('#weights-file', DEMO);
      await page.selectOption('#input', 'demo');
      expect(await visitor().start('#run')).to.equal('Done.');
      const expected = toRgba(maskToImage(maskOf(demo.outputs.get('y')!)));
      expect(await visitor().pixels('Mask')).to.deep.equal(Uint8Array.from(expected.data));
    });

    it('the page passes every fixture that it carries, after a cancelled check', async () => {
      const { page, complaints } = visitor();
      await page.click('#check');
      await page.locator('#parity tbody tr').nth(3).waitFor();
      await page.click('#cancel');
      expect(await visitor().ended()).to.equal('Cancelled.');

      expect(await visitor().start('#check')).to.equal('Done.');
      const manifest = JSON.parse(await readFile(join(folder, 'fixtures.json'), 'utf8')) as Manifest;
      const rows = await visitor().rows('#parity');
      expect(rows.filter(([, result]) => result !== 'passed')).to.deep.equal([]);
      expect(rows).to.have.length(manifest.fixtures.length).above(190);
      expect(await visitor().text('#parity-summary')).to.match(
        new RegExp(
          `^${rows.length} passed, 0 failed, 0 not run\\. ${manifest.leftOut.count} fixtures .* left out`,
        ),
      );
      expect(complaints).to.deep.equal([]);
    });

    it('the page passes over a missing WebGPU, and says so', async () => {
      await visitor().page.selectOption('#provider', 'webgpu');
      await expectDemo(visitor());
      expect(await visitor().value('#result', 'Ran on')).to.equal('wasm');
      expect(await visitor().text('#result .note')).to.match(/^webgpu is not used: /);
    });
  });

  describe('served by a server without the recommended headers', () => {
    const visitor = usePage(() => folder, 'none');

    it('the page runs the demo on one thread, under its own policy, without the recommended headers', async () => {
      const { page, complaints } = visitor();
      expect(await page.evaluate('crossOriginIsolated')).to.equal(false);
      await expectDemo(visitor());
      expect(complaints).to.deep.equal([]);
      await page.evaluate(
        `document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.ran = 1' }))`,
      );
      expect(await page.evaluate('window.ran')).to.equal(undefined);
    });
  });
});
