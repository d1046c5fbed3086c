/** Every fixture on the page in Chromium; `page.test.ts` has a choice of them. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { after, before, it } from 'mocha';
import type { Browser } from 'playwright-core';
import { buildWeb } from '../../scripts/web/build.js';
import { serve, type WebServer } from '../../scripts/web/server.js';
import type { Manifest } from '../../web/protocol.js';
import { describeInBrowser, launch } from './chromium.js';
import { keepFixtures, Visitor } from './visitor.js';

describeInBrowser('every fixture on the page', () => {
  let folder: string;
  let manifest: Manifest;
  let browser: Browser;
  let server: WebServer;
  before(async () => {
    folder = join(await mkdtemp(join(tmpdir(), 'web-')), 'page');
    await buildWeb(folder);
    manifest = await keepFixtures(folder, 1);
    browser = await launch({ gpu: false });
    server = await serve(folder, { headers: 'all' });
  });
  after(async () => {
    await browser?.close();
    await server?.close();
    await rm(dirname(folder), { recursive: true, force: true });
  });

  it('the page passes every fixture that it carries', async () => {
    expect(manifest.fixtures).to.have.length.above(190);
    const visitor = await Visitor.open(browser, server.url);
    await visitor.page.click('#parity-part summary');
    await visitor.expectFixturesPass(manifest);
    expect(visitor.complaints).to.deep.equal([]);
  });
});
