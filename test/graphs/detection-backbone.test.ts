import { expect } from 'chai';
import { describe, it } from 'mocha';
import { getGraph } from '../../graphs/registry.js';
import { randomTensor } from '../support/group-norm.js';
import { refusal, runGraph, shapesOf } from './support.js';

const backbone = getGraph('detection-backbone');
const SMALL = { width: 8, numGroups: 4, fpnChannels: 12 };

describe('detection-backbone', () => {
  it('detection-backbone gives three levels of features, at strides 8, 16 and 32', () => {
    const { outputs } = backbone.build({}, { shape: ['N', 3, 64, 160] });
    expect(shapesOf(outputs)).to.deep.equal({
      p3: ['N', 256, 8, 20],
      p4: ['N', 256, 4, 10],
      p5: ['N', 256, 2, 5],
    });
  });

  it('detection-backbone convolves all levels with the same weights', () => {
    const { nodes } = backbone.build({});
    const weights = nodes.flatMap(({ opType, inputs }) => (opType === 'Conv' ? [inputs[1]!.name] : []));
    expect(weights.filter((name) => name === 'fpn_conv.weight')).to.have.length(3);
  });

  it('detection-backbone runs at opset 13, on sizes unknown when it was built', async () => {
    const { p3, p4, p5 } = await runGraph(backbone.build(SMALL), randomTensor('float32', [2, 3, 64, 32]), 13);
    expect([p3, p4, p5].map((level) => level!.dims)).to.deep.equal([
      [2, 12, 8, 4],
      [2, 12, 4, 2],
      [2, 12, 2, 1],
    ]);
  });

  it('detection-backbone takes sizes that are not multiples of 32 if rounding up makes the levels fit', async () => {
    const graph = backbone.build(SMALL, { shape: [1, 3, 57, 25] });
    expect(graph.outputs.map(({ shape }) => shape)).to.deep.equal([
      [1, 12, 8, 4],
      [1, 12, 4, 2],
      [1, 12, 2, 1],
    ]);
    const { p3 } = await runGraph(graph, randomTensor('float32', [1, 3, 57, 25]));
    expect(p3!.dims).to.deep.equal([1, 12, 8, 4]);
  });

  for (const [height, width, dimension, advice] of [
    [100, 96, 'H 100', '96 or 128'],
    [64, 40, 'W 40', '32 or 64'],
    // One element at each level, which Add would broadcast rather than refuse.
    [8, 32, 'H 8', '32'],
  ] as const) {
    it(`detection-backbone refuses ${height}×${width}, whose levels do not double, and names a size that fits`, () => {
      const error = refusal('detection-backbone', {}, ['N', 3, height, width]);
      expect(error.code).to.equal('INVALID_SHAPE');
      expect(error.message)
        .to.include(`has ${dimension}`)
        .and.include('top-down path')
        .and.match(new RegExp(`a multiple of 32, such as ${advice}$`));
    });
  }

  it('detection-backbone refuses groups that do not divide its width, and names numbers that do', () => {
    const error = refusal('detection-backbone', { width: 48 });
    expect(error.code).to.equal('NUM_GROUPS_MISMATCH');
    expect(error.message).to.include('width 48 is not divisible by numGroups 32').and.include('such as 16');
  });
});
