import { expect } from 'chai';
import { describe, it } from 'mocha';
import { getGraph } from '../../graphs/registry.js';
import { randomTensor } from '../support/group-norm.js';
import { refusal, runGraph, shapesOf } from './support.js';

const unet = getGraph('unet');

describe('unet', () => {
  it('unet gives a score for each class and pixel, for images of any size and batch', () => {
    const graph = unet.build({ numClasses: 5, inChannels: 1 });
    expect(shapesOf(graph.inputs)).to.deep.equal({ x: ['N', 1, 'H', 'W'] });
    expect(shapesOf(graph.outputs)).to.deep.equal({ y: ['N', 5, 'H', 'W'] });
  });

  it('unet scales every level by its width', () => {
    const channels = (width: number) =>
      unet
        .build({ width, numGroups: 4 })
        .nodes.filter(({ opType }) => opType === 'GroupNormalization')
        .map(({ outputs }) => outputs[0]!.shape[1] as number);
    const levels = [1, 2, 4, 8, 16, 8, 4, 2, 1].flatMap((factor) => [factor, factor]);
    expect(channels(64)).to.deep.equal(levels.map((factor) => 64 * factor));
    expect(channels(12)).to.deep.equal(levels.map((factor) => 12 * factor));
  });

  it('unet runs at opset 13, on sizes unknown when it was built', async () => {
    const graph = unet.build({ width: 8 });
    for (const [height, width] of [
      [16, 48],
      [32, 16],
    ]) {
      const { y } = await runGraph(graph, randomTensor('float32', [2, 3, height!, width!]), 13);
      expect(y!.dims).to.deep.equal([2, 2, height, width]);
    }
  });

  for (const [height, width, dimension, advice] of [
    [20, 32, 'H 20', '16 or 32'],
    [32, 40, 'W 40', '32 or 48'],
    [8, 16, 'H 8', '16'],
  ] as const) {
    it(`unet refuses ${height}×${width}, which does not meet its skip connections, and names a size that fits`, () => {
      const error = refusal('unet', {}, ['N', 3, height, width]);
      expect(error.code).to.equal('INVALID_SHAPE');
      expect(error.message)
        .to.include(`has ${dimension}`)
        .and.include('skip connections')
        .and.match(new RegExp(`a multiple of 16, such as ${advice}$`));
    });
  }

  it('unet refuses groups that do not divide its width, and names numbers that do', () => {
    const error = refusal('unet', { width: 12 });
    expect(error.code).to.equal('NUM_GROUPS_MISMATCH');
    expect(error.message).to.include('width 12 is not divisible by numGroups 8').and.include('such as 2');
  });
});
