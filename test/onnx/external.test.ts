import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Model } from '../../lib/onnx/model.js';
import { all, int, message, model, text } from './bytes.js';

type Field = readonly number[];

/** A TensorProto in a field, whose data lies in `location`. */
const external = (field: number, location: string): Field =>
  message(
    field,
    int(2, 1),
    message(13, text(1, 'location'), text(2, location)),
    message(13, text(1, 'offset'), text(2, '0')),
    int(14, 1),
  );

const attribute = (...content: Field[]): Field => message(5, text(1, 'a'), ...content);
const constant = (location: string): Field => message(1, attribute(external(5, location)));

const locations = (bytes: Uint8Array): string[] => [...Model.decode(bytes).externalFiles.keys()];

describe('Model.externalFiles', () => {
  it('Model.externalFiles lists the files of weights once each, without weights in the model', () => {
    const held = message(5, int(2, 1), int(1, 1), text(8, 'held'), message(9, [0, 0, 0, 0]));
    expect(locations(model(external(5, 'b'), external(5, 'a'), external(5, 'b'), held))).to.deep.equal([
      'b',
      'a',
    ]);
  });

  it('Model.externalFiles lists the files of sparse weights and of attributes', () => {
    const sparse = message(15, external(1, 'values'), message(2, int(2, 7)));
    expect(locations(model(sparse, constant('constant')))).to.deep.equal(['values', 'constant']);
  });

  it('Model.externalFiles lists the files of bodies and of functions', () => {
    const body = message(1, attribute(message(6, external(5, 'weight'), constant('in a body'))));
    const inFunction = message(7, attribute(external(5, 'in a function')));
    const functions = message(25, text(1, 'F'), inFunction);
    const bytes = all([...model(body)], functions);
    expect(locations(bytes)).to.deep.equal(['weight', 'in a body', 'in a function']);
  });
});
