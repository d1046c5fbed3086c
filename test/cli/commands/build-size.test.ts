import { expect } from 'chai';
import { describe, it } from 'mocha';
import { getGraph } from '../../../graphs/registry.js';
import { requireFits } from '../../../lib/cli/commands/build.js';
import { UsageError } from '../../../lib/cli/shared/terminal.js';
import { ModelError } from '../../../lib/errors.js';

const TIB = 2 ** 40;
const unet = (width: number) => getGraph('unet').build({ width });

describe('requireFits', () => {
  it('lets pass what fits a file, and more where it is external data', () => {
    requireFits(unet(64), false, TIB);
    requireFits(unet(272), true, TIB);
  });

  it('refuses more than a file holds before there are weights, with the way out', () => {
    expect(() => requireFits(unet(272), false, TIB)).to.throw(
      ModelError,
      /an ONNX file holds at most .* write its weights as external data \(--external-data\)/,
    );
  });

  it('refuses more than the machine has memory for, however absurd', () => {
    for (const width of [3000, 10_000_000]) {
      expect(() => requireFits(unet(width), true, 24 * 2 ** 30)).to.throw(
        UsageError,
        /choose smaller options/,
      );
    }
    const huge = getGraph('group-norm').build({ numGroups: 1, numChannels: Number.MAX_SAFE_INTEGER });
    expect(() => requireFits(huge, true, TIB)).to.throw(UsageError);
  });
});
