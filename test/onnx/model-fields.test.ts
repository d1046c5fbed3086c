import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ModelError } from '../../lib/errors.js';
import { operatorId, readModel } from '../../lib/onnx/decode.js';
import { all, int, message, text } from './bytes.js';

const graph = message(7, text(2, 'g'));
const opset = (version: number, ...domain: string[]) =>
  message(8, ...domain.map((name) => text(1, name)), int(2, version));

describe('the fields of a model', () => {
  it('are its graph, the opset of the default domain and the names of its functions, in any order', () => {
    const bytes = all(
      message(25, text(10, 'custom'), text(1, 'f')),
      opset(3, 'ai.onnx.ml'),
      graph,
      opset(17),
      message(25, text(1, 'g'), text(10, 'ai.onnx')),
      opset(1, 'custom'),
    );
    const read = readModel(bytes);
    expect([...read.graph!]).to.deep.equal([...text(2, 'g')]);
    expect(read.opset).to.equal(17);
    expect(read.functions).to.deep.equal(new Set([operatorId('custom', 'f'), operatorId('', 'g')]));
  });

  it('know the default domain by both its names, and whether any opset is imported', () => {
    expect(readModel(all(graph, opset(18, 'ai.onnx'))).opset).to.equal(18);
    expect(readModel(all(graph, opset(18, ''))).opset).to.equal(18);
    expect(readModel(all(graph, opset(3, 'ai.onnx.ml'))).opset).to.equal(0);
    expect(readModel(all(graph)).opset).to.equal(undefined);
    expect(readModel(all(opset(18))).graph).to.equal(undefined);
  });

  it('are refused with two graphs, which protobuf would take for two halves of one', () => {
    expect(() => readModel(all(graph, graph)))
      .to.throw(ModelError, "more than one 'graph'")
      .with.property('code', 'MODEL_INVALID');
  });
});
