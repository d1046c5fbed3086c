import { expect } from 'chai';
import { Command } from 'commander';
import { describe, it } from 'mocha';
import type { GraphDefinition, OptionSpec } from '../../../graphs/definition.js';
import { exampleFlags, graphFlags, graphOptionsOf } from '../../../lib/cli/shared/options.js';
import { GRAPHS } from '../../../lib/index.js';

describe('cli/graph-options', () => {
  const specs: Record<string, OptionSpec> = {
    inChannels: { type: 'integer', description: 'channels' },
    eps: { type: 'number', default: 1e-5, description: 'added' },
    affine: { type: 'boolean', default: true, description: 'learn a weight' },
    deepSupervision: { type: 'boolean', default: false, description: 'more outputs' },
  };
  const definition: GraphDefinition = {
    name: 'test',
    description: 'a test',
    options: specs,
    build: () => {
      throw new Error('not to be built');
    },
  };
  const parse = (...argv: string[]) => {
    const command = new Command();
    for (const flag of graphFlags(definition)) command.addOption(flag);
    return graphOptionsOf(definition, command.parse(argv, { from: 'user' }).opts());
  };

  it('options get their values under their own names, defaults included', () => {
    expect(parse('--in-channels', '3')).to.deep.equal({
      inChannels: 3,
      eps: 1e-5,
      affine: true,
    });
  });

  it('a boolean is switched away from its default', () => {
    expect(parse('--no-affine', '--deep-supervision', '--eps', '1e-3')).to.deep.equal({
      eps: 1e-3,
      affine: false,
      deepSupervision: true,
    });
  });

  it('an option that was not given and has no default is left for the graph to miss', () => {
    expect(parse()).not.to.have.property('inChannels');
  });

  it('the help says what must be given, and the default of the rest', () => {
    const help = graphFlags(definition).map((flag) => `${flag.flags}: ${flag.description}`);
    expect(help).to.deep.equal([
      '--in-channels <integer>: channels (required)',
      '--eps <number>: added',
      '--no-affine: do not learn a weight',
      '--deep-supervision: more outputs',
    ]);
    expect(graphFlags(definition)[1]!.defaultValueDescription).to.equal('1e-5');
  });

  for (const graph of GRAPHS.values()) {
    it(`the example values of ${graph.name} make a graph`, () => {
      const flags = exampleFlags(graph).flatMap((flag) => flag.split(' '));
      const command = new Command();
      for (const flag of graphFlags(graph)) command.addOption(flag);
      const options = graphOptionsOf(graph, command.parse(flags, { from: 'user' }).opts());
      expect(graph.build(options).outputs).not.to.be.empty;
    });
  }
});
