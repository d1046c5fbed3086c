import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { GraphDefinition } from '../../graphs/shared/definition.js';
import { getGraph } from '../../graphs/registry.js';
import { resnetBlock } from '../../graphs/resnet-block.js';
import { GraphBuilder } from '../../lib/graph/builder.js';
import type { Shape } from '../../lib/tensor.js';
import { refusal, shapesOf } from './support.js';

const block: GraphDefinition = getGraph('resnet-block');
const SAME = { inChannels: 8, outChannels: 8, numGroups: 4 };

const outputShape = (options: Record<string, unknown>, shape?: Shape): Shape =>
  block.build(options, { shape }).outputs[0]!.shape;

const hasShortcut = (options: Record<string, unknown>): boolean =>
  block.build(options).parameters.some(({ name }) => name.startsWith('shortcut.'));

describe('resnet-block', () => {
  it('resnet-block takes images of any size and batch, or volumes with dims 3', () => {
    const images = block.build(SAME);
    expect(shapesOf(images.inputs)).to.deep.equal({ x: ['N', 8, 'H', 'W'] });
    expect(shapesOf(images.outputs)).to.deep.equal({ y: ['N', 8, 'H', 'W'] });
    const volumes = block.build({ ...SAME, dims: 3 });
    expect(shapesOf(volumes.inputs)).to.deep.equal({ x: ['N', 8, 'D', 'H', 'W'] });
    expect(shapesOf(volumes.outputs)).to.deep.equal({ y: ['N', 8, 'D', 'H', 'W'] });
  });

  it('resnet-block has its own shortcut exactly if the stride or the channels need one', () => {
    expect(hasShortcut(SAME)).to.equal(false);
    expect(hasShortcut({ ...SAME, stride: 2 })).to.equal(true);
    expect(hasShortcut({ ...SAME, outChannels: 12 })).to.equal(true);
  });

  for (const [size, stride, result] of [
    [8, 2, 4],
    [9, 2, 5],
    [1, 2, 1],
    [10, 3, 4],
    [7, 1, 7],
  ] as const) {
    it(`resnet-block makes ${result} of size ${size} with stride ${stride}`, () => {
      expect(outputShape({ ...SAME, stride }, [2, 8, size, 5])).to.deep.equal([
        2,
        8,
        result,
        Math.ceil(5 / stride),
      ]);
    });
  }

  it('resnet-block has 32 groups by default', () => {
    const graph = block.build({ inChannels: 64, outChannels: 64 });
    const norms = graph.nodes.filter(({ opType }) => opType === 'GroupNormalization');
    expect(norms.map(({ attributes }) => attributes.num_groups!.value)).to.deep.equal([32, 32]);
  });

  it('resnet-block refuses groups that do not divide its channels, and names numbers that do', () => {
    const error = refusal('resnet-block', { inChannels: 48, outChannels: 48 });
    expect(error.code).to.equal('NUM_GROUPS_MISMATCH');
    expect(error.message).to.equal(
      "graph 'resnet-block': outChannels 48 is not divisible by numGroups 32; give outChannels as a multiple of 32, " +
        'or numGroups as a divisor of 48, such as 16',
    );
  });

  it('resnetBlock is a function of any value in a network, under its own scope', () => {
    const g = new GraphBuilder('test');
    const x = g.input('x', 'float32', [1, 8, 5, 5]);
    g.output('y', resnetBlock(g.scope('layer2.0'), x, { outChannels: 8, numGroups: 2 }));
    const names = Object.keys(shapesOf(g.build().parameters));
    expect(names).to.include('layer2.0.conv1.weight').and.include('layer2.0.gn2.bias');
  });
});
