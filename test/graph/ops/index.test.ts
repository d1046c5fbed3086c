import { expect } from 'chai';
import { describe, it } from 'mocha';
import * as op from '../../../lib/graph/ops/index.js';
import { TABLE_OPERATORS } from '../support.js';

describe('the namespace op', () => {
  it('the namespace op has exactly the operators of the table of expected shapes', () => {
    expect(Object.keys(op)).to.have.members([...TABLE_OPERATORS]);
  });
});
