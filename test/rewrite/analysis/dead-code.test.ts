import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Model } from '../../../lib/onnx/model.js';
import { type ModelMessage, ModelProto } from '../../../lib/onnx/protobuf/proto.js';
import { readNames, removeDeadCode } from '../../../lib/rewrite/analysis/dead-code.js';

const node = (opType: string, input: string[], output: string[], more = {}) => ({
  opType,
  input,
  output,
  ...more,
});
const weight = (name: string) => ({ name, dims: [1], dataType: 1, rawData: new Uint8Array(4) });

/** x → Add → Tanh → y; w → Abs → Neg → the second input of the Add, which is removed. */
function graph(changes: ModelMessage['graph'] = {}): Model {
  const message = {
    irVersion: 10,
    opsetImport: [{ domain: '', version: 21 }],
    graph: {
      node: [
        node('Abs', ['w'], ['a']),
        node('Neg', ['a'], ['b']),
        node('Add', ['x', 'b'], ['c']),
        node('Tanh', ['c'], ['y']),
      ],
      initializer: [weight('w'), weight('unused')],
      input: [{ name: 'x' }],
      output: [{ name: 'y' }],
      valueInfo: [{ name: 'a' }, { name: 'c' }],
      ...changes,
    },
  };
  return Model.decode(ModelProto.encode(message).finish());
}

/** Removes a node and what is dead then. Returns what is left. */
function without(model: Model, opType: string): { nodes: string[]; weights: string[]; declared: string[] } {
  const before = readNames(model);
  model.replaceNodes((one) => (one.opType === opType ? { nodes: [], constants: [] } : undefined));
  removeDeadCode(model, before);
  const left = ModelProto.decode(model.encode()).graph!;
  const names = (list: readonly { name?: string | null }[] | null | undefined) =>
    (list ?? []).map(({ name }) => name!);
  return {
    nodes: model.nodes.map((one) => one.opType),
    weights: names(left.initializer),
    declared: names(left.valueInfo),
  };
}

describe('removeDeadCode', () => {
  it('removeDeadCode removes what a rewrite made dead: nodes, weights, declared types', () => {
    expect(without(graph(), 'Add')).to.deep.equal({ nodes: ['Tanh'], weights: ['unused'], declared: ['c'] });
  });

  it('removeDeadCode keeps values that are outputs, that another node reads, or that a node without readers reads', () => {
    const output = graph({ output: [{ name: 'y' }, { name: 'b' }] });
    expect(without(output, 'Add').nodes).to.deep.equal(['Abs', 'Neg', 'Tanh']);
    const list = [
      node('Abs', ['w'], ['a']),
      node('Neg', ['a'], ['b']),
      node('Add', ['x', 'b'], ['c']),
      node('Exp', ['a'], ['unread']),
      node('Tanh', ['c'], ['y']),
    ];
    const left = without(graph({ node: list }), 'Add');
    expect(left.nodes).to.deep.equal(['Abs', 'Exp', 'Tanh']);
    expect(left.weights).to.deep.equal(['w', 'unused']);
  });

  it('removeDeadCode keeps weights that are inputs as well, and nodes of which another result is read', () => {
    const listed = graph({ input: [{ name: 'x' }, { name: 'w' }] });
    expect(without(listed, 'Add').weights).to.deep.equal(['w', 'unused']);
    const list = [
      node('Split', ['x'], ['a', 'b']),
      node('Add', ['x', 'a'], ['c']),
      node('Mul', ['b', 'b'], ['y']),
    ];
    expect(without(graph({ node: list }), 'Add').nodes).to.deep.equal(['Split', 'Mul']);
  });

  it('removeDeadCode keeps values that the body of an If may read', () => {
    const body = { name: 'body', node: [node('Identity', ['b'], ['z'])] };
    const branch = node('If', ['c'], ['i'], { attribute: [{ name: 'then_branch', type: 5, g: body }] });
    const model = graph({ node: [node('Neg', ['w'], ['b']), node('Add', ['x', 'b'], ['c']), branch] });
    expect(without(model, 'Add').nodes).to.deep.equal(['Neg', 'If']);
  });
});
