import { expect } from 'chai';
import { describe, it } from 'mocha';
import * as op from '../../../lib/graph/ops/index.js';
import { TABLE_OPERATORS } from '../support.js';

describe('the namespace op', () => {
  it('has the operators that the table of shapes has, and no others', () => {
    expect(Object.keys(op)).to.have.members([...TABLE_OPERATORS]);
  });
});
