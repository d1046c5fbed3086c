import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ParityError } from '../../lib/errors.js';
import { matchTensors, sortFiles, type FileTensor } from '../../lib/parity/test-data-files.js';
import { tensor } from '../../lib/tensor.js';

const refusal = (action: () => unknown, words: string) =>
  expect(action).to.throw(ParityError, words).with.property('code', 'FIXTURE_INVALID');

describe('the files of a data set', () => {
  it('are in the order of their numbers', () => {
    const names = Array.from({ length: 12 }, (_, index) => `input_${index}.pb`);
    const { input, output } = sortFiles('set', [...names].sort().reverse().concat('output_0.pb'));
    expect([input, output]).to.deep.equal([names, ['output_0.pb']]);
  });

  it('may lie beside files that begin with a dot, which systems leave', () => {
    expect(sortFiles('set', ['.DS_Store', 'output_0.pb'])).to.deep.equal({
      input: [],
      output: ['output_0.pb'],
    });
  });

  it('are numbered from 0 without a gap', () => {
    refusal(() => sortFiles('set', ['input_1.pb']), "set is no test data set: there is no 'input_0.pb', but 'input_1.pb'"); // prettier-ignore
    refusal(
      () => sortFiles('set', ['input_0.pb', 'output_0.pb', 'output_99999999999999999999.pb']),
      "there is no 'output_1.pb'",
    );
  });

  for (const name of [
    'ouput_0.pb',
    'input_00.pb',
    'input_0.npy',
    'input_0.pb.bak',
    'inputs',
    'input_-1.pb',
  ]) {
    it(`are no others: ${name}`, () => {
      refusal(
        () => sortFiles('set', ['input_0.pb', 'output_0.pb', name]),
        `it holds '${name}'; allowed: input_0.pb, input_1.pb and so on`,
      );
    });
  }
});

describe('the tensors of a data set', () => {
  const tensors = (...names: string[]): FileTensor[] =>
    names.map((name, index) => ({
      file: `input_${index}.pb`,
      name,
      tensor: tensor('int32', [], Int32Array.of(index)),
    }));
  /** Which file each of the names gets. */
  const match = (files: readonly string[], names: readonly string[]) =>
    [...matchTensors('set', tensors(...files), names)].map(([name, { data }]) => [name, Number(data[0])]);

  const cases: [what: string, files: string[], indices: number[]][] = [
    ['without names, by their order', ['', '', ''], [0, 1, 2]],
    ['with names of the exporter, by their order', ['x', 'y', 'z'], [0, 1, 2]],
    ['with names of the model, by these', ['c', 'a', 'b'], [1, 2, 0]],
    ['one of them with a name of the model, by that, and the rest by their order', ['c', '', ''], [1, 2, 0]],
    ['with the same name twice that is none of the model, by their order', ['x', 'x', 'c'], [0, 1, 2]],
  ];
  for (const [what, files, indices] of cases) {
    it(`are told ${what}`, () => {
      expect(match(files, ['a', 'b', 'c'])).to.deep.equal([
        ['a', indices[0]],
        ['b', indices[1]],
        ['c', indices[2]],
      ]);
    });
  }

  it('must not bear one name of the model twice', () => {
    refusal(() => match(['b', 'b'], ['a', 'b']), "input_0.pb and input_1.pb are both named 'b'");
  });

  it('may be of names that objects have of themselves', () => {
    expect(match(['', 'constructor'], ['__proto__', 'constructor'])).to.deep.equal([
      ['__proto__', 0],
      ['constructor', 1],
    ]);
  });
});
