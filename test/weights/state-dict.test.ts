import { expect } from 'chai';
import { describe, it } from 'mocha';
import { WeightsError } from '../../lib/errors.js';
import { GraphBuilder } from '../../lib/graph/builder.js';
import * as op from '../../lib/graph/ops/index.js';
import type { Graph } from '../../lib/graph/types.js';
import { type FloatDType, tensor, type TensorData } from '../../lib/tensor.js';
import { type MatchOptions, matchStateDict } from '../../lib/weights/state-dict.js';

function graph(names: string[], dtype: FloatDType = 'float32'): Graph {
  const g = new GraphBuilder('net');
  for (const name of names) g.parameter(name, { dtype, shape: [2] });
  g.output('y', op.relu(g, g.input('x', dtype, [2])));
  return g.build();
}

const two = (): TensorData => tensor('float32', [2], Float32Array.of(1, 2));
const stateDict = (...names: string[]) => new Map(names.map((name) => [name, two()]));
const GRAPH = graph(['enc1.weight', 'enc1.bias']);

function refusal(given: Map<string, TensorData>, options?: MatchOptions): string {
  try {
    matchStateDict(GRAPH, given, options);
  } catch (error) {
    expect(error).to.be.instanceOf(WeightsError).with.property('code', 'STATE_DICT_MISMATCH');
    return (error as Error).message;
  }
  throw new Error('nothing was thrown');
}

