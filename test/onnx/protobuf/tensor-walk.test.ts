import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ModelError } from '../../../lib/errors.js';
import { externalFiles, renameLocations } from '../../../lib/onnx/protobuf/tensor-walk.js';
import { externalTensor, modelsWithTensor } from '../../support/tensor-places.js';
import { all, int, message, text } from '../bytes.js';

type Field = readonly number[];

/** An external tensor in a field, whose location is `value`. */
const tensor = (field: number, value: string) =>
  message(
    field,
    text(8, 'a'),
    message(13, text(1, 'offset'), text(2, 'a')),
    message(13, text(2, value), text(1, 'location')),
    int(14, 1),
  );
const node = (...attribute: Field[]) => message(1, text(1, 'a'), message(5, text(1, 'a'), ...attribute));

/** A model with a location in each place that has tensors. */
const modelWith = (value: string) => {
  const graph = [tensor(5, value), message(15, tensor(1, value)), node(tensor(5, value))];
  return all(
    int(1, 10),
    message(7, text(2, 'a'), ...graph, node(message(6, ...graph)), node(message(11, ...graph))),
    message(8, text(1, 'a'), int(2, 21)),
    message(
      25,
      text(1, 'a'),
      message(7, message(5, text(1, 'a'), tensor(5, value))),
      message(11, tensor(5, value)),
    ),
  );
};

describe('renameLocations', () => {
  it('renameLocations renames files of tensors in graphs, bodies, attributes and functions, and nothing else', () => {
    const renamed = renameLocations(modelWith('a'), new Map([['a', 'sub/longer']]));
    expect([...renamed]).to.deep.equal([...modelWith('sub/longer')]);
  });

  it('renameLocations finds a tensor in every place of a model', () => {
    const [before, after] = ['a', 'longer'].map((location) => modelsWithTensor(externalTensor(location)));
    for (const [place, model] of Object.entries(before!)) {
      const renamed = renameLocations(model, new Map([['a', 'longer']]));
      expect([...renamed], place).to.deep.equal([...after![place]!]);
    }
  });

  it('renameLocations returns the same bytes if no tensor lies in these files', () => {
    const bytes = modelWith('b');
    expect(renameLocations(bytes, new Map([['a', 'c']]))).to.equal(bytes);
  });
});

/** A model with an external initializer that has these fields besides name, dtype, shape and location. */
const initializer = (...more: Field[]) => all(message(7, externalTensor('w', ...more)(5)));
const entry = (key: string, value: string) => message(13, text(1, key), text(2, value));

describe('externalFiles', () => {
  it('externalFiles finds a tensor in every place of a model', () => {
    const models = modelsWithTensor(externalTensor('w', entry('offset', '8')));
    expect(Object.keys(models)).to.have.lengthOf(57);
    for (const [place, model] of Object.entries(models)) {
      const expected = [['w', { size: 24, hasOnlyInitializers: place === 'initializer' }]];
      expect([...externalFiles(model)], place).to.deep.equal(expected);
    }
  });

  it('externalFiles returns how many bytes the file must have for all of its tensors', () => {
    const sizes = (...more: Field[]) => externalFiles(initializer(...more)).get('w')!.size;
    expect(sizes()).to.equal(16);
    expect(sizes(entry('length', '16'))).to.equal(16);
    expect(sizes(entry('length', '0'))).to.equal(16);
    expect(sizes(entry('offset', '4096'), entry('length', '16'))).to.equal(4112);
    // int4 is a dtype that the library does not hold.
    expect(sizes(int(2, 22), entry('length', '2'))).to.equal(2);
    const two = [entry('offset', '100'), entry('offset', '8')].map((one) => externalTensor('w', one)(5));
    expect(externalFiles(all(message(7, ...two))).get('w')!.size).to.equal(116);
  });

  for (const [key, value] of ['offset', 'length'].flatMap((key) =>
    ['-4', '', ' 4', '4 ', '0x10', '1e3', '4.0', '9007199254740992', '18446744073709551600', 'four'].map(
      (value) => [key, value] as const,
    ),
  )) {
    it(`externalFiles refuses the ${key} '${value}'`, () => {
      expect(() => externalFiles(initializer(entry(key, value))))
        .to.throw(
          ModelError,
          `tensor 'w': its ${key} in its file must be a number of bytes; it is '${value}'`,
        )
        .with.property('code', 'TENSOR_INVALID');
    });
  }

  it('externalFiles refuses a length and a shape that contradict the dtype', () => {
    for (const more of [entry('length', '15'), entry('length', '4294967312'), int(1, -1), int(1, 2n ** 60n)])
      expect(() => externalFiles(initializer(more)))
        .to.throw(ModelError)
        .with.property('code', 'TENSOR_INVALID');
    expect(() => externalFiles(initializer(entry('offset', '9007199254740991')))).to.throw(ModelError);
  });

  // protobuf merges a message that occurs twice, and skips numbers that an enum does not have.
  const external = externalTensor('w');
  const inNode = (...attribute: Field[]) => message(7, message(1, message(5, ...attribute)));
  const twice: Record<string, Field> = {
    "'data_location'": message(7, message(5, int(14, 1), int(14, 7))),
    "'location'": message(7, externalTensor('w', entry('location', ''))(5)),
    "'offset'": message(7, externalTensor('w', entry('offset', '0'), entry('offset', '4'))(5)),
    "'length'": message(7, externalTensor('w', entry('length', '16'), entry('length', '16'))(5)),
    "'tensor'": inNode(external(5), message(5)),
    "'graph'": inNode(message(6), message(6, external(5))),
    "'sparse_tensor'": inNode(message(22, external(1)), message(22)),
    "'values'": message(7, message(15, external(1), message(1))),
    "'indices'": message(7, message(15, external(2), message(2))),
    "'initialization'": message(20, message(1, external(5)), message(1)),
    "'algorithm'": message(20, message(2), message(2)),
  };
  for (const [field, model] of Object.entries(twice)) {
    it(`externalFiles refuses a second field ${field}, which protobuf would merge`, () => {
      expect(() => externalFiles(all(model)))
        .to.throw(ModelError, `more than one ${field}`)
        .with.property('code', 'MODEL_INVALID');
    });
  }
});
