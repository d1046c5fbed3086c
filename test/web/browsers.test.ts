/** The page in Firefox; `browsers.matrix.ts` does the same in Chromium, in which `page.test.ts` runs. */
import { after, before } from 'mocha';
import { describeWith } from './chromium.js';
import { Firefox, NO_FIREFOX } from './firefox.js';
import { sharedTests } from './shared-tests.js';

describeWith('every browser: Firefox, which prefers a dark scheme', 'Firefox', NO_FIREFOX, () => {
  let firefox: Firefox;
  before(async () => {
    firefox = await Firefox.launch();
  });
  after(() => firefox?.close());
  sharedTests((url) => firefox.open(url));
});
