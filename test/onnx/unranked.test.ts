import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Model } from '../../lib/onnx/model.js';
import { int, message, model, text, valueInfo } from './bytes.js';

const FLOAT = 1;
const withoutShape = (field: number, name: string) =>
  message(field, text(1, name), message(2, message(1, int(1, FLOAT))));

describe('Model.unrankedNames', () => {
  it('Model.unrankedNames lists inputs and outputs without a declared shape, and not scalars', () => {
    const inputs = [
      valueInfo(11, 'scalar', FLOAT),
      withoutShape(11, 'any'),
      valueInfo(11, 'vector', FLOAT, 3),
    ];
    const outputs = [valueInfo(12, 'sum', FLOAT), withoutShape(12, 'y'), message(12, text(1, 'untyped'))];
    const between = withoutShape(13, 'between');
    const decoded = Model.decode(model(...inputs, ...outputs, between));
    expect([...decoded.unrankedNames()]).to.deep.equal(['any', 'y', 'untyped']);
  });
});