describe('matching a state_dict', () => {
  it('matchStateDict gives each parameter its tensor, in the order of the graph', () => {
    const weights = matchStateDict(GRAPH, stateDict('enc1.bias', 'enc1.weight'));
    expect([...weights.keys()]).to.deep.equal(['enc1.weight', 'enc1.bias']);
  });

  it('matchStateDict lists missing, unexpected and wrong-shaped keys at once, and suggests the nearest names', () => {
    const message = refusal(
      new Map([
        ['enc1.wieght', two()],
        ['enc1.bias', tensor('float32', [3], new Float32Array(3))],
      ]),
    );
    expect(message).to.include("missing 'enc1.weight' (did you mean 'enc1.wieght'?)");
    expect(message).to.include("unexpected 'enc1.wieght' (did you mean 'enc1.weight'?)");
    expect(message).to.include("'enc1.bias' has shape [3] but must be [2]");
  });

  it('matchStateDict lists the first five keys of a kind, and how many more there are', () => {
    const six = graph(['a', 'b', 'c', 'd', 'e', 'f'].map((name) => `${name}.weight`));
    const other = stateDict(...Array.from({ length: 7 }, (_, i) => `layer${i}.running`));
    expect(() => matchStateDict(six, other))
      .to.throw(WeightsError)
      .with.property('message')
      .that.equals(
        [
          "the state_dict does not fit graph 'net':",
          ...['a', 'b', 'c', 'd', 'e'].map((name) => `  missing '${name}.weight'`),
          '  and 1 more missing',
          ...[0, 1, 2, 3, 4].map((i) => `  unexpected 'layer${i}.running'`),
          '  and 2 more unexpected',
        ].join('\n'),
      );
  });

  it('matchStateDict does not suggest a key that belongs to another parameter', () => {
    const given = stateDict('enc1.weight');
    expect(refusal(given)).to.match(/missing 'enc1\.bias'$/);
    const near = graph(['conv1.weight', 'conv2.weight']);
    const swapped = stateDict('conv1.weigth', 'conv2.weight');
    expect(() => matchStateDict(near, swapped)).to.throw(
      "missing 'conv1.weight' (did you mean 'conv1.weigth'?)",
    );
  });

  for (const prefix of ['module.', 'model.', '_orig_mod.', 'state_dict.', 'module._orig_mod.model.']) {
    it(`matchStateDict takes the prefix '${prefix}' off if every key has it`, () => {
      const weights = matchStateDict(GRAPH, stateDict(`${prefix}enc1.weight`, `${prefix}enc1.bias`));
      expect([...weights.keys()]).to.deep.equal(['enc1.weight', 'enc1.bias']);
    });
  }

  it('matchStateDict keeps a prefix that the graph itself has, and a prefix that only some keys have', () => {
    const own = graph(['model.weight']);
    expect([...matchStateDict(own, stateDict('model.weight')).keys()]).to.deep.equal(['model.weight']);
    expect(refusal(stateDict('module.enc1.weight', 'enc1.bias'))).to.include(
      "unexpected 'module.enc1.weight'",
    );
  });

  it('matchStateDict takes only the keys under the given prefix, with or without its dot', () => {
    const given = stateDict('net.a.enc1.weight', 'net.a.enc1.bias', 'net.ab.enc1.bias', 'loss');
    for (const prefix of ['net.a', 'net.a.']) {
      expect([...matchStateDict(GRAPH, given, { prefix }).keys()]).to.deep.equal([
        'enc1.weight',
        'enc1.bias',
      ]);
    }
  });

  it('matchStateDict says what does not fit under the prefix, and which prefixes exist', () => {
    const given = stateDict('net.enc1.weight', 'net.enc1.wait', 'loss', 'head.bias');
    const under = refusal(given, { prefix: 'net' });
    expect(under)
      .to.match(/^the part of the state_dict under 'net' does not fit graph 'net':/)
      .and.include("missing 'enc1.bias'")
      .and.include("unexpected 'enc1.wait' (did you mean 'enc1.weight'?)")
      .and.not.include('loss');
    expect(refusal(given, { prefix: 'nets' })).to.equal(
      "the state_dict has no keys under 'nets'; it has: 'net.enc1', 'head'",
    );
    expect(refusal(stateDict('loss'), { prefix: 'net' })).to.match(/it has: keys without prefixes$/);
    expect(() => matchStateDict(GRAPH, given, { prefiks: 'net' } as object)).to.throw(
      "did you mean 'prefix'?",
    );
  });

  it('matchStateDict says under which other prefix all keys are', () => {
    const nested = stateDict('net.encoder.enc1.weight', 'net.encoder.enc1.bias', 'head.weight');
    expect(refusal(nested)).to.equal(
      "the state_dict has the keys of graph 'net' under 'net.encoder': " + "give the prefix 'net.encoder'",
    );
    expect([...matchStateDict(GRAPH, nested, { prefix: 'net.encoder' }).keys()]).to.deep.equal([
      'enc1.weight',
      'enc1.bias',
    ]);
    expect(refusal(stateDict('a.enc1.weight', 'b.enc1.bias'))).to.include("missing 'enc1.weight'");
    const other = new Map([...nested, ['net.encoder.enc1.bias', tensor('float32', [1], Float32Array.of(1))]]);
    expect(refusal(other), 'of another shape').to.include("missing 'enc1.weight'");
  });

  it('matchStateDict takes an empty prefix for no prefix', () => {
    expect(matchStateDict(GRAPH, stateDict('enc1.weight', 'enc1.bias'), { prefix: '' }).size).to.equal(2);
  });

  it('matchStateDict converts floats to the dtype of the graph, rounding to nearest even', () => {
    const half = graph(['w'], 'float16');
    // 1 + 2^-11 lies halfway between two float16 numbers, of which 1 is even; so does 1 + 3·2^-11, below 1 + 2^-9.
    const given = new Map([['w', tensor('float32', [2], Float32Array.of(1 + 2 ** -11, 1 + 3 * 2 ** -11))]]);
    expect([...matchStateDict(half, given).get('w')!.data]).to.deep.equal([0x3c00, 0x3c02]);
  });

  it('matchStateDict gives a parameter of integers or bool its tensor of the same dtype unchanged', () => {
    const g = new GraphBuilder('net');
    g.parameter('idx', { dtype: 'int64', shape: [2] });
    g.parameter('mask', { dtype: 'bool', shape: [2] });
    g.output('y', op.relu(g, g.input('x', 'float32', [2])));
    const idx = tensor('int64', [2], BigInt64Array.of(2n ** 60n, -1n));
    const mask = tensor('bool', [2], Uint8Array.of(1, 0));
    const weights = matchStateDict(g.build(), new Map([...Object.entries({ idx, mask })]));
    expect([...weights]).to.deep.equal([
      ['idx', idx],
      ['mask', mask],
    ]);
    const wrong = new Map([
      ...Object.entries({ idx: two(), mask: tensor('uint8', [2], Uint8Array.of(1, 0)) }),
    ]);
    expect(() => matchStateDict(g.build(), wrong)).to.throw(
      WeightsError,
      /'idx' is float32 but must be int64\n +'mask' is uint8 but must be bool$/,
    );
  });

  it('matchStateDict refuses integers for floats', () => {
    const given = new Map([
      ...stateDict('enc1.bias'),
      ['enc1.weight', tensor('int64', [2], BigInt64Array.of(1n, 2n))],
    ]);
    expect(refusal(given)).to.include("'enc1.weight' is int64 but must be a float");
  });
});
