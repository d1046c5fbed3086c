import { expect } from 'chai';
import { describe, it } from 'mocha';
import * as attr from '../../lib/graph/attr.js';
import { GraphBuilder } from '../../lib/graph/builder.js';
import * as op from '../../lib/graph/ops/index.js';
import type { Attributes, Value } from '../../lib/graph/types.js';
import { type DType, type Shape, tensor } from '../../lib/tensor.js';
import { expectGraphError } from './support.js';

const FLOAT3 = { dtype: 'float32', shape: [3] } as const;

function setUp() {
  const g = new GraphBuilder('test');
  return { g, x: g.input('x', 'float32', ['N', 3]) };
}

describe('parameters', () => {
  it('a parameter of integers is not initialised at random', () => {
    const { g } = setUp();
    const drawn = { dtype: 'int64', shape: [3], init: { uniform: 1 } } as const;
    expectGraphError(() => g.parameter('idx', drawn), 'INVALID_ATTRIBUTE', "parameter 'idx'", 'int64');
    expect(g.parameter('idx', { ...drawn, init: 'ones' })).to.deep.include({ dtype: 'int64', init: 'ones' });
  });

  it('a parameter refuses an unknown initialisation', () => {
    for (const init of ['one', {}, { uniform: NaN }, null]) {
      const parameter = { ...FLOAT3, init: init as 'ones' };
      expectGraphError(
        () => setUp().g.parameter('weight', parameter),
        'INVALID_ATTRIBUTE',
        "parameter 'weight': unknown init",
      );
    }
  });

  it("parameters have their module's state_dict keys, in the order of their declaration", () => {
    const { g, x } = setUp();
    const block = g.scope('enc1').scope('double_conv');
    block.scope('0').parameter('weight', FLOAT3);
    g.scope('enc1.double_conv.1').parameter('bias', FLOAT3);
    g.parameter('temperature', { dtype: 'float32', shape: [], init: 'ones' });
    g.output('y', op.relu(g, x));
    const { parameters } = g.build();
    expect(parameters.map((value) => value.name)).to.deep.equal([
      'enc1.double_conv.0.weight',
      'enc1.double_conv.1.bias',
      'temperature',
    ]);
    expect(parameters[2]).to.deep.include({ kind: 'parameter', dtype: 'float32', shape: [], init: 'ones' });
  });

  it('a parameter copies its shape', () => {
    const { g } = setUp();
    const shape = [3, 4];
    const value = g.parameter('weight', { dtype: 'float32', shape });
    shape[0] = 9;
    expect(value.shape).to.deep.equal([3, 4]);
  });

  it('two parameters of one name are refused, in whichever scope the name is put together', () => {
    const { g } = setUp();
    g.scope('enc1').scope('0').parameter('weight', FLOAT3);
    expectGraphError(
      () => g.scope('enc1.0').parameter('weight', FLOAT3),
      'DUPLICATE_NAME',
      "parameter 'enc1.0.weight'",
    );
    expectGraphError(() => g.parameter('x', FLOAT3), 'DUPLICATE_NAME', "'x'");
  });

  it('a parameter needs a fixed shape and a known dtype', () => {
    const { g } = setUp();
    const declare = (dtype: string, shape: Shape) =>
      g.scope('fc').parameter('weight', { dtype: dtype as DType, shape: shape as number[] });
    expectGraphError(() => declare('float32', ['N', 3]), 'INVALID_SHAPE', "'fc.weight'", '[N, 3]');
    expectGraphError(() => declare('float32', [-1]), 'INVALID_SHAPE', '[-1]');
    expectGraphError(() => declare('float32', [1.5]), 'INVALID_SHAPE');
    expectGraphError(() => declare('float32', undefined!), 'INVALID_SHAPE');
    expectGraphError(() => declare('float8', [3]), 'INVALID_DTYPE', "'fc.weight'", 'float8');
    expect(declare('float32', [3]).name, 'a refused name is free').to.equal('fc.weight');
  });
});

