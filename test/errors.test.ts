import { expect } from 'chai';
import { describe, it } from 'mocha';
import * as errors from '../lib/errors.js';

const { OnnxGroupNormError, ...classes } = errors;

describe('errors', () => {
  for (const [name, ErrorClass] of Object.entries(classes)) {
    it(`${name} has its name, its code, its message and its cause`, () => {
      const cause = new Error('the reason');
      const error = new (ErrorClass as typeof errors.FileError)('NPY_INVALID', 'what went wrong', { cause });
      expect(error).to.be.instanceOf(OnnxGroupNormError).and.instanceOf(Error);
      expect({ ...error, name: error.name, message: error.message, cause: error.cause }).to.deep.equal({
        name,
        code: 'NPY_INVALID',
        message: 'what went wrong',
        cause,
      });
      expect(String(error)).to.equal(`${name}: what went wrong`);
      expect(error.stack).to.match(/errors\.test/);
    });
  }

  it("an error without a cause and without advice has no property 'cause' and no property 'option'", () => {
    expect(new errors.GraphError('INVALID_NAME', 'x')).to.not.have.any.keys('cause', 'option');
  });

  it('an error has the option that its message advises, or else the option of its cause', () => {
    const cause = new errors.ModelError('LIMIT_EXCEEDED', 'x', { option: 'limits.modelRank' });
    expect(cause.option).to.equal('limits.modelRank');
    expect(new errors.SessionError('MODEL_REJECTED', 'y', { cause }).option).to.equal('limits.modelRank');
    const details = { cause, option: 'groupNorm' } as const;
    expect(new errors.SessionError('MODEL_REJECTED', 'y', details).option).to.equal('groupNorm');
  });
});
