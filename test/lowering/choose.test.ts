import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphError } from '../../lib/errors.js';
import {
  defaultLowering,
  getLowering,
  getSessionLowering,
  loweringsAt,
  requireOpset,
} from '../../lib/lowering/choose.js';

const codeOf = (action: () => unknown): string => {
  try {
    action();
  } catch (error) {
    expect(error).to.be.instanceOf(GraphError);
    return (error as GraphError).code;
  }
  return 'none';
};

describe('choosing a lowering', () => {
  it('defaultLowering is the standard operator from opset 21 on, and reduce-mean below', () => {
    expect([13, 17, 18, 20].map(defaultLowering)).to.deep.equal(Array(4).fill('reduce-mean'));
    expect([21, 22, 25].map(defaultLowering)).to.deep.equal(Array(3).fill('op'));
  });

  it('loweringsAt lists for each opset the lowerings that its operators allow', () => {
    expect(loweringsAt(13)).to.deep.equal(['reduce-mean', 'instance-norm']);
    expect(loweringsAt(17)).to.deep.equal(['reduce-mean', 'instance-norm', 'layer-norm']);
    expect(loweringsAt(18)).to.deep.equal(['op', 'reduce-mean', 'instance-norm', 'layer-norm']);
  });

  it('getLowering says which opset a lowering needs, and which lowerings the opset has', () => {
    expect(codeOf(() => getLowering('layer-norm', 16))).to.equal('LOWERING_UNAVAILABLE');
    expect(() => getLowering('op', 17)).to.throw(
      "lowering 'op' needs opset 18 or later, not 17; at opset 17: reduce-mean, instance-norm, layer-norm",
    );
  });

  it('getLowering suggests the nearest name', () => {
    expect(codeOf(() => getLowering('layernorm', 21))).to.equal('UNKNOWN_LOWERING');
    expect(() => getLowering('layernorm', 21)).to.throw("did you mean 'layer-norm'?");
  });

  it('getLowering takes no name from the prototype of objects', () => {
    expect(codeOf(() => getLowering('constructor', 21))).to.equal('UNKNOWN_LOWERING');
  });

  it('getSessionLowering finds lowerings for existing models of opset 7 to 28', () => {
    expect([7, 28].map((opset) => getSessionLowering('reduce-mean', opset).name)).to.deep.equal(
      Array(2).fill('reduce-mean'),
    );
    for (const opset of [6, 29])
      expect(codeOf(() => getSessionLowering('reduce-mean', opset))).to.equal('UNSUPPORTED_OPSET');
    expect(() => getSessionLowering('layer-norm', 9)).to.throw(
      "lowering 'layer-norm' needs opset 17 or later, not 9; at opset 9: reduce-mean, instance-norm",
    );
  });

  for (const opset of [12, 26, 0, -1, 17.5, NaN]) {
    it(`requireOpset refuses opset ${opset}`, () => {
      expect(codeOf(() => requireOpset(opset))).to.equal('UNSUPPORTED_OPSET');
    });
  }
});
