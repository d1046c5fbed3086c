/** Damaged PNG files in browsers: which show the whole picture, as the table says that decodePng's choices stand on. */
import { expect } from 'chai';
import { after, before, it } from 'mocha';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser } from 'playwright-core';
import { DAMAGED, HEIGHT, SAMPLES, WIDTH } from '../images/damaged-png.js';
import { describeInBrowser, describeWith, launch, openTab } from './chromium.js';
import { Firefox, NO_FIREFOX } from './firefox.js';
import type { Tab } from './tab.js';

const NAMES = Object.keys(DAMAGED);

/** Returns the pixels of the picture at a path, red, green, blue and alpha; null if the browser refuses it. */
const pixelsAt = (path: string): string => `(async () => {
  const image = new Image();
  image.src = ${JSON.stringify(path)};
  try { await image.decode(); } catch { return null; }
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [${WIDTH}, ${HEIGHT}];
  canvas.getContext('2d').drawImage(image, 0, 0);
  return [...canvas.getContext('2d').getImageData(0, 0, ${WIDTH}, ${HEIGHT}).data];
})()`;

const EXPECTED = Array.from({ length: WIDTH * HEIGHT }, (_, pixel) => [
  ...SAMPLES.subarray(3 * pixel, 3 * pixel + 3),
  255,
]).flat();

function sharedTests(browser: 'Chromium' | 'Firefox', open: (url: string) => Promise<Tab>): void {
  let server: Server;
  let tab: Tab;
  before(async () => {
    server = createServer((request, response) => {
      const file = DAMAGED[NAMES[Number(request.url!.slice(1)) - 1] ?? ''];
      response.setHeader('content-type', file ? 'image/png' : 'text/html');
      response.end(file?.bytes ?? '<!doctype html><title>PNG</title>');
    });
    await new Promise<void>((resolve) => server.listen(0, resolve));
    tab = await open(`http://localhost:${(server.address() as AddressInfo).port}/`);
  });
  after(() => server.close());

  for (const [index, name] of NAMES.entries()) {
    const isShown = DAMAGED[name]!.shownBy.includes(browser);
    it(`${browser} ${isShown ? 'shows' : 'does not show the whole of'} a PNG with: ${name}`, async () => {
      const pixels = await tab.evaluate<number[] | null>(pixelsAt(`/${index + 1}`));
      expect(JSON.stringify(pixels) === JSON.stringify(EXPECTED)).to.equal(isShown);
    });
  }
}

describeInBrowser('damaged PNG files', () => {
  let browser: Browser;
  before(async () => (browser = await launch({ gpu: false })));
  after(() => browser?.close());
  sharedTests('Chromium', (url) => openTab(browser, url));
});

describeWith('damaged PNG files', 'Firefox', NO_FIREFOX, () => {
  let firefox: Firefox;
  before(async () => (firefox = await Firefox.launch()));
  after(() => firefox?.close());
  sharedTests('Firefox', (url) => firefox.open(url));
});