describe('names', () => {
  for (const name of ['', 'a\nb', '\u0000', undefined!, 3 as never]) {
    it(`a name must be text without control characters, not ${JSON.stringify(name)}`, () => {
      const { g, x } = setUp();
      expectGraphError(() => g.input(name, 'float32', [1]), 'INVALID_NAME', 'input');
      expectGraphError(() => g.parameter(name, FLOAT3), 'INVALID_NAME', 'parameter');
      expectGraphError(() => g.scope(name), 'INVALID_NAME', 'scope');
      expectGraphError(() => g.output(name, op.relu(g, x)), 'INVALID_NAME', 'output');
    });
  }

  it('a GraphBuilder takes the names of nodes and results from the scope, and they do not collide', () => {
    const { g, x } = setUp();
    const scope = g.scope('enc1.0');
    g.input('/enc1/0/Relu_1', 'float32', [1]);
    const first = op.relu(scope, x);
    op.relu(scope, first);
    g.output('y', op.relu(g, first));
    const { nodes } = g.build();
    expect(nodes.map((node) => node.name)).to.deep.equal(['/enc1/0/Relu', '/enc1/0/Relu_2', '/Relu']);
    expect(first.name).to.equal('/enc1/0/Relu_output_0');
    const values = nodes.flatMap((node) => node.outputs.map((value) => value.name));
    expect(new Set(values).size).to.equal(values.length);
  });

  it('the builder never makes a name that is taken, but lets the caller declare it', () => {
    const g = new GraphBuilder('part', new Set(['/Relu', 'x']));
    const y = op.relu(g, g.input('x', 'float32', ['N']));
    g.output('y', y);
    expect(g.build().nodes[0]!.name).to.equal('/Relu_1');
  });

  it('an operator that is refused takes no names', () => {
    const { g } = setUp();
    const foreign = setUp().x;
    expectGraphError(() => op.relu(g, foreign), 'FOREIGN_VALUE');
    expect(op.relu(g, g.input('a', 'float32', [1])).name).to.equal('/Relu_output_0');
  });
});

describe('inputs', () => {
  it('input takes names, numbers and 0 as dimensions', () => {
    const { g } = setUp();
    const value = g.input('a', 'int64', ['N', 0, 3]);
    expect(value).to.deep.include({ kind: 'input', dtype: 'int64', shape: ['N', 0, 3] });
    expect(value.rank).to.equal(3);
  });

  it('input copies its shape', () => {
    const { g } = setUp();
    const shape = ['N', 3];
    const value = g.input('a', 'float32', shape);
    shape[0] = 'M';
    expect(value.shape).to.deep.equal(['N', 3]);
  });

  for (const shape of [[-1], [1.5], [NaN], [''], [null], 'N', undefined]) {
    it(`input refuses the shape ${JSON.stringify(shape)}`, () => {
      const { g } = setUp();
      expectGraphError(() => g.input('a', 'float32', shape as Shape), 'INVALID_SHAPE', "input 'a'");
    });
  }

  it('input refuses an unknown dtype and a taken name', () => {
    const { g } = setUp();
    for (const dtype of ['float8', 'toString', undefined]) {
      expectGraphError(() => g.input('a', dtype as DType, [1]), 'INVALID_DTYPE', "input 'a'", String(dtype));
    }
    expectGraphError(() => g.input('x', 'float32', [1]), 'DUPLICATE_NAME', "input 'x'");
  });
});

describe('a node that the caller adds', () => {
  const TYPE = { dtype: 'float32', shape: ['N', 3] } as const;

  it('node takes the attributes that attr makes', () => {
    const { g, x } = setUp();
    const attributes = { alpha: attr.float(0.5), mode: attr.string('a'), axes: attr.ints([1, -1]) };
    const [y] = g.scope('block').node('Elu', [x, undefined], attributes, [TYPE]);
    expect(y).to.deep.include({ kind: 'node', dtype: 'float32', shape: ['N', 3] });
    g.output('y', y!);
    expect(g.build().nodes[0]).to.deep.include({ opType: 'Elu', inputs: [x, undefined], attributes });
  });

  it('node refuses a value that is not an attribute, and an attribute whose value is not of its type', () => {
    const { g, x } = setUp();
    const add = (attributes: unknown) => () =>
      g.scope('block').node('Elu', [x], attributes as Attributes, [TYPE]);
    for (const none of [0.5, null, undefined, {}, [], 'a', { value: 1 }]) {
      expectGraphError(
        add({ alpha: none }),
        'INVALID_ATTRIBUTE',
        "Elu 'block': attribute 'alpha' must come from attr",
      );
    }
    expectGraphError(add({ alpha: { type: 'TENSOR', value: 1 } }), 'INVALID_ATTRIBUTE', "its type 'TENSOR'");
    expectGraphError(add({ alpha: { type: 'toString', value: 1 } }), 'INVALID_ATTRIBUTE', 'INT, FLOAT');
    for (const [type, value, words] of [
      ['INT', 0.5, 'an integer, not 0.5'],
      ['INT', 2 ** 53, 'an integer'],
      ['FLOAT', '1', 'a number, not "1"'],
      ['STRING', 1, 'text'],
      ['INTS', 1, 'a list of integers'],
      ['INTS', [1, 0.5], 'a list of integers, not [1,0.5]'],
      ['FLOATS', [1, 3n], 'a list of numbers'],
      ['FLOATS', undefined, 'a list of numbers'],
    ] as const) {
      expectGraphError(
        add({ alpha: { type, value } }),
        'INVALID_ATTRIBUTE',
        `is of type ${type}, so its value must be ${words}`,
      );
    }
    for (const none of [undefined, null, 3, [attr.int(1)]]) {
      expectGraphError(add(none), 'INVALID_ATTRIBUTE', "Elu 'block': its attributes must be an object");
    }
  });

  it('node refuses results without dtype or shape, and an operator without name', () => {
    const { g, x } = setUp();
    const add = (output: unknown) => () => g.node('Elu', [x], {}, [output as typeof TYPE]);
    expectGraphError(add(null), 'INVALID_ATTRIBUTE', 'Elu: output 0 must be an object');
    expectGraphError(add({ shape: [1] }), 'INVALID_DTYPE', 'Elu: output 0');
    expectGraphError(add({ dtype: 'float32' }), 'INVALID_SHAPE', 'Elu: output 0');
    expectGraphError(() => g.node('', [x], {}, [TYPE]), 'INVALID_NAME', 'operator');
    expectGraphError(() => g.node(undefined!, [x], {}, [TYPE]), 'INVALID_NAME', 'operator');
  });
});

