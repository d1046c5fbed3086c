import { expect } from 'chai';
import { describe, it } from 'mocha';
import { unrankedNames } from '../../lib/onnx/decode.js';
import { int, message, model, text, valueInfo } from './bytes.js';

const FLOAT = 1;
const withoutShape = (field: number, name: string) =>
  message(field, text(1, name), message(2, message(1, int(1, FLOAT))));

describe('inputs and outputs of any rank', () => {
  it('are those that the model declares without a shape, which is not a shape without dimensions', () => {
    const inputs = [
      valueInfo(11, 'scalar', FLOAT),
      withoutShape(11, 'any'),
      valueInfo(11, 'vector', FLOAT, 3),
    ];
    const outputs = [valueInfo(12, 'sum', FLOAT), withoutShape(12, 'y'), message(12, text(1, 'untyped'))];
    const between = withoutShape(13, 'between');
    expect([...unrankedNames(model(...inputs, ...outputs, between))]).to.deep.equal(['any', 'y', 'untyped']);
  });
});
