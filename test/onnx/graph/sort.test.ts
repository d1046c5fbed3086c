import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ModelError } from '../../../lib/errors.js';
import { Model } from '../../../lib/onnx/model.js';
import { ModelProto } from '../../../lib/onnx/protobuf/proto.js';
import { caught } from '../../support/temporary.js';

interface Node {
  readonly opType: string;
  readonly input: string[];
  readonly output: string[];
  readonly attribute?: object[];
}

const node = (opType: string, input: string[], output: string[], attribute: object[] = []): Node => ({
  opType,
  input,
  output,
  attribute,
});

/** An If whose branches are `body`. */
const branch = (output: string, body: object): Node => {
  const branches = ['then_branch', 'else_branch'];
  return node(
    'If',
    ['condition'],
    [output],
    branches.map((name) => ({ name, type: 5, g: body })),
  );
};

function decode(...nodes: Node[]): Model {
  const message = {
    irVersion: 10,
    opsetImport: [{ domain: '', version: 21 }],
    graph: { node: nodes, input: [{ name: 'x' }, { name: 'condition' }], output: [{ name: 'y' }] },
  };
  return Model.decode(ModelProto.encode(message).finish(), 'a.onnx');
}

const order = (...nodes: Node[]): string[] => decode(...nodes).nodes.map(({ opType }) => opType);

describe('Model.decode of nodes in any order', () => {
  it('Model.nodes has each node after the nodes that it reads from', () => {
    const list = [node('Exp', ['c'], ['y']), node('Neg', ['x'], ['b']), node('Abs', ['b'], ['c'])];
    expect(order(...list)).to.deep.equal(['Neg', 'Abs', 'Exp']);
  });

  it('Model.nodes keeps an order in which the nodes can run', () => {
    const list = [
      node('Neg', ['x'], ['a']),
      node('Abs', ['x'], ['b']),
      node('Tanh', ['b'], ['c']),
      node('Add', ['a', 'c'], ['y']),
    ];
    expect(order(...list)).to.deep.equal(['Neg', 'Abs', 'Tanh', 'Add']);
  });

  it('Model.nodes has an If after the nodes whose results its branches read, also in bodies within bodies', () => {
    const inner = { name: 'inner', node: [node('Neg', ['a'], ['b'])], output: [{ name: 'b' }] };
    const outer = { name: 'outer', node: [branch('c', inner)], output: [{ name: 'c' }] };
    expect(order(branch('y', outer), node('Abs', ['x'], ['a']))).to.deep.equal(['Abs', 'If']);
  });

  it('Model.decode does not take a value of a body for the value of the graph that has its name', () => {
    const body = {
      name: 'body',
      node: [node('Neg', ['x'], ['y']), node('Abs', ['y'], ['z'])],
      output: [{ name: 'y' }],
    };
    expect(order(branch('y', body))).to.deep.equal(['If']);
  });

  it('Model.encode writes unsorted nodes in an order in which they can run', () => {
    const model = decode(node('Exp', ['b'], ['y']), node('Neg', ['x'], ['b']));
    const { graph } = ModelProto.decode(model.encode());
    expect(graph!.node!.map(({ opType }) => opType)).to.deep.equal(['Neg', 'Exp']);
  });

  it('Model.decode names the nodes of a cycle', () => {
    const cycle = [node('Neg', ['c'], ['a']), node('Abs', ['a'], ['b']), node('Exp', ['b'], ['c'])];
    const error = caught(() => decode(node('Tanh', ['x'], ['y']), ...cycle));
    expect(error).to.be.instanceOf(ModelError).with.property('code', 'MODEL_INVALID');
    expect((error as Error).message)
      .to.match(/^a\.onnx: the nodes form a cycle/)
      .and.include("Neg 'a', which reads from Exp 'c', which reads from Abs 'b', which reads from Neg 'a'");
  });

  it('Model.decode refuses a node that reads its own result', () => {
    expect(() => decode(node('Neg', ['y'], ['y']))).to.throw(ModelError, "Neg 'y', which reads from Neg 'y'");
  });

  it('Model.decode sorts forty thousand nodes that stand from last to first', () => {
    const list = Array.from({ length: 4e4 }, (_, i) => node('Neg', [i === 0 ? 'x' : `v${i - 1}`], [`v${i}`]));
    const { nodes } = decode(...list.reverse());
    expect([nodes[0]!.outputs, nodes.at(-1)!.outputs]).to.deep.equal([['v0'], ['v39999']]);
  });

  it('Model.decode refuses two results of one name, as ONNX Runtime does', () => {
    const error = caught(() => decode(node('Neg', ['x'], ['y']), node('Abs', ['x'], ['y'])));
    expect(error).to.be.instanceOf(ModelError).with.property('code', 'MODEL_INVALID');
    expect((error as Error).message).to.include("two results of nodes have the name 'y'");
  });
});
