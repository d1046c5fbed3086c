import { expect } from 'chai';
import { describe, it } from 'mocha';
import { WeightsError } from '../../lib/errors.js';
import { GraphBuilder, op, type Graph } from '../../lib/graph/index.js';
import { tensor, type FloatDType, type TensorData } from '../../lib/tensor.js';
import { matchStateDict } from '../../lib/weights/state-dict.js';

function graph(names: string[], dtype: FloatDType = 'float32'): Graph {
  const g = new GraphBuilder('net');
  for (const name of names) g.parameter(name, { dtype, shape: [2] });
  g.output('y', op.relu(g, g.input('x', dtype, [2])));
  return g.build();
}

const two = (): TensorData => tensor('float32', [2], Float32Array.of(1, 2));
const stateDict = (...names: string[]) => new Map(names.map((name) => [name, two()]));
const GRAPH = graph(['enc1.weight', 'enc1.bias']);

function refusal(given: Map<string, TensorData>): string {
  try {
    matchStateDict(GRAPH, given);
  } catch (error) {
    expect(error).to.be.instanceOf(WeightsError).with.property('code', 'STATE_DICT_MISMATCH');
    return (error as Error).message;
  }
  throw new Error('nothing was thrown');
}

describe('matching a state_dict', () => {
  it('gives each parameter its tensor, in the order of the graph', () => {
    const weights = matchStateDict(GRAPH, stateDict('enc1.bias', 'enc1.weight'));
    expect([...weights.keys()]).to.deep.equal(['enc1.weight', 'enc1.bias']);
  });

  it('lists every missing, unexpected and wrong-shaped key at once, and suggests the nearest name', () => {
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

  for (const prefix of ['module.', 'model.', 'state_dict.', 'module.model.']) {
    it(`takes the prefix '${prefix}' off when every key has it`, () => {
      const weights = matchStateDict(GRAPH, stateDict(`${prefix}enc1.weight`, `${prefix}enc1.bias`));
      expect([...weights.keys()]).to.deep.equal(['enc1.weight', 'enc1.bias']);
    });
  }

  it('keeps a prefix that the graph itself has, and one that only some keys have', () => {
    const own = graph(['model.weight']);
    expect([...matchStateDict(own, stateDict('model.weight')).keys()]).to.deep.equal(['model.weight']);
    expect(refusal(stateDict('module.enc1.weight', 'enc1.bias'))).to.include(
      "unexpected 'module.enc1.weight'",
    );
  });

  it('converts floats to the dtype of the graph, rounding to nearest even', () => {
    const half = graph(['w'], 'float16');
    // 1 + 2^-11 lies halfway between two float16 numbers, of which 1 is even; so does 1 + 3·2^-11, below 1 + 2^-9.
    const given = new Map([['w', tensor('float32', [2], Float32Array.of(1 + 2 ** -11, 1 + 3 * 2 ** -11))]]);
    expect([...matchStateDict(half, given).get('w')!.data]).to.deep.equal([0x3c00, 0x3c02]);
  });

  it('refuses integers', () => {
    const given = new Map([
      ...stateDict('enc1.bias'),
      ['enc1.weight', tensor('int64', [2], BigInt64Array.of(1n, 2n))],
    ]);
    expect(refusal(given)).to.include("'enc1.weight' is int64 but must be a float");
  });
});
