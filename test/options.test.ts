import { expect } from 'chai';
import { describe, it } from 'mocha';
import { OptionError } from '../lib/errors.js';
import { GraphBuilder } from '../lib/graph/builder.js';
import * as op from '../lib/graph/ops/index.js';
import { encodeModel } from '../lib/onnx/encode.js';
import { requireKnownOptions } from '../lib/options.js';
import { createSession } from '../lib/runtime/node.js';

describe('options from JavaScript', () => {
  it('requireKnownOptions refuses a misspelt option, and suggests the nearest name', () => {
    expect(() =>
      requireKnownOptions('createSession', { provider: ['cpu'] }, ['providers', 'groupNorm']),
    ).to.throw(
      OptionError,
      "createSession has no option 'provider': did you mean 'providers'?; it has: providers, groupNorm",
    );
    expect(() => requireKnownOptions('f', { providers: 1 }, ['providers'])).to.not.throw();
  });

  it('encodeModel and createSession check their options', async () => {
    const g = new GraphBuilder('sample');
    g.output('y', op.relu(g, g.input('x', 'float32', [1])));
    const misspelt = { opsett: 17 } as object;
    expect(() => encodeModel(g.build(), new Map(), misspelt)).to.throw(OptionError, "did you mean 'opset'?");
    const session = createSession(encodeModel(g.build(), new Map()), { group_norm: 'op' } as object);
    const error: unknown = await session.catch((caught: unknown) => caught);
    expect(error).to.be.instanceOf(OptionError).with.property('code', 'UNKNOWN_OPTION');
  });
});
