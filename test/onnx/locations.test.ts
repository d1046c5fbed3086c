import { expect } from 'chai';
import { describe, it } from 'mocha';
import { renameLocations } from '../../lib/onnx/locations.js';
import { all, int, message, text } from './bytes.js';

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

  it('renameLocations returns the same bytes if no tensor lies in these files', () => {
    const bytes = modelWith('b');
    expect(renameLocations(bytes, new Map([['a', 'c']]))).to.equal(bytes);
  });
});
