import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ModelError, OptionError } from '../lib/errors.js';
import { GraphBuilder } from '../lib/graph/builder.js';
import * as op from '../lib/graph/ops/index.js';
import { DEFAULT_LIMITS, type Limits, requireLimits } from '../lib/limits.js';
import { encodeModel } from '../lib/onnx/encode.js';
import { convertModel } from '../lib/rewrite/convert.js';
import { createSession } from '../lib/runtime/node.js';

/** A model of 13 parts: a node with two names, two declared values and the name of the graph. */
function model(): Uint8Array {
  const g = new GraphBuilder('sample');
  g.output('y', op.relu(g, g.input('x', 'float32', [1])));
  return encodeModel(g.build(), new Map());
}

const rejection = (promise: Promise<unknown>): Promise<unknown> => promise.catch((error: unknown) => error);

describe('limits', () => {
  it('requireLimits adds the defaults to the limits that the caller names', () => {
    expect(requireLimits('f')).to.deep.equal(DEFAULT_LIMITS);
    expect(requireLimits('f', { modelRank: 3, modelParts: undefined } as object)).to.deep.equal({
      ...DEFAULT_LIMITS,
      modelRank: 3,
    });
    expect(requireLimits('f', { modelRank: Infinity }).modelRank).to.equal(Infinity);
  });

  it('requireLimits refuses unknown limits, and values that are not numbers of at least 0', () => {
    const code = (limits: unknown) => {
      try {
        requireLimits('f', limits as Partial<Limits>);
      } catch (error) {
        expect(error).to.be.instanceOf(OptionError);
        return (error as OptionError).message;
      }
      return undefined;
    };
    expect(code({ modelrank: 3 })).to.include(
      "f: limits has no option 'modelrank': did you mean 'modelRank'?",
    );
    expect(code({ modelRank: '3' })).to.include('f: limits.modelRank must be a number of at least 0');
    expect(code({ modelRank: -1 })).to.include('it is -1');
    expect(code({ modelRank: NaN })).to.include('it is NaN');
    expect(code(null)).to.include('f: limits takes an object of options');
  });

  it('convertModel and createSession refuse a model above a limit, and name the limit', async () => {
    const limits = { modelParts: 0 };
    const errors = [
      await rejection(createSession(model(), { limits })),
      await rejection(Promise.resolve().then(() => convertModel(model(), { limits }))),
    ];
    for (const error of errors) {
      expect(error).to.be.instanceOf(ModelError).with.property('code', 'LIMIT_EXCEEDED');
      expect((error as Error).message)
        .to.include('nodes, tensors and other parts')
        .and.include('limits.modelParts');
    }
    expect(convertModel(model(), { limits: { modelParts: 13 } }).foreign).to.deep.equal([]);
  });

  it('createSession checks the option limits', async () => {
    const error = await rejection(createSession(model(), { limits: { modelParts: 'many' } as never }));
    expect(error).to.be.instanceOf(OptionError).with.property('code', 'INVALID_OPTION');
  });
});
