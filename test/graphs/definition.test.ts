import { expect } from 'chai';
import { describe, it } from 'mocha';
import { defineGraph } from '../../graphs/definition.js';
import { GraphError, type OnnxGroupNormError, OptionError } from '../../lib/errors.js';
import { GraphBuilder } from '../../lib/graph/builder.js';
import * as op from '../../lib/graph/ops/index.js';

let received: unknown;
const graph = defineGraph({
  name: 'sample',
  description: 'for tests',
  options: {
    width: { type: 'integer', min: 1, description: 'channels' },
    rate: { type: 'number', min: 0, max: 2, default: 0.5, description: 'a rate' },
    bias: { type: 'boolean', default: true, description: 'whether' },
  },
  build(options, { dtype }) {
    received = options;
    const g = new GraphBuilder('sample');
    g.output('y', op.relu(g, g.input('x', dtype, [1])));
    return g.build();
  },
});

function refusal(options: Record<string, unknown>): OnnxGroupNormError {
  try {
    graph.build(options as never);
  } catch (error) {
    expect(error).to.satisfy((it: unknown) => it instanceof GraphError || it instanceof OptionError);
    return error as OnnxGroupNormError;
  }
  throw new Error('nothing was thrown');
}

describe('the options of an architecture', () => {
  it('build fills in the defaults of the options', () => {
    graph.build({ width: 3 });
    expect(received).to.deep.equal({ width: 3, rate: 0.5, bias: true });
    graph.build({ width: 3, rate: 0, bias: false });
    expect(received).to.deep.equal({ width: 3, rate: 0, bias: false });
  });

  it('build refuses an unknown option, and suggests the nearest name', () => {
    expect(refusal({ widht: 3 })).to.have.property('code', 'UNKNOWN_OPTION');
    expect(refusal({ widht: 3 }).message)
      .to.include("did you mean 'width'?")
      .and.include('width, rate, bias');
    expect(refusal({ width: 3, toString: 1 }).code).to.equal('UNKNOWN_OPTION');
  });

  it('build needs no options if all have a default, and refuses options that are not an object', () => {
    const free = defineGraph({
      name: 'free',
      description: '',
      options: {},
      build: () => graph.build({ width: 1 }),
    });
    expect(free.build().name).to.equal('sample');
    expect(() => free.build({ width: 1 as never })).to.throw(
      OptionError,
      "graph 'free' has no option 'width'; it has: none",
    );
    expect(() => free.build(null as never)).to.throw(
      OptionError,
      "graph 'free' takes an object of options, not null",
    );
  });

  it('build checks the options of the input too', () => {
    expect(() => graph.build({ width: 3 }, { dype: 'float16' } as object)).to.throw(
      OptionError,
      "the input of graph 'sample' has no option 'dype': did you mean 'dtype'?",
    );
    expect(() => graph.build({ width: 3 }, null as never)).to.throw(OptionError, 'not null');
  });

  it('build needs every option without a default', () => {
    expect(refusal({}).message).to.include("'width' must be given: channels");
  });

  for (const width of [0, -1, 1.5, NaN, Infinity, '3', true, null, []] as const) {
    it(`build checks type and range of its options: it refuses width ${typeof width} ${String(width)}`, () => {
      expect(refusal({ width }).code).to.equal('INVALID_ATTRIBUTE');
    });
  }

  it('build checks the range of its options, and the message names the range', () => {
    expect(refusal({ width: 1, rate: 2.5 }).message).to.include(
      'is 2.5 but must be a number of at least 0 and at most 2',
    );
    expect(refusal({ width: 0 }).message).to.include('must be an integer of at least 1');
  });

  it('build takes only true or false for a boolean option', () => {
    expect(refusal({ width: 1, bias: 1 }).message).to.include('must be true or false');
  });

  it('build takes a float dtype only', () => {
    expect(() => graph.build({ width: 1 }, { dtype: 'int64' })).to.throw(
      GraphError,
      'int64 is not a float dtype',
    );
  });
});
