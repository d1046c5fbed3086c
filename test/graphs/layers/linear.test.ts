import { expect } from 'chai';
import { describe, it } from 'mocha';
import { linear } from '../../../graphs/layers/linear.js';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import type { Shape } from '../../../lib/tensor.js';
import { expectGraphError } from '../../graph/support.js';
import { shapesOf } from '../support.js';

/** The graph of one linear layer of 5 features on an input of `shape`. */
function layerOn(shape: Shape, bias = true) {
  const g = new GraphBuilder('test');
  g.output('y', linear(g.scope('fc'), g.input('x', 'float32', shape), { outFeatures: 5, bias }));
  return g.build();
}

const operators = (shape: Shape, bias = true): string[] =>
  layerOn(shape, bias).nodes.map(({ opType }) => opType);

describe('linear', () => {
  it("layer linear has the state_dict keys, shapes and starting range of PyTorch's Linear", () => {
    const { parameters, outputs } = layerOn(['N', 16]);
    expect(shapesOf(parameters)).to.deep.equal({ 'fc.weight': [5, 16], 'fc.bias': [5] });
    expect(parameters.map(({ init }) => init)).to.deep.equal([{ uniform: 1 / 4 }, { uniform: 1 / 4 }]);
    expect(outputs[0]!.shape).to.deep.equal(['N', 5]);
    expect(shapesOf(layerOn(['N', 16], false).parameters)).to.deep.equal({ 'fc.weight': [5, 16] });
  });

  it('layer linear is one Gemm on a matrix, and a MatMul on any other rank', () => {
    expect(operators(['N', 16])).to.deep.equal(['Gemm']);
    expect(operators(['N', 16], false)).to.deep.equal(['Gemm']);
    expect(operators(['N', 'S', 16])).to.deep.equal(['Transpose', 'MatMul', 'Add']);
    expect(operators(['N', 'S', 16], false)).to.deep.equal(['Transpose', 'MatMul']);
    expect(layerOn(['N', 'S', 16]).outputs[0]!.shape).to.deep.equal(['N', 'S', 5]);
  });

  it('layer linear refuses a vector and a value whose last dimension is a name', () => {
    expectGraphError(() => layerOn([16]), 'RANK_TOO_LOW');
    expectGraphError(() => layerOn(['N', 'C']), 'INVALID_SHAPE', 'the last dimension must be a number');
  });
});
