import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ParityError } from '../../lib/errors.js';
import { matchTensors, sortFiles, type FileTensor } from '../../lib/parity/test-data-set.js';
import { tensor } from '../../lib/tensor.js';

const refusal = (action: () => unknown, words: string) =>
  expect(action).to.throw(ParityError, words).with.property('code', 'FIXTURE_INVALID');

describe('sortFiles, for the files of a data set', () => {
  it('files of a data set are sorted by number', () => {
    const names = Array.from({ length: 12 }, (_, index) => `input_${index}.pb`);
    const { input, output } = sortFiles('set', [...names].sort().reverse().concat('output_0.pb'));
    expect([input, output]).to.deep.equal([names, ['output_0.pb']]);
  });

  it('files that begin with a dot, which systems leave, are not part of a data set', () => {
    expect(sortFiles('set', ['.DS_Store', 'output_0.pb'])).to.deep.equal({
      input: [],
      output: ['output_0.pb'],
    });
  });

  it('files of a data set must be numbered from 0 without a gap', () => {
    refusal(() => sortFiles('set', ['input_1.pb']), "set is not a test data set: 'input_0.pb' is missing, but there is 'input_1.pb'"); // prettier-ignore
    refusal(
      () => sortFiles('set', ['input_0.pb', 'output_0.pb', 'output_99999999999999999999.pb']),
      "'output_1.pb' is missing",
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
    it(`a data set with another file is refused: ${name}`, () => {
      refusal(
        () => sortFiles('set', ['input_0.pb', 'output_0.pb', name]),
        `it holds '${name}'; allowed: input_0.pb, input_1.pb and so on`,
      );
    });
  }
});

describe('matchTensors, for the tensors of a data set', () => {
  const tensors = (...names: string[]): FileTensor[] =>
    names.map((name, index) => ({
      file: `input_${index}.pb`,
      name,
      tensor: tensor('int32', [], Int32Array.of(index)),
    }));
  /** The index of the file that each name gets. */
  const match = (files: readonly string[], names: readonly string[]) =>
    [...matchTensors('set', tensors(...files), names)].map(([name, { data }]) => [name, Number(data[0])]);

  const cases: [what: string, files: string[], indices: number[]][] = [
    ['tensors without names are assigned in order', ['', '', ''], [0, 1, 2]],
    ['tensors with other names than the model’s are assigned in order', ['x', 'y', 'z'], [0, 1, 2]],
    ['tensors with the model’s names are assigned by name', ['c', 'a', 'b'], [1, 2, 0]],
    ['if one tensor has a name of the model, the others are assigned in order', ['c', '', ''], [1, 2, 0]],
    ['two tensors may have the same name if the model does not have it', ['x', 'x', 'c'], [0, 1, 2]],
  ];
  for (const [what, files, indices] of cases) {
    it(what, () => {
      expect(match(files, ['a', 'b', 'c'])).to.deep.equal([
        ['a', indices[0]],
        ['b', indices[1]],
        ['c', indices[2]],
      ]);
    });
  }

  it('two tensors with one name of the model are refused', () => {
    refusal(() => match(['b', 'b'], ['a', 'b']), "input_0.pb and input_1.pb are both named 'b'");
  });

  it('tensors may have names such as constructor', () => {
    expect(match(['', 'constructor'], ['__proto__', 'constructor'])).to.deep.equal([
      ['__proto__', 0],
      ['constructor', 1],
    ]);
  });
});
