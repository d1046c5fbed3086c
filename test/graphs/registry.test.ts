import { expect } from 'chai';
import { describe, it } from 'mocha';
import { getGraph, GRAPHS } from '../../graphs/registry.js';
import { GraphError } from '../../lib/errors.js';

describe('graphs/registry', () => {
  it('the registry has the networks of the README under their own names', () => {
    expect([...GRAPHS.keys()]).to.deep.equal([
      'group-norm',
      'resnet-block',
      'double-conv',
      'unet',
      'detection-backbone',
      'norm-comparison',
      'autoencoder-kl',
      'resnet-gn',
      'resnetv2-bit',
      'unet-2d',
      'unet-2d-condition',
    ]);
    for (const [name, definition] of GRAPHS) {
      expect(definition.name).to.equal(name);
      expect(getGraph(name)).to.equal(definition);
    }
  });

  it('getGraph returns a network under the name that its model has, with documented options', () => {
    for (const definition of GRAPHS.values()) {
      const required = Object.entries(definition.options).filter(([, spec]) => spec.default === undefined);
      const options = Object.fromEntries(required.map(([name]) => [name, 32]));
      expect(definition.build(options).name).to.equal(definition.name);
      expect(definition.description).to.match(/inputs? (x|sample) /);
      for (const spec of Object.values(definition.options)) expect(spec.description).to.not.equal('');
    }
  });

  it('the help says what --no-OPTION leaves out: the description of an option that is on by default starts with a verb', () => {
    for (const { options } of GRAPHS.values()) {
      for (const { type, default: value, description } of Object.values(options))
        if (type === 'boolean' && value === true) expect(description).to.not.match(/^whether/);
    }
  });

  it('getGraph suggests the nearest name', () => {
    expect(() => getGraph('u-net'))
      .to.throw(GraphError, "unknown graph 'u-net': did you mean 'unet'?; known: group-norm, ")
      .with.property('code', 'UNKNOWN_GRAPH');
    expect(() => getGraph('constructor')).to.throw(GraphError, "unknown graph 'constructor'; known");
  });
});
