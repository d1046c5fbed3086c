import { expect } from 'chai';
import { describe, it } from 'mocha';
import { GraphError, ModelError } from '../../lib/errors.js';
import { GraphBuilder } from '../../lib/graph/builder.js';
import * as op from '../../lib/graph/ops/index.js';
import type { Graph, Value } from '../../lib/graph/types.js';
import { encodeModel, encodeModelExternal, irVersionFor, requireModelSize } from '../../lib/onnx/encode.js';
import { type ModelMessage, ModelProto } from '../../lib/onnx/protobuf/proto.js';
import { tensor, type TensorData } from '../../lib/tensor.js';
import { caught } from '../support/temporary.js';

const ones = (length: number): TensorData => tensor('float32', [length], new Float32Array(length).fill(1));

function normGraph(channels = 4): Graph {
  const g = new GraphBuilder('norm');
  const weight = g.parameter('weight', { dtype: 'float32', shape: [channels] });
  const x = g.input('x', 'float32', ['N', channels, 'H', 7]);
  g.output('y', op.relu(g, op.groupNormalization(g, x, weight, undefined, { numGroups: 2 })));
  return g.build();
}

const WEIGHTS = new Map([['weight', ones(4)]]);
const decode = (bytes: Uint8Array): ModelMessage => ModelProto.decode(bytes);
describe('encodeModel', () => {
  it('encodeModel emits the lowest IR version that the opset needs', () => {
    // ONNX's table of versions: opset 13 came with IR 7, 15 with 8, 19 with 9, 21 with 10, 23 with 11, 24 with 12, 25 with 13.
    const table = { 13: 7, 14: 7, 15: 8, 18: 8, 19: 9, 20: 9, 21: 10, 22: 10, 23: 11, 24: 12, 25: 13 };
    for (const [opset, version] of Object.entries(table)) {
      expect(irVersionFor(Number(opset)), `opset ${opset}`).to.equal(version);
      const model = decode(encodeModel(normGraph(), WEIGHTS, { opset: Number(opset) }));
      expect([Number(model.irVersion), Number(model.opsetImport![0]!.version)]).to.deep.equal([
        version,
        Number(opset),
      ]);
    }
  });

  it('encodeModel writes weights as raw_data under their state_dict keys', () => {
    const { graph } = decode(encodeModel(normGraph(), WEIGHTS));
    const weight = graph!.initializer!.find(({ name }) => name === 'weight')!;
    expect(weight.rawData).to.have.lengthOf(16);
    expect(weight.floatData).to.have.lengthOf(0);
  });

  it('encodeModel declares the type of every intermediate value, names as dim_param and sizes as dim_value', () => {
    const { graph } = decode(encodeModel(normGraph(), WEIGHTS, { lowering: 'reduce-mean' }));
    const outputs = graph!.node!.flatMap(({ output }) => output ?? []);
    const declared = new Set([...graph!.valueInfo!, ...graph!.output!].map(({ name }) => name));
    expect(outputs.filter((name) => !declared.has(name))).to.deep.equal([]);
    const dims = graph!.input![0]!.type!.tensorType!.shape!.dim!.map(
      (dim) => dim.dimParam || Number(dim.dimValue),
    );
    expect(dims).to.deep.equal(['N', 4, 'H', 7]);
  });

  it('encodeModel gives ReduceMean its axes as an attribute up to opset 17, and as an input from 18 on', () => {
    const forms = (opset: number): string[] => {
      const { graph } = decode(encodeModel(normGraph(), WEIGHTS, { opset, lowering: 'reduce-mean' }));
      const means = graph!.node!.filter(({ opType }) => opType === 'ReduceMean');
      const hasAxes = (node: (typeof means)[0]) => node.attribute!.some(({ name }) => name === 'axes');
      return means.map((node) => `${node.input!.length} inputs, axes attribute: ${hasAxes(node)}`);
    };
    expect(new Set(forms(17))).to.deep.equal(new Set(['1 inputs, axes attribute: true']));
    expect(new Set(forms(18))).to.deep.equal(new Set(['2 inputs, axes attribute: false']));
  });

  it('encodeModel names the operator that an opset does not have', () => {
    const g = new GraphBuilder('ln');
    const scale = g.constant(ones(4));
    g.output('y', op.layerNormalization(g, g.input('x', 'float32', [2, 4]), scale, undefined));
    const error = caught(() => encodeModel(g.build(), new Map(), { opset: 16 }));
    expect(error).to.be.instanceOf(GraphError).with.property('code', 'OPERATOR_UNAVAILABLE');
    expect((error as Error).message)
      .to.include('LayerNormalization')
      .and.include('opset 17');
  });

  for (const [opType, since] of [
    ['Gelu', 20],
    ['Attention', 23],
    ['HardSwish', 14],
  ] as const) {
    it(`encodeModel refuses ${opType}, added by hand, below opset ${since}`, () => {
      const g = new GraphBuilder('young');
      const x = g.input('x', 'float32', [2]);
      g.output('y', g.node(opType, [x], {}, [{ dtype: 'float32', shape: [2] }])[0]!);
      const error = caught(() => encodeModel(g.build(), new Map(), { opset: since - 1 }));
      expect(error).to.be.instanceOf(GraphError).with.property('code', 'OPERATOR_UNAVAILABLE');
      expect((error as Error).message).to.equal(
        `${opType} '/${opType}' of float32 needs opset ${since} or later, not ${since - 1}`,
      );
      expect(encodeModel(g.build(), new Map(), { opset: since })).to.not.be.empty;
    });
  }

  it('encodeModel refuses a new operator without inputs, and takes one with the name of a property of every object', () => {
    for (const [opType, message] of [
      ['HannWindow', /^HannWindow '\/HannWindow' needs opset 17/],
      ['constructor', undefined],
    ] as const) {
      const g = new GraphBuilder('young');
      g.output('y', g.node(opType, [], {}, [{ dtype: 'float32', shape: [2] }])[0]!);
      const error = caught(() => encodeModel(g.build(), new Map(), { opset: 16 }));
      if (message) expect((error as Error).message).to.match(message);
      else expect(error).to.equal(undefined);
    }
  });

  it('encodeModel names the first opset in which an operator takes bfloat16, for any of its inputs', () => {
    const refused = (opset: number, make: (g: GraphBuilder) => Value) => () => {
      const g = new GraphBuilder('narrow');
      g.output('y', make(g));
      return encodeModel(g.build(), new Map(), { opset });
    };
    const where = (g: GraphBuilder) => {
      const x = g.input('x', 'bfloat16', [2]);
      return op.where(g, g.input('mask', 'bool', [2]), x, x);
    };
    const leaky = (g: GraphBuilder) => op.leakyRelu(g, g.input('x', 'bfloat16', [2]));
    expect(refused(15, where)).to.throw(
      GraphError,
      "Where '/Where' of bfloat16 needs opset 16 or later, not 15",
    );
    expect(refused(15, leaky)).to.throw(GraphError, "LeakyRelu '/LeakyRelu' of bfloat16 needs opset 16");
    for (const make of [where, leaky]) expect(refused(16, make)).to.not.throw();
  });

  it('encodeModel lists the parameters that have no data', () => {
    const error = caught(() => encodeModel(normGraph(), new Map()));
    expect(error).to.be.instanceOf(ModelError).with.property('code', 'WEIGHTS_NOT_SET');
    expect((error as Error).message).to.include("'weight'");
  });

  it('encodeModel refuses data of another shape than the parameter', () => {
    const error = caught(() => encodeModel(normGraph(), new Map([['weight', ones(3)]])));
    expect(error).to.be.instanceOf(ModelError).with.property('code', 'TENSOR_INVALID');
    expect((error as Error).message)
      .to.include('[4]')
      .and.include('[3]');
  });

  it('encodeModel refuses more than protobuf can hold, and suggests external data', () => {
    // One array as four parameters: nothing of this size is made.
    const quarter = tensor('float32', [140_000_000], new Float32Array(140_000_000));
    const g = new GraphBuilder('huge');
    const names = ['a', 'b', 'c', 'd'];
    for (const name of names) g.parameter(name, { dtype: 'float32', shape: [140_000_000] });
    g.output('y', op.relu(g, g.input('x', 'float32', [1])));
    const error = caught(() => encodeModel(g.build(), new Map(names.map((name) => [name, quarter]))));
    expect(error).to.be.instanceOf(ModelError).with.property('code', 'MODEL_TOO_LARGE');
    expect((error as Error).message).to.include('encodeModelExternal');
    expect((error as ModelError).option).to.equal('externalData');
  });

  it('encodeModel gives the same bytes for the same graph', () => {
    expect(encodeModel(normGraph(), WEIGHTS)).to.deep.equal(encodeModel(normGraph(), WEIGHTS));
  });
});

describe('encodeModelExternal', () => {
  it('encodeModelExternal keeps small tensors in the model, and starts each large tensor on a new page', () => {
    const channels = 2048;
    const { model, data } = encodeModelExternal(
      normGraph(channels),
      new Map([['weight', ones(channels)]]),
      'm.data',
    );
    const weight = decode(model).graph!.initializer!.find(({ name }) => name === 'weight')!;
    expect(Object.fromEntries(weight.externalData!.map(({ key, value }) => [key, value]))).to.deep.equal({
      location: 'm.data',
      offset: '0',
      length: String(channels * 4),
    });
    expect(data.reduce((total, chunk) => total + chunk.byteLength, 0)).to.equal(channels * 4);
  });
});

describe('requireModelSize', () => {
  it('requireModelSize accepts as much as an ONNX file holds, and refuses more with advice', () => {
    requireModelSize(2 ** 31 - 1, 'a.onnx');
    const error = caught(() => requireModelSize(2 ** 31, 'a.onnx'));
    expect(error).to.be.instanceOf(ModelError).with.property('code', 'MODEL_TOO_LARGE');
    expect((error as Error).message)
      .to.include('a.onnx: 2147483648 bytes')
      .and.include('save_as_external_data');
  });
});
