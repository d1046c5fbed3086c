import { expect } from 'chai';
import { describe, it } from 'mocha';
import { defineGraph } from '../../../graphs/shared/definition.js';
import { GraphError, type OnnxGroupNormError, OptionError } from '../../../lib/errors.js';
import { GraphBuilder } from '../../../lib/graph/builder.js';
import * as op from '../../../lib/graph/ops/index.js';

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

const lists = defineGraph({
  name: 'lists',
  description: 'for tests',
  options: {
    act: { type: 'string', choices: ['silu', 'relu'], default: 'silu', description: 'activation' },
    label: { type: 'string', default: 'none', description: 'any text' },
    channels: { type: 'integers', min: 1, default: [4, 8], description: 'channels of each block' },
    skip: { type: 'booleans', default: [false], description: 'whether, of each block' },
    blocks: {
      type: 'strings',
      choices: ['down', 'up'],
      default: ['down'],
      description: 'types of the blocks',
    },
    classes: { type: 'integer', default: null, description: 'classes, if any' },
  },
  build(options, { dtype }) {
    // The types of the values are those of the specifications.
    const typed: {
      act: 'silu' | 'relu';
      label: string;
      channels: readonly number[];
      skip: readonly boolean[];
      blocks: readonly ('down' | 'up')[];
      classes: number | null;
    } = options;
    const built = graph.build({ width: 1 }, { dtype });
    received = typed;
    return built;
  },
});

describe('the options of an architecture', () => {
  it('build takes texts, lists, and options without a value, and fills in their defaults', () => {
    const defaults = { act: 'silu', label: 'none', channels: [4, 8], skip: [false], blocks: ['down'] };
    lists.build();
    expect(received).to.deep.equal({ ...defaults, classes: null });
    lists.build({ act: 'relu', channels: [1], skip: [true, false], blocks: ['up', 'down'], classes: 3 });
    expect(received).to.deep.equal({
      act: 'relu',
      label: 'none',
      channels: [1],
      skip: [true, false],
      blocks: ['up', 'down'],
      classes: 3,
    });
  });

  const wrong: readonly [object, string][] = [
    [{ act: 'mish' }, `'act' is "mish" but must be one of silu, relu`],
    [{ label: 3 }, "'label' is 3 but must be a string"],
    [
      { channels: [4, 0] },
      "'channels' is [4,0] but must be a list of 1 to 64 elements, each an integer of at least 1",
    ],
    [{ channels: [] }, "'channels' is [] but must be a list"],
    [{ channels: Array(65).fill(1) }, 'but must be a list of 1 to 64 elements'],
    [{ channels: 4 }, "'channels' is 4 but must be a list"],
    [{ skip: [1] }, "'skip' is [1] but must be a list of 1 to 64 elements, each true or false"],
    [{ blocks: ['down', 'side'] }, 'each one of down, up'],
    [{ classes: '3' }, `'classes' is "3" but must be an integer`],
  ];
  for (const [options, message] of wrong) {
    it(`build refuses ${JSON.stringify(options).slice(0, 40)}`, () => {
      expect(() => lists.build(options))
        .to.throw(GraphError, message)
        .with.property('code', 'INVALID_ATTRIBUTE');
    });
  }

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
