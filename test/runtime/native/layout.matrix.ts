/** More of the random networks of layout.test.ts: with odd sizes, and with names and numbers for them. */
import { it } from 'mocha';
import { expectSameInBothLayouts } from '../../support/layouts.js';
import { describeNative } from '../../support/native.js';
import { randomNetwork, uniformTensor } from '../../support/random-network.js';

describeNative('createSession in both layouts', function () {
  this.timeout(60_000);
  for (let seed = 100; seed < 220; seed++) {
    it(`createSession computes the same in both layouts: random network ${seed}`, () =>
      expectSameInBothLayouts(randomNetwork(seed, seed % 2 === 0), {
        x: uniformTensor('x', [2, 3, 9, 11]),
        z: uniformTensor('z', [2, 16, 9, 11]),
      }));
  }
});
