import { expect } from 'chai';
import { describe, it } from 'mocha';
import { getGraph } from '../../graphs/registry.js';
import { GraphError } from '../../lib/errors.js';

const groupNorm = getGraph('group-norm');
const OPTIONS = { numGroups: 2, numChannels: 6 };

describe('the group-norm graph', () => {
  it("group-norm has nn.GroupNorm's state_dict keys, input x and output y", () => {
    const graph = groupNorm.build(OPTIONS);
    expect(graph.parameters.map(({ name, shape }) => [name, shape])).to.deep.equal([
      ['weight', [6]],
      ['bias', [6]],
    ]);
    expect(graph.inputs.map(({ name, shape }) => [name, shape])).to.deep.equal([['x', ['N', 6, 'H', 'W']]]);
    expect(graph.outputs.map(({ name, shape }) => [name, shape])).to.deep.equal([['y', ['N', 6, 'H', 'W']]]);
    expect(graph.nodes.map(({ opType }) => opType)).to.deep.equal(['GroupNormalization']);
  });

  it('group-norm has no parameters without affine', () => {
    expect(groupNorm.build({ ...OPTIONS, affine: false }).parameters).to.deep.equal([]);
  });

  it('group-norm takes any shape of rank 2 or more with the right channels, in any float dtype', () => {
    for (const shape of [
      ['N', 6],
      [1, 6, 5],
      ['N', 6, 2, 'H', 'W', 1],
    ]) {
      const graph = groupNorm.build(OPTIONS, { shape, dtype: 'float64' });
      expect(graph.outputs[0]).to.deep.include({ shape, dtype: 'float64' });
    }
  });

  it("group-norm refuses channels that are not the module's, and a rank below 2", () => {
    expect(() => groupNorm.build(OPTIONS, { shape: ['N', 4, 8] })).to.throw(GraphError, 'numChannels is 6');
    expect(() => groupNorm.build(OPTIONS, { shape: [6] })).to.throw(GraphError, 'rank 1');
  });

  it('group-norm refuses groups that do not divide the channels, and names numbers that do', () => {
    expect(() => groupNorm.build({ numGroups: 4, numChannels: 6 })).to.throw(
      GraphError,
      'numChannels 6 is not divisible by numGroups 4; allowed: 1, 2, 3, 6',
    );
  });
});

describe('the registry', () => {
  it('getGraph suggests the nearest name for group_norm', () => {
    expect(() => getGraph('groupnorm')).to.throw(GraphError, "did you mean 'group-norm'?");
  });
});
