import { expect } from 'chai';
import { describe, it } from 'mocha';
import { getGraph } from '../../graphs/registry.js';
import { refusal, shapesOf } from './support.js';

const doubleConv = getGraph('double-conv');
const OPTIONS = { inChannels: 3, outChannels: 16 };

describe('double-conv', () => {
  it('double-conv takes images of any size and batch, or volumes with dims 3, and keeps their size', () => {
    const images = doubleConv.build(OPTIONS);
    expect(shapesOf(images.inputs)).to.deep.equal({ x: ['N', 3, 'H', 'W'] });
    expect(shapesOf(images.outputs)).to.deep.equal({ y: ['N', 16, 'H', 'W'] });
    const volumes = doubleConv.build({ ...OPTIONS, dims: 3 }, { shape: [2, 3, 4, 7, 9] });
    expect(shapesOf(volumes.outputs)).to.deep.equal({ y: [2, 16, 4, 7, 9] });
  });

  it('double-conv is convolution, norm and activation, twice, with 8 groups by default', () => {
    const { nodes } = doubleConv.build(OPTIONS);
    const half = ['Conv', 'GroupNormalization', 'Relu'];
    expect(nodes.map(({ opType }) => opType)).to.deep.equal([...half, ...half]);
    expect(nodes[1]!.attributes.num_groups!.value).to.equal(8);
  });

  it('double-conv refuses groups that do not divide its channels', () => {
    const error = refusal('double-conv', { inChannels: 3, outChannels: 12 });
    expect(error.code).to.equal('NUM_GROUPS_MISMATCH');
    expect(error.message)
      .to.include('outChannels 12 is not divisible by numGroups 8')
      .and.include('such as 2');
  });

  it('double-conv refuses images if built for volumes, volumes if built for images, and other channels', () => {
    const code = (options: Record<string, unknown>, shape: (number | string)[]) =>
      refusal('double-conv', options, shape).code;
    expect(code({ ...OPTIONS, dims: 3 }, [1, 3, 8, 8])).to.equal('SHAPE_MISMATCH');
    expect(code(OPTIONS, [1, 3, 8, 8, 8])).to.equal('SHAPE_MISMATCH');
    expect(code(OPTIONS, [1, 4, 8, 8])).to.equal('SHAPE_MISMATCH');
    expect(code(OPTIONS, ['N', 'C', 8, 8])).to.equal('SHAPE_MISMATCH');
    expect(refusal('double-conv', { ...OPTIONS, dims: 4 }).code).to.equal('INVALID_ATTRIBUTE');
  });
});
