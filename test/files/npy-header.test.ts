import { expect } from 'chai';
import { describe, it } from 'mocha';
import { FileError } from '../../lib/errors.js';
import { formatNpyHeader, parseNpyHeader } from '../../lib/files/npy.js';

const parse = (text: string) => parseNpyHeader(text, 'x.npy');
const header = (shape: string) => `{'descr': '<f4', 'fortran_order': False, 'shape': ${shape}, }`;

describe('files/npy-header', () => {
  it('parseNpyHeader reads what NumPy writes', () => {
    expect(parse(`${header('(2, 3)')}          \n`)).to.deep.equal({
      descr: '<f4',
      fortranOrder: false,
      shape: [2, 3],
    });
    expect(parse("{'descr': '|b1', 'fortran_order': True, 'shape': (), }")).to.deep.equal({
      descr: '|b1',
      fortranOrder: true,
      shape: [],
    });
    expect(parse(header('(3,)')).shape).to.deep.equal([3]);
  });

  it('parseNpyHeader reads what other writers write: keys in any order, double quotes, Python 2 integers', () => {
    const text = '{"shape":(3L,4),"fortran_order":False,"descr":"<f4"}';
    expect(parse(text)).to.deep.equal({ descr: '<f4', fortranOrder: false, shape: [3, 4] });
  });

  // As numpy.lib.format.write_array_header_1_0 of NumPy 2.4.6 wrote them, before the padding to 64.
  it('formatNpyHeader writes what NumPy writes', () => {
    expect(formatNpyHeader('<f4', [2, 3])).to.equal(`${header('(2, 3)')}${' '.repeat(20)}`);
    expect(formatNpyHeader('<f4', [123456])).to.equal(`${header('(123456,)')}${' '.repeat(15)}`);
    expect(formatNpyHeader('|b1', [])).to.equal("{'descr': '|b1', 'fortran_order': False, 'shape': (), }");
  });

  const refused: [text: string, message: string][] = [
    ['', "its header must be one dict, but begins with '' and ends with ''"],
    ['{}', 'its header has the keys (), not (descr, fortran_order, shape)'],
    [header('3'), 'shape must be a tuple of integers from 0 to 2^53 - 1, such as (3,); it is 3'],
    [header('(3)'), 'shape must be a tuple of integers from 0 to 2^53 - 1, such as (3,); it is (3)'],
    [header('(-1,)'), 'shape must be a tuple of integers from 0 to 2^53 - 1, such as (3,); it is (-1,)'],
    [
      header('(9007199254740992,)'),
      'shape must be a tuple of integers from 0 to 2^53 - 1, such as (3,); it is (9007199254740992,)',
    ],
    [header("'a'"), "such as (3,); it is 'a'"],
    [
      `${header('(1,)')}x`,
      "its header must be one dict, but begins with '{'descr': ' and ends with ': (1,), }x'",
    ],
    [
      `${header('(1,)')}{`,
      "its header must be one dict, but begins with '{'descr': ' and ends with ': (1,), }{'",
    ],
    [
      "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': ()}",
      'structured dtypes) are not supported',
    ],
    ["{'descr': True, 'fortran_order': False, 'shape': ()}", 'descr must be a string'],
    ["{'descr': '<f4', 'fortran_order': '<f4', 'shape': ()}", 'fortran_order must be True or False'],
    ["{'descr': '<f4', 'descr': '<f4', 'shape': ()}", "its header has 'descr' twice"],
    ['{__import__("os"): 1}', "its header has an unexpected '__import__"],
  ];
  for (const [text, message] of refused) {
    it(`parseNpyHeader refuses ${text || 'an empty text'}`, () => {
      expect(() => parse(text)).to.throw(FileError, `x.npy is not a valid .npy file: `);
      expect(() => parse(text)).to.throw(FileError, message);
    });
  }
});
