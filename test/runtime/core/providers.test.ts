import { expect } from 'chai';
import { describe, it } from 'mocha';
import { SessionError } from '../../../lib/errors.js';
import { PROVIDERS } from '../../../lib/runtime/core/contract.js';
import { requireProvider, requireProviders } from '../../../lib/runtime/core/providers.js';

const refuses = (names: unknown, message: string) =>
  expect(() => requireProviders(names as string[]))
    .to.throw(SessionError, message)
    .with.property('code', 'UNKNOWN_PROVIDER');

describe('runtime/core/providers', () => {
  it('requireProviders returns known names in their order, each once', () => {
    for (const name of PROVIDERS) expect(requireProvider(name)).to.equal(name);
    expect(requireProviders(['cuda', 'cpu', 'cuda'])).to.deep.equal(['cuda', 'cpu']);
  });

  it('requireProviders refuses an unknown name with the nearest and the known names', () => {
    refuses(
      ['cpu', 'wasn'],
      "unknown execution provider 'wasn': did you mean 'wasm'?; known: native, cpu, cuda",
    );
    refuses([null], "unknown execution provider 'null'; known:");
  });

  it('requireProviders refuses a value that is not a list, and an empty list', () => {
    refuses('cpu', "providers must be a list, such as ['cpu'], not cpu");
    refuses([], 'providers is empty');
  });
});
