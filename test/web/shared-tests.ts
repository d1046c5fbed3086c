/** What the page must do in every browser: by keyboard, for screen readers, narrow, dark, and without a network. */
import { expect } from 'chai';
import { after, before, it } from 'mocha';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { getGraph } from '../../graphs/registry.js';
import { encodeModelExternal, initializeWeights } from '../../lib/index.js';
import { buildWeb } from '../../scripts/web/build.js';
import { serve, type WebServer } from '../../scripts/web/server.js';
import type { Tab } from './tab.js';

const TIMEOUT = 60_000;

async function until(tab: Tab, condition: string): Promise<void> {
  const end = Date.now() + TIMEOUT;
  while (!(await tab.evaluate<boolean>(`Boolean(${condition})`))) {
    if (Date.now() > end) throw new Error(`${condition} is not true after a minute`);
    await setTimeout(50);
  }
}

/** Waits for the end of a task. @returns What the page says of it. */
async function ended(tab: Tab): Promise<string> {
  await until(tab, `!document.querySelector('#activity').dataset.busy`);
  return tab.evaluate(`document.querySelector('#progress-text').textContent`);
}

const text = (tab: Tab, selector: string): Promise<string> =>
  tab.evaluate(`document.querySelector(${JSON.stringify(selector)})?.textContent ?? ''`);

/** Returns the violations that axe finds, each with the place of the first. */
async function violations(tab: Tab): Promise<string[]> {
  const found = await tab.evaluate<{ id: string; nodes: { html: string }[] }[]>(
    `axe.run().then(({ violations }) => violations)`,
  );
  return found.map(({ id, nodes }) => `${id}: ${nodes[0]!.html}`);
}

/** What has the focus: its id or text, and whether a visitor sees that it has. */
const FOCUS = `(() => {
  const one = document.activeElement;
  const { outlineStyle, outlineWidth } = getComputedStyle(one);
  return { name: one.id || one.textContent.trim().slice(0, 30), isShown: outlineStyle !== 'none' && parseFloat(outlineWidth) > 0 };
})()`;

/** Everything that the keyboard must reach, in the order of the document. */
const REACHABLE = `[...document.querySelectorAll('a[href], button, input, select, summary, [tabindex="0"]')]
  .filter((one) => one.checkVisibility() && !one.disabled && one.tabIndex >= 0)
  .map((one) => one.id || one.textContent.trim().slice(0, 30))`;

