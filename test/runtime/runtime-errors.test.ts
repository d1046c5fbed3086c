import { expect } from 'chai';
import { describe, it } from 'mocha';
import { SessionError } from '../../lib/errors.js';
import { isProvidersFault, typed } from '../../lib/runtime/runtime-errors.js';
import { rejection } from '../support/temporary.js';

/** As ONNX Runtime's CUDA provider says it. */
const FAILURES: Record<string, [said: string, code: string, wayOut: RegExp, otherProviderMay: boolean]> = {
  "CUDA's memory is used up": [
    'CUDA failure 2: out of memory ; GPU=0 ; hostname=vm ; expr=cudaMalloc((void**)&p, size);',
    'OUT_OF_MEMORY',
    /smaller batches or tiles/,
    true,
  ],
  "the arena's memory is used up": [
    'BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 1073741824',
    'OUT_OF_MEMORY',
    /smaller batches or tiles/,
    true,
  ],
  "CUBLAS's memory is used up": [
    'CUBLAS failure 3: the resource allocation failed ; GPU=0',
    'OUT_OF_MEMORY',
    /smaller batches or tiles/,
    true,
  ],
  'an operator has no kernel': [
    'NOT_IMPLEMENTED : Could not find an implementation for Erf(13) node with name gelu',
    'MODEL_REJECTED',
    /have no kernel for that operator in that dtype: name another provider/,
    true,
  ],
  'cuDNN is missing': ['cuDNN library was not found', 'MODEL_REJECTED', /To do: install cuDNN 9/, true],
  'the device fails': [
    'CUDA failure 700: an illegal memory access was encountered ; GPU=0',
    'MODEL_REJECTED',
    /illegal memory access/,
    true,
  ],
  'the model is wrong': [
    'Type Error: x has an unsupported type',
    'MODEL_REJECTED',
    /unsupported type/,
    false,
  ],
};

describe('runtime/runtime-errors', () => {
  for (const [what, [said, code, wayOut, otherProviderMay]] of Object.entries(FAILURES)) {
    it(`${what}: ${code}`, async () => {
      const error = await rejection(typed('MODEL_REJECTED', 'model', () => Promise.reject(new Error(said))));
      expect(error).to.be.instanceOf(SessionError).with.property('code', code);
      expect((error as SessionError).message)
        .to.match(wayOut)
        .and.include(said);
      expect(((error as SessionError).cause as Error).message).to.equal(said);
      expect(isProvidersFault(error)).to.equal(otherProviderMay);
    });
  }

  it('errors that have their type pass as they are', async () => {
    const own = new SessionError('PROVIDER_UNAVAILABLE', 'not here');
    expect(await rejection(typed('RUN_FAILED', 'run', () => Promise.reject(own)))).to.equal(own);
  });
});