describe('values of another graph', () => {
  it('an operator refuses a value of another graph, and names the node and the value', () => {
    const { g, x } = setUp();
    const foreign = new GraphBuilder('other').input('theirs', 'float32', ['N', 3]);
    expectGraphError(
      () => op.add(g.scope('block'), x, foreign),
      'FOREIGN_VALUE',
      "Add 'block': input 1 is 'theirs' [N, 3], which belongs to another graph",
    );
    expectGraphError(() => g.output('y', foreign), 'FOREIGN_VALUE', "output 'y'");
  });

  it('an operator takes values of a scope of the same graph', () => {
    const { g, x } = setUp();
    expect(op.relu(g.scope('a'), op.relu(g.scope('b'), x)).shape).to.deep.equal(['N', 3]);
  });
});

describe('outputs', () => {
  const build = (declare: (g: GraphBuilder, x: Value) => void) => {
    const { g, x } = setUp();
    declare(g, x);
    return g.build();
  };

  it('output gives its name to the result of a node', () => {
    const graph = build((g, x) => g.output('y', op.relu(g, x)));
    expect(graph.outputs.map((value) => value.name)).to.deep.equal(['y']);
    expect(graph.nodes).to.have.length(1);
    expect(graph.nodes[0]!.outputs[0]).to.equal(graph.outputs[0]);
  });

  it('output passes inputs, parameters and constants through an Identity', () => {
    const graph = build((g, x) => {
      g.output('a', x);
      g.output('b', g.parameter('weight', FLOAT3));
      g.output('c', g.constant(tensor('int64', [1], BigInt64Array.of(7n))));
    });
    expect(graph.nodes.map((node) => node.opType)).to.deep.equal(['Identity', 'Identity', 'Identity']);
    expect(graph.outputs.map(({ name, dtype, shape }) => [name, dtype, shape])).to.deep.equal([
      ['a', 'float32', ['N', 3]],
      ['b', 'float32', [3]],
      ['c', 'int64', [1]],
    ]);
    expect(graph.inputs[0]!.name).to.equal('x');
  });

  it('output may give one value two names', () => {
    const graph = build((g, x) => {
      const y = op.relu(g, x);
      expect(g.output('y', y)).to.equal(y);
      expect(g.output('z', y)).to.not.equal(y);
    });
    expect(graph.outputs.map((value) => value.name)).to.deep.equal(['y', 'z']);
    expect(graph.nodes.map((node) => node.opType)).to.deep.equal(['Relu', 'Identity']);
    expect(graph.nodes[1]!.inputs).to.deep.equal([graph.outputs[0]]);
  });

  it('output refuses a missing value', () => {
    const { g } = setUp();
    expectGraphError(() => g.output('y', undefined!), 'MISSING_VALUE', "output 'y'");
    expectGraphError(() => g.output('y', {} as Value), 'MISSING_VALUE', "output 'y'");
  });

  it('output refuses a name that another value has', () => {
    const { g, x } = setUp();
    const y = op.relu(g, x);
    expectGraphError(() => g.output('x', y), 'DUPLICATE_NAME', "output 'x'");
    g.output('y', y);
    expectGraphError(() => g.output('y', y), 'DUPLICATE_NAME', "output 'y'");
  });

  it('build refuses a graph without outputs', () => {
    const { g, x } = setUp();
    op.relu(g, x);
    expectGraphError(() => g.build(), 'MISSING_OUTPUT', "graph 'test'");
  });
});

describe('a built graph', () => {
  it('a built graph stays as it is when the builder adds more', () => {
    const { g, x } = setUp();
    g.output('y', op.relu(g, x));
    const graph = g.build();
    g.input('late', 'float32', [1]);
    g.parameter('late.weight', FLOAT3);
    g.output('z', op.sigmoid(g, x));
    expect(graph.inputs).to.have.length(1);
    expect(graph.parameters).to.have.length(0);
    expect(graph.nodes).to.have.length(1);
    expect(graph.outputs).to.have.length(1);
    expect(g.build().outputs).to.have.length(2);
  });
});