/** The tests of one browser. @param open Opens a page in it. */
export function sharedTests(open: (url: string) => Promise<Tab>): void {
  let folder: string;
  let server: WebServer;
  let tab: Tab;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'browsers-'));
    await buildWeb(join(folder, 'page'));
    server = await serve(join(folder, 'page'));
    tab = await open(server.url);
    await until(tab, 'document.documentElement.dataset.ready');
    const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
    await tab.evaluate(`(() => { ${axe}; return true; })()`);
  });
  after(async () => {
    await server?.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** Looks at the page in the state that it is in. */
  async function expectAccessible(state: string): Promise<void> {
    expect(await violations(tab), state).to.deep.equal([]);
    await tab.resize(360, 740);
    expect(await tab.evaluate('document.documentElement.scrollWidth'), `${state}, narrow`).to.be.at.most(360);
    expect(await violations(tab), `${state}, narrow`).to.deep.equal([]);
    await tab.resize(1280, 800);
  }

  /** Writes a GroupNorm as two files, its weights beside it. Tensors of less than 1 KiB would stay in the model. */
  async function writeModel(name: string): Promise<[model: string, data: string]> {
    const graph = getGraph('group-norm').build({ numGroups: 2, numChannels: 256 });
    const { model, location, data } = encodeModelExternal(graph, initializeWeights(graph), `${name}.data`);
    const paths = [`${name}.onnx`, location].map((file) => join(folder, file)) as [string, string];
    await writeFile(paths[0], model);
    await writeFile(paths[1], data);
    return paths;
  }

  it('the page has no violation of accessibility and no horizontal scroll at its start', async () => {
    await tab.resize(1280, 800);
    await expectAccessible('start');
    await tab.click('#build-part summary');
    await expectAccessible('with the form that builds networks');
    await tab.click('#build-part summary');
  });

  it('the keyboard alone runs the demo, and reaches and shows everything in its order', async () => {
    for (let presses = 0; (await tab.evaluate<{ name: string }>(FOCUS)).name !== 'demo'; presses++) {
      expect(presses).to.be.below(10);
      await tab.press('Tab');
    }
    await tab.press('Enter');
    await until(tab, `document.querySelector('#verdict')`);
    expect(await ended(tab)).to.equal('Done.');
    expect(await text(tab, '#verdict')).to.match(/^As in PyTorch .* 24576 of 24576 pixels/);

    const reachable = await tab.evaluate<string[]>(REACHABLE);
    expect(reachable.length).to.be.above(12);
    const reached: string[] = [];
    await tab.evaluate(`(document.querySelector('.skip').focus(), true)`);
    while (reached.length < reachable.length) {
      const { name, isShown } = await tab.evaluate<{ name: string; isShown: boolean }>(FOCUS);
      expect(isShown, name).to.equal(true);
      reached.push(name);
      await tab.press('Tab');
    }
    expect(reached).to.deep.equal(reachable);
  });

  it('arrows change the tab of the results', async () => {
    const selected = () => text(tab, '[aria-selected="true"]');
    await tab.evaluate(`(document.querySelector('#tab-run').focus(), true)`);
    await tab.press('ArrowRight');
    expect(await selected()).to.equal('Lowerings');
    await tab.press('Home');
    expect(await selected()).to.equal('Normalizations');
  });

  it('the page has no violation of accessibility with any result', async () => {
    for (const name of ['norms', 'run', 'lowerings', 'convert']) {
      await tab.click(`#tab-${name}`);
      await expectAccessible(name);
    }
    await tab.click('#convert');
    expect(await ended(tab)).to.equal('Done.');
    await expectAccessible('converted');
  });

  it('files may be dropped anywhere, and the page says what is wrong with them', async () => {
    const [model, data] = await writeModel('a');
    const [other] = await writeModel('b');
    const problem = async (...paths: string[]) => {
      await tab.drop('body', ...paths);
      await until(tab, `!document.querySelector('#problem').hidden`);
      const message = await text(tab, '#problem pre');
      await tab.click('#problem button');
      return message;
    };
    const isOpen = (name: string) =>
      until(tab, `document.querySelector('#model-name')?.textContent === '${name}'`);
    await tab.drop('label[for="model-file"]', model, data);
    await isOpen('a.onnx');
    expect(await problem(model, other)).to.include('choose one of a.onnx, b.onnx');
    expect(await problem(fileURLToPath(new URL('../../demo/cells.png', import.meta.url)))).to.include(
      'it is a PNG image',
    );
    expect(await problem(other)).to.include("the model keeps weights in 'b.data': give these files");
    // A model waits for its weights, and weights for their model.
    await tab.drop('body', join(folder, 'b.data'));
    await isOpen('b.onnx');
    expect(await problem(data))
      .to.include('a.data')
      .and.to.include('choose its .onnx file too');
    await tab.drop('body', model);
    await isOpen('a.onnx');
  });

  it('the page works without a network, once it has been visited, and asks only its own server for anything', async () => {
    await until(tab, 'document.documentElement.dataset.offline');
    await server.close();
    const paths = await writeModel('a');
    // A stopped task ends the worker, and the next task fetches it again.
    await tab.click('#demo');
    await until(tab, `document.querySelector('#activity').dataset.busy`);
    await tab.click('#cancel');
    expect(await ended(tab)).to.equal('Stopped.');
    await tab.choose('#model-file', ...paths);
    await until(tab, `document.querySelector('#model-name')?.textContent === 'a.onnx'`);
    await tab.click('#run');
    expect(await ended(tab)).to.equal('Done.');
    expect(await text(tab, '#panel-run td')).to.equal('float32 [1, 256, 64, 64]');
    const isOwn = (url: string) =>
      url.replace(/^blob:/, '').startsWith(server.url) || url.startsWith('data:');
    expect(tab.requests.filter((url) => !isOwn(url))).to.deep.equal([]);
    expect(tab.complaints.filter((one) => !/ERR_CONNECTION|Failed to load resource/.test(one))).to.deep.equal(
      [],
    );
  });
}
