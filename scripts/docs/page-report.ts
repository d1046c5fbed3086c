/**
 * Measures what the page of `web/` takes: the bytes of its files (docs/plots/page-files.json), and the memory of browsers that
 * open and run large models on it (docs/plots/page-memory.json). The page is that of web/dist: `npm run web:build` first.
 *
 *   npm run docs:page                                 the files
 *   npm run docs:page -- --width 128 --width 192      and the memory, for U-Nets of diffusers of these widths (Linux)
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { reportOf, writeReport } from '../../bench/report.js';
import { getGraph } from '../../graphs/registry.js';
import { initializeWeights, writeModel } from '../../lib/index.js';
import { launch, openTab } from '../../test/web/chromium.js';
import { Firefox } from '../../test/web/firefox.js';
import type { Tab } from '../../test/web/tab.js';
import { serve } from '../web/server.js';

/** The files of the page, or a part of them. */
export interface PageFilesRow {
  readonly part: 'all' | 'wasm' | 'webgpu';
  readonly bytes: number;
}

/** What a browser took for one model. */
export interface PageMemoryRow {
  readonly browser: string;
  /** Bytes of the model and its file of weights. */
  readonly model: number;
  /** Bytes of all processes of the browser: before, at most while the page opens and runs the model, and some seconds after that. */
  readonly before: number;
  readonly open: number;
  readonly run: number;
  readonly after: number;
  /** What the page says if the run ended with an error. */
  readonly problem?: string;
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const COMMAND = 'npm run docs:page';

const { values } = parseArgs({
  options: {
    width: { type: 'string', multiple: true, default: [] },
    browser: { type: 'string', multiple: true, default: ['chromium', 'firefox'] },
    page: { type: 'string', default: join(ROOT, 'web/dist') },
    json: { type: 'string', default: join(ROOT, 'docs/plots') },
  },
});

function measureFiles(): PageFilesRow[] {
  const files = readdirSync(values.page, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const bytesOf = (isIn: (name: string) => boolean) =>
    files
      .filter(({ name }) => isIn(name))
      .reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
  return [
    { part: 'all', bytes: bytesOf(() => true) },
    { part: 'wasm', bytes: bytesOf((name) => /^ort-wasm-simd-threaded\.(mjs|wasm)$/.test(name)) },
    { part: 'webgpu', bytes: bytesOf((name) => name.includes('.asyncify.')) },
  ];
}

/** Returns the memory of all processes that this process has started, in bytes. Pages that they share count once. */
function memoryOfChildren(): number {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    const stat = /^\d+$/.test(name) ? read(`/proc/${name}/stat`) : undefined;
    // `pid (name) state parent`: a name may have spaces and brackets.
    if (stat) parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')')).split(' ')[2]));
  }
  const isOurs = (pid: number | undefined): boolean =>
    pid !== undefined && (parents.get(pid) === process.pid || isOurs(parents.get(pid)));
  return [...parents.keys()]
    .filter(isOurs)
    .reduce(
      (sum, pid) => sum + 1024 * Number(/^Pss: +(\d+)/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0),
      0,
    );
}

/** Returns the text of a file of /proc; an empty text if the process has ended. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Returns the most memory while an action runs. */
async function mostDuring(action: () => Promise<void>): Promise<number> {
  let most = 0;
  const timer = setInterval(() => (most = Math.max(most, memoryOfChildren())), 200);
  try {
    await action();
  } finally {
    clearInterval(timer);
  }
  return most;
}

/** Waits until an expression is true in the page. */
async function until(tab: Tab, expression: string): Promise<void> {
  while (!(await tab.evaluate<boolean>(`Boolean(${expression})`))) await setTimeout(200);
}

/** Does something in the page, and waits until its task has ended. */
async function doneAfter(tab: Tab, action: () => Promise<void>): Promise<void> {
  await action();
  await setTimeout(300);
  await until(tab, `!document.querySelector('#activity').dataset.busy`);
}

/** Sizes of a latent that take little memory beside the weights. */
const SMALL = `for (const input of document.querySelectorAll('[id^=size-]')) input.value = input.value === '1' ? '1' : '16'`;

async function measureMemory(browser: string, files: readonly string[]): Promise<PageMemoryRow> {
  const server = await serve(values.page);
  const { tab, name, close } = await (browser === 'firefox'
    ? openFirefox(server.url)
    : openChromium(server.url));
  try {
    await until(tab, 'document.documentElement.dataset.ready');
    const before = memoryOfChildren();
    const open = await mostDuring(() => doneAfter(tab, () => tab.choose('#model-file', ...files)));
    await tab.evaluate(`(() => { ${SMALL} })()`);
    const run = await mostDuring(() => doneAfter(tab, () => tab.click('#run')));
    await setTimeout(5000);
    const problem = await tab.evaluate<string>(`document.querySelector('#problem').textContent`);
    const model = files.reduce((sum, file) => sum + statSync(file).size, 0);
    return {
      browser: name,
      model,
      before,
      open,
      run,
      after: memoryOfChildren(),
      ...(problem && { problem }),
    };
  } finally {
    await close();
    await server.close();
  }
}

interface Opened {
  readonly tab: Tab;
  readonly name: string;
  readonly close: () => Promise<void>;
}

async function openChromium(url: string): Promise<Opened> {
  const browser = await launch({ gpu: false });
  const name = `Chromium ${browser.version().split('.')[0]}`;
  return { tab: await openTab(browser, url), name, close: () => browser.close() };
}

async function openFirefox(url: string): Promise<Opened> {
  const firefox = await Firefox.launch();
  const tab = await firefox.open(url);
  const version = await tab.evaluate<string>(`/Firefox\\/(\\d+)/.exec(navigator.userAgent)[1]`);
  return { tab, name: `Firefox ${version}`, close: () => firefox.close() };
}

/** Writes a U-Net of diffusers with random weights, in two files. */
async function writeUNet(folder: string, width: number): Promise<string[]> {
  const graph = getGraph('unet-2d-condition').build({
    blockOutChannels: [width, 2 * width, 4 * width, 4 * width],
    crossAttentionDim: [4 * width],
    attentionHeadDim: [8],
    layersPerBlock: [2],
  });
  const path = join(folder, `unet-${width}.onnx`);
  await writeModel(path, graph, initializeWeights(graph), { externalData: true });
  return [path, `${path}.data`];
}

const report = (name: string) => join(values.json, name);
writeReport(report('page-files.json'), reportOf(COMMAND, measureFiles()), ({ part }) => part);
const folder = mkdtempSync(join(tmpdir(), 'page-'));
try {
  for (const width of values.width) {
    const files = await writeUNet(folder, Number(width));
    for (const browser of values.browser) {
      const row = await measureMemory(browser, files);
      console.log(row);
      writeReport(
        report('page-memory.json'),
        reportOf(COMMAND, [row]),
        (one) => `${one.browser} ${one.model}`,
      );
    }
    for (const file of files) rmSync(file);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
