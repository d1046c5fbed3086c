import { expect } from 'chai';
import { describe, it } from 'mocha';
import { OptionError } from '../../lib/errors.js';
import { defaultTolerance, requireTolerance, toleranceFor } from '../../lib/parity/compare.js';

describe('the tolerance of an output', () => {
  // The table in the documentation of torch.testing.assert_close.
  it("defaultTolerance has torch.testing.assert_close's defaults", () => {
    expect(defaultTolerance('float16')).to.deep.equal({ rtol: 1e-3, atol: 1e-5 });
    expect(defaultTolerance('bfloat16')).to.deep.equal({ rtol: 1.6e-2, atol: 1e-5 });
    expect(defaultTolerance('float32')).to.deep.equal({ rtol: 1.3e-6, atol: 1e-5 });
    expect(defaultTolerance('float64')).to.deep.equal({ rtol: 1e-7, atol: 1e-7 });
  });

  it('integers and booleans must be equal by default', () => {
    for (const dtype of ['int8', 'uint64', 'bool'] as const) {
      expect(defaultTolerance(dtype)).to.deep.equal({ rtol: 0, atol: 0 });
    }
  });

  it('a given rtol or atol replaces the default for floats; the other stays', () => {
    expect(toleranceFor('float32', { rtol: 0.5 })).to.deep.equal({ rtol: 0.5, atol: 1e-5 });
    expect(toleranceFor('float16', { rtol: undefined, atol: 0 })).to.deep.equal({ rtol: 1e-3, atol: 0 });
    for (const dtype of ['int64', 'uint8', 'bool'] as const) {
      expect(toleranceFor(dtype, { rtol: 1, atol: 1 })).to.deep.equal({ rtol: 0, atol: 0 });
    }
  });

  it('rtol and atol must be finite and at least 0: with NaN every output would pass', () => {
    requireTolerance({ rtol: 0, atol: 1 });
    for (const wrong of [NaN, -1, Infinity, undefined, '1']) {
      for (const name of ['rtol', 'atol']) {
        expect(() => requireTolerance({ rtol: 0, atol: 0, [name]: wrong }))
          .to.throw(OptionError, `the tolerance's ${name} must be a finite number of at least 0`)
          .with.property('code', 'INVALID_OPTION');
      }
    }
  });
});
