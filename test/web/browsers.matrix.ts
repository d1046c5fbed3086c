/** What `browsers.test.ts` does in Firefox, in Chromium. */
import { after, before } from 'mocha';
import type { Browser } from 'playwright-core';
import { describeInBrowser, launch, openTab } from './chromium.js';
import { sharedTests } from './shared-tests.js';

describeInBrowser('every browser: Chromium', () => {
  let browser: Browser;
  before(async () => {
    browser = await launch({ gpu: false });
  });
  after(() => browser?.close());
  sharedTests((url) => openTab(browser, url));
});
