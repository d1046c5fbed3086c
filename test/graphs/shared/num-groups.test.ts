import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  chooseNumGroups,
  RECOMMENDED_NUM_GROUPS,
  SMALL_NETWORK_NUM_GROUPS,
} from '../../../graphs/shared/num-groups.js';
import { GraphError } from '../../../lib/errors.js';

describe('chooseNumGroups', () => {
  for (const [channels, groups] of [
    // From 32 channels on: 32, halved until it divides.
    [64, 32],
    [32, 32],
    [1024, 32],
    [48, 16],
    [40, 8],
    [100, 4],
    [34, 2],
    [33, 1],
    [127, 1],
    // Below: the first of 16, 8, 4, 2 and 1 that divides and leaves 4 channels per group.
    [31, 1],
    [24, 4],
    [16, 4],
    [12, 2],
    [8, 2],
    [6, 1],
    [4, 1],
    [3, 1],
    [1, 1],
  ] as const) {
    it(`chooseNumGroups returns ${groups} for ${channels} channels`, () => {
      expect(chooseNumGroups(channels)).to.equal(groups);
    });
  }

  it('chooseNumGroups always divides the channels, and below 32 channels leaves each group 4, or all of them', () => {
    for (let channels = 1; channels <= 2048; channels++) {
      const groups = chooseNumGroups(channels);
      expect(channels % groups, `${channels} channels, ${groups} groups`).to.equal(0);
      if (channels < 32) expect(channels / groups).to.be.at.least(Math.min(channels, 4));
    }
  });

  for (const channels of [0, -8, 1.5, NaN, Infinity, '64', null, undefined]) {
    it(`chooseNumGroups refuses ${JSON.stringify(channels) ?? String(channels)} channels`, () => {
      expect(() => chooseNumGroups(channels as number))
        .to.throw(GraphError, 'must be an integer of at least 1')
        .with.property('code', 'INVALID_ATTRIBUTE');
    });
  }
});

describe('recommended numbers of groups', () => {
  it('RECOMMENDED_NUM_GROUPS has the 32 of Wu & He 2018 for detection, segmentation and video', () => {
    expect(RECOMMENDED_NUM_GROUPS).to.deep.equal({ detection: 32, segmentation: 32, video: 32 });
  });

  it('SMALL_NETWORK_NUM_GROUPS leaves a small network’s 64 channels at least 4 a group', () => {
    expect(SMALL_NETWORK_NUM_GROUPS).to.deep.equal({ least: 8, most: 16 });
    expect(64 / SMALL_NETWORK_NUM_GROUPS.most).to.be.at.least(4);
  });
});
