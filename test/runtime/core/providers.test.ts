import { expect } from 'chai';
import { describe, it } from 'mocha';
import { SessionError } from '../../../lib/errors.js';
import { PROVIDERS, requireProvider, requireProviders } from '../../../lib/runtime/core/contract.js';

const refuses = (names: unknown, message: string) =>
  expect(() => requireProviders(names as string[]))
    .to.throw(SessionError, message)
    .with.property('code', 'UNKNOWN_PROVIDER');

describe('runtime/providers', () => {
  it('takes every known name, and a list of them in its order, each once', () => {
    for (const name of PROVIDERS) expect(requireProvider(name)).to.equal(name);
    expect(requireProviders(['cuda', 'cpu', 'cuda'])).to.deep.equal(['cuda', 'cpu']);
  });

  it('refuses any other with the list of those that are known, and the nearest', () => {
    refuses(
      ['cpu', 'wasn'],
      "unknown execution provider 'wasn': did you mean 'wasm'?; known: native, cpu, cuda",
    );
    refuses([null], "unknown execution provider 'null'; known:");
  });

  it('refuses what is not a list, and an empty one', () => {
    refuses('cpu', "providers must be a list, such as ['cpu'], not cpu");
    refuses([], 'providers is empty');
  });
});
