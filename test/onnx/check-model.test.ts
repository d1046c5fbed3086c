import { expect } from 'chai';
import { describe, it } from 'mocha';
import { OnnxGroupNormError } from '../../lib/errors.js';
import { Model } from '../../lib/onnx/model.js';
import { all, int, message, model, text, varint } from './bytes.js';

const node = (...fields: (readonly number[])[]) => message(1, text(4, 'If'), ...fields);
const body = (...fields: (readonly number[])[]) => message(5, text(1, 'then_branch'), message(6, ...fields));
const badTensor = message(5, int(1, 2), int(2, 1), text(8, 'w'));

function code(bytes: Uint8Array): string {
  try {
    Model.decode(bytes, 'm.onnx');
  } catch (error) {
    expect(error).to.be.instanceOf(OnnxGroupNormError);
    expect((error as Error).message).to.match(/^m\.onnx: /);
    return (error as OnnxGroupNormError).code;
  }
  return 'taken';
}

/** A graph in a node in a graph, `count` graphs in all. */
function nested(count: number): Uint8Array {
  let graph: readonly number[] = text(2, 'innermost');
  for (let depth = 1; depth < count; depth++) graph = node(body(graph));
  return model(graph);
}

describe('Model.decode, which checks the whole model,', () => {
  it('Model.decode accepts graphs that are nested as deep as protobuf allows', () => {
    // Of 100 messages, the first graph is one, and each graph within takes three: a node, an attribute and itself.
    expect(code(nested(34))).to.equal('taken');
    for (const count of [35, 300]) expect(code(nested(count)), `${count}`).to.equal('MODEL_INVALID');
  });

  it('Model.decode finds damage in nodes, bodies, functions, types and tensors', () => {
    const damaged = [0x0a, 9, 0x61];
    const cases = {
      node: model(message(1, damaged)),
      body: model(node(body(message(1, damaged)))),
      attribute: model(node(message(5, damaged))),
      function: all([...model()], message(25, message(7, damaged))),
      'default of a function': all([...model()], message(25, message(11, damaged))),
      type: model(message(13, message(2, damaged))),
      'two bodies in one': model(node(message(5, message(6), message(6)))),
    };
    for (const [what, bytes] of Object.entries(cases)) expect(code(bytes), what).to.equal('MODEL_INVALID');
    expect(code(model(badTensor))).to.equal('TENSOR_INVALID');
    expect(code(model(node(body(badTensor))))).to.equal('TENSOR_INVALID');
  });

  it('Model.decode refuses more than a million nodes', () => {
    const count = 2 ** 20 + 1;
    const nodes = new Uint8Array(2 * count);
    for (let i = 0; i < nodes.length; i += 2) nodes[i] = 0x0a;
    const head = all([0x3a, ...varint(nodes.length)]);
    const bytes = Buffer.concat([head, nodes, all(message(8, int(2, 21)))]);
    expect(code(bytes)).to.equal('LIMIT_EXCEEDED');
  });

  it('Model.decode does not decode the packed elements of a tensor', () => {
    const size = 32_000_000;
    const tensor = Buffer.from([...int(1, size), ...int(2, 7), ...text(8, 'w'), 0x3a, ...varint(size)]);
    const head = Buffer.from([0x2a, ...varint(tensor.length + size)]);
    const graph = Buffer.from([0x3a, ...varint(head.length + tensor.length + size)]);
    const bytes = Buffer.concat([graph, head, tensor, Buffer.alloc(size, 1), all(message(8, int(2, 21)))]);
    const before = process.memoryUsage();
    const decoded = Model.decode(bytes);
    const after = process.memoryUsage();
    expect(after.heapUsed - before.heapUsed).to.be.below(4e6);
    expect(after.arrayBuffers - before.arrayBuffers).to.be.below(4e6);
    expect(decoded.typeOf('w')).to.deep.equal({ dtype: 'int64', shape: [size] });
  });
});
