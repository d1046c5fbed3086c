import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ModelError } from '../../lib/errors.js';
import { operatorId, readModelHeader } from '../../lib/onnx/decode.js';
import { WireReader } from '../../lib/onnx/protobuf/wire.js';
import { all, int, message, text } from './bytes.js';

const graph = message(7, text(2, 'g'));
const opset = (version: number, ...domain: string[]) =>
  message(8, ...domain.map((name) => text(1, name)), int(2, version));
const read = (bytes: Uint8Array) => readModelHeader(WireReader.of(bytes));

describe('readModelHeader', () => {
  it("readModelHeader finds the graph, the default domain's opset and the functions' names, in any order", () => {
    const bytes = all(
      message(25, text(10, 'custom'), text(1, 'f')),
      opset(3, 'ai.onnx.ml'),
      graph,
      opset(17),
      message(25, text(1, 'g'), text(10, 'ai.onnx')),
      opset(1, 'custom'),
    );
    const header = read(bytes);
    expect(header.graph!.next() && header.graph!.text()).to.equal('g');
    expect(header.opset).to.equal(17);
    expect(header.domains).to.deep.equal(new Set(['ai.onnx.ml', '', 'custom']));
    expect(header.functions).to.deep.equal(new Set([operatorId('custom', 'f'), operatorId('', 'g')]));
    expect(header.functionBodies).to.have.lengthOf(2);
  });

  it('readModelHeader knows the default domain by both its names, and whether the model imports any opset', () => {
    expect(read(all(graph, opset(18, 'ai.onnx'))).opset).to.equal(18);
    expect(read(all(graph, opset(18, ''))).opset).to.equal(18);
    expect(read(all(graph, opset(3, 'ai.onnx.ml'))).opset).to.equal(0);
    expect(read(all(graph)).opset).to.equal(undefined);
    expect(read(all(opset(18))).graph).to.equal(undefined);
  });

  it('readModelHeader refuses a model with two graphs, which protobuf would merge', () => {
    expect(() => read(all(graph, graph)))
      .to.throw(ModelError, "more than one 'graph'")
      .with.property('code', 'MODEL_INVALID');
  });
});
