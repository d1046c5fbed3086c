/** Starts the system's own Chromium; downloads nothing. */
import { describe, it, type Suite } from 'mocha';
import { chromium, type Browser } from 'playwright-core';
import { findBrowser } from './find-browser.js';
import { dropExpression, type Tab } from './tab.js';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

const CHROMIUM = findBrowser('CHROMIUM_PATH', NAMES);

/** Why tests in a browser cannot run; `undefined` if they can. */
const REASON =
  CHROMIUM === undefined
    ? `${NAMES.join(', ')} are not in PATH, and CHROMIUM_PATH is not set (Debian: apt-get install chromium)`
    : undefined;

/** Declares tests that need Chromium; without it, a line says that they did not run, and why. */
export const describeInBrowser = (title: string, tests: (this: Suite) => void): void =>
  describeWith(title, 'Chromium', REASON, tests);

/** Declares tests that need a browser. @param reason Why they cannot run. */
export function describeWith(
  title: string,
  browser: string,
  reason: string | undefined,
  tests: (this: Suite) => void,
): void {
  describe(title, function () {
    this.timeout(120_000);
    if (reason === undefined) return tests.call(this);
    it(`${title} runs in ${browser}`, function () {
      console.log(`    not run in ${browser}: ${reason}`);
      this.skip();
    });
  });
}

/** Opens a page for the tests that all browsers share. */
export async function openTab(browser: Browser, url: string): Promise<Tab> {
  const page = await browser.newPage();
  const complaints: string[] = [];
  const requests: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('request', (request) => requests.push(request.url()));
  await page.goto(url);
  return {
    evaluate: (expression) => page.evaluate(expression),
    complaints,
    requests,
    click: (selector) => page.click(selector),
    press: (key) => page.keyboard.press(key),
    choose: (selector, ...paths) => page.setInputFiles(selector, paths),
    drop: async (selector, ...paths) => page.evaluate(await dropExpression(selector, paths)),
    resize: (width, height) => page.setViewportSize({ width, height }),
  };
}

/** Flags for a GPU in software, so that WebGPU can be tried without a GPU. */
const SOFTWARE_GPU = [
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-features=Vulkan',
];

/** Starts a browser with a new profile; it sends no data anywhere. */
export function launch({ gpu }: { gpu: boolean }): Promise<Browser> {
  const isRoot = process.getuid?.() === 0;
  return chromium.launch({
    executablePath: CHROMIUM!,
    args: [
      ...(isRoot ? ['--no-sandbox'] : []),
      ...(gpu ? SOFTWARE_GPU : ['--disable-gpu']),
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}
