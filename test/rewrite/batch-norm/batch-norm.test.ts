import { readdirSync, readFileSync } from 'node:fs';
import { expect, use } from 'chai';
import { describe, it } from 'mocha';
import onnxMatchers from '../../../lib/chai.js';
import type { GraphError } from '../../../lib/errors.js';
import { ModelError, OptionError } from '../../../lib/errors.js';
import { castTensor, filledTensor } from '../../../lib/half.js';
import { ONNX_DTYPE } from '../../../lib/graph/types.js';
import type { LoweringName } from '../../../lib/lowering/types.js';
import { Model } from '../../../lib/onnx/model.js';
import {
  ATTRIBUTE_TYPE,
  type ModelMessage,
  ModelProto,
  type NodeMessage,
  TensorProto,
} from '../../../lib/onnx/protobuf/proto.js';
import { encodeTensor } from '../../../lib/onnx/protobuf/tensors.js';
import { batchNormToGroupNorm, type BatchNormOptions } from '../../../lib/rewrite/batch-norm/batch-norm.js';
import { createSession } from '../../../lib/runtime/node.js';
import { type FloatDType, tensor, type TensorData } from '../../../lib/tensor.js';
import { decodeSafetensors } from '../../../lib/weights/safetensors.js';
import { maxAbsDifference, randomTensor, referenceGroupNorm } from '../../support/group-norm.js';
import { caught } from '../../support/temporary.js';

use(onnxMatchers);

const SAMPLES = new URL('../../samples/batch-norm/', import.meta.url);
const NAMES = readdirSync(SAMPLES).flatMap((file) => (file.endsWith('.onnx') ? [file.slice(0, -5)] : []));
const read = (file: string): Uint8Array => new Uint8Array(readFileSync(new URL(file, SAMPLES)));

const RECIPES = {
  fresh: { numGroups: 8 },
  kept: { numGroups: 4, keepAffine: true },
} as const;

const namesOf = (bytes: Uint8Array): string[] =>
  (ModelProto.decode(bytes).graph!.initializer ?? []).map(({ name }) => name!);

const operatorsOf = (bytes: Uint8Array): string[] => Model.decode(bytes).nodes.map(({ opType }) => opType);

async function run(bytes: Uint8Array, x: TensorData): Promise<TensorData> {
  await using session = await createSession(bytes);
  return (await session.run({ [session.inputs[0]!.name]: x }))[session.outputs[0]!.name]!;
}

describe('batchNormToGroupNorm on what PyTorch exports', () => {
  for (const name of NAMES) {
    for (const [recipe, options] of Object.entries(RECIPES)) {
      it(`batchNormToGroupNorm equals the module after the recipe in PyTorch: ${name}, ${recipe}`, async () => {
        const { tensors } = decodeSafetensors(read(`${name}.safetensors`));
        const expected = castTensor(tensors.get(recipe)!, 'float32');
        for (const lowering of [undefined, 'reduce-mean', 'instance-norm'] as const) {
          const { bytes } = batchNormToGroupNorm(read(`${name}.onnx`), { ...options, lowering });
          expect(await run(bytes, tensors.get('x')!), lowering).to.matchTensor(expected);
        }
      });
    }

    it(`batchNormToGroupNorm keeps the names of the state_dict, and leaves no tensor unread: ${name}`, () => {
      const { tensors } = decodeSafetensors(read(`${name}.safetensors`));
      const keys = [...tensors.keys()].flatMap((key) =>
        key.startsWith('state_dict.') ? [key.slice(11)] : [],
      );
      const isStatistic = (key: string) => /running_|num_batches/.test(key);
      const { bytes, norms, removed, warnings, convsWithoutNorm } = batchNormToGroupNorm(
        read(`${name}.onnx`),
      );
      const model = Model.decode(bytes);
      expect(operatorsOf(bytes)).to.not.include('BatchNormalization');
      expect(namesOf(bytes)).to.include.members(keys.filter((key) => !isStatistic(key)));
      expect(namesOf(bytes).filter((one) => !model.index.isRead(one))).to.deep.equal([]);
      expect(removed.filter((one) => keys.includes(one))).to.have.members(
        keys.filter((key) => isStatistic(key) && !key.endsWith('num_batches_tracked')),
      );
      for (const { module, weight, bias } of norms.filter((norm) => norm.module !== 'plain')) {
        expect([weight, bias]).to.deep.equal([`${module}.weight`, `${module}.bias`]);
        expect(model.constant(weight)).to.matchTensor(
          filledTensor('float32', model.constant(weight)!.dims, 1),
        );
        expect(model.constant(bias)).to.matchTensor(filledTensor('float32', model.constant(bias)!.dims, 0));
      }
      expect(convsWithoutNorm).to.deep.equal([]);
      expect(warnings[0]).to.include('must be trained again');
    });
  }

  it('batchNormToGroupNorm halves the groups until they divide the channels, and keeps each epsilon', () => {
    const { norms } = batchNormToGroupNorm(read('images-dynamo.onnx'));
    expect(norms.map(({ module, channels, numGroups }) => [module, channels, numGroups])).to.deep.equal([
      ['stem.1', 16, 16],
      ['bn', 12, 4],
      ['shared', 12, 4],
      ['plain', 12, 4],
      ['shared', 12, 4],
    ]);
    expect(norms.map(({ epsilon }) => epsilon)).to.deep.equal(
      [1e-3, 1e-5, 1e-5, 1e-5, 1e-5].map(Math.fround),
    );
  });
});

const { INT, FLOAT } = ATTRIBUTE_TYPE;
const EPSILON = 1e-3;
const DIMS = [2, 6, 3, 4];

/** BatchNormalization of x with the tensors s, b, m and v; output y. */
interface Options {
  readonly opset?: number;
  readonly irVersion?: number;
  readonly dtype?: FloatDType;
  readonly parameterDtype?: FloatDType;
  readonly dims?: readonly number[] | undefined;
  readonly node?: NodeMessage;
  readonly attributes?: NonNullable<NodeMessage['attribute']>;
  /** Nodes before and behind. */
  readonly others?: readonly NodeMessage[];
  readonly change?: (model: ModelMessage) => void;
}

const PARAMETERS = Object.fromEntries(
  ['s', 'b', 'm', 'v'].map((name) => [
    name,
    randomTensor('float32', [6], { stream: name, mean: 2, deviation: 0.3 }),
  ]),
);

function batchNorm(options: Options = {}): Uint8Array {
  const { opset = 17, irVersion = 8, dtype = 'float32', parameterDtype = dtype, dims = DIMS } = options;
  const [elemType, inside] = [ONNX_DTYPE[dtype], ONNX_DTYPE[parameterDtype]];
  const shape = { dim: dims.map((dimValue) => ({ dimValue })) };
  const x = { name: 'x', type: { tensorType: { elemType, shape } } };
  const y = { name: 'y', type: { tensorType: { elemType } } };
  const parameters = Object.entries(PARAMETERS).map(([name, data]) =>
    encodeTensor(name, castTensor(data, parameterDtype)),
  );
  const listed = parameters.map(({ name }) => ({
    name: name,
    type: { tensorType: { elemType: inside, shape: { dim: [{ dimValue: 6 }] } } },
  }));
  const node: NodeMessage = {
    opType: 'BatchNormalization',
    name: 'bn',
    input: ['x', 's', 'b', 'm', 'v'],
    output: ['y'],
    attribute: [{ name: 'epsilon', type: FLOAT, f: EPSILON }, ...(options.attributes ?? [])],
    ...options.node,
  };
  const message: ModelMessage = {
    irVersion,
    opsetImport: [{ domain: '', version: opset }],
    graph: {
      name: 'g',
      node: [...(options.others ?? []), node],
      input: [x, ...(irVersion < 4 ? listed : [])],
      output: [y],
      initializer: parameters,
    },
  };
  options.change?.(message);
  return ModelProto.encode(message).finish();
}

const int = (name: string, i: number) => ({ name, type: INT, i });

/** What the model computes with 3 groups, in float64. */
const expectedOf = (x: TensorData, keepAffine = false) =>
  referenceGroupNorm({
    x,
    ...(keepAffine && { scale: PARAMETERS.s, bias: PARAMETERS.b }),
    numGroups: 3,
    eps: Math.fround(EPSILON),
  });

const X = randomTensor('float32', DIMS, { mean: 1, deviation: 2 });
const convert = (bytes: Uint8Array, options: BatchNormOptions = {}) =>
  batchNormToGroupNorm(bytes, { numGroups: 3, ...options });

/** Results of up to 10: what torch.testing.assert_close allows of them. */
const TOLERANCE: Record<FloatDType, number> = {
  float32: 2.3e-5,
  float64: 1.1e-6,
  float16: 0.01,
  bfloat16: 0.17,
};

describe('batchNormToGroupNorm', () => {
  for (const opset of [7, 8, 9, 12, 13, 14, 15, 17, 18, 20, 21, 22, 25]) {
    it(`batchNormToGroupNorm writes a model of opset ${opset} at its own opset`, async () => {
      for (const keepAffine of [false, true]) {
        const bytes = batchNorm({ opset, irVersion: opset < 9 ? 3 : 8 });
        const { bytes: converted } = convert(bytes, { keepAffine });
        expect(Model.decode(converted).opset).to.equal(opset);
        expect(operatorsOf(converted).includes('GroupNormalization')).to.equal(opset >= 21);
        expect(maxAbsDifference(await run(converted, X), expectedOf(X, keepAffine))).to.be.below(
          TOLERANCE.float32,
        );
      }
    });
  }

  for (const dtype of ['float16', 'bfloat16', 'float64'] as const) {
    it(`batchNormToGroupNorm converts ${dtype}`, async () => {
      const x = castTensor(X, dtype);
      for (const [opset, keepAffine] of [
        [17, false],
        [17, true],
        [21, false],
        [21, true],
      ] as const) {
        // prettier-ignore
        const { bytes } = convert(batchNorm({ dtype, opset }), { keepAffine });
        expect(Model.decode(bytes).constant('s')!.dtype).to.equal(dtype);
        expect(maxAbsDifference(await run(bytes, x), expectedOf(x, keepAffine))).to.be.below(
          TOLERANCE[dtype],
        );
      }
    });
  }

  it('batchNormToGroupNorm casts scale and bias that are of another dtype than the input, as opset 15 allows', async () => {
    const x = castTensor(X, 'float16');
    for (const lowering of ['op', 'reduce-mean'] as LoweringName[]) {
      for (const keepAffine of [false, true]) {
        const bytes = batchNorm({ dtype: 'float16', parameterDtype: 'float32', opset: 21 });
        const { bytes: converted } = convert(bytes, { keepAffine, lowering });
        expect(Model.decode(converted).constant('s')!.dtype).to.equal('float32');
        expect(maxAbsDifference(await run(converted, x), expectedOf(x, keepAffine))).to.be.below(
          TOLERANCE.float16,
        );
      }
    }
  });

  for (const dims of [
    [4, 6],
    [2, 6, 5],
    [1, 6, 2, 2, 3],
  ]) {
    // prettier-ignore
    it(`batchNormToGroupNorm converts an input of rank ${dims.length}`, async () => {
      const x = randomTensor('float32', dims, { mean: 1, deviation: 2 });
      const { bytes } = convert(batchNorm({ dims }));
      expect(maxAbsDifference(await run(bytes, x), expectedOf(x))).to.be.below(TOLERANCE.float32);
    });
  }

  it('batchNormToGroupNorm converts a BatchNormalization in training form whose statistics are not read', async () => {
    const node = { output: ['y', 'm2', 'v2'] };
    const { bytes } = convert(batchNorm({ node, attributes: [int('training_mode', 1)] }));
    expect(maxAbsDifference(await run(bytes, X), expectedOf(X))).to.be.below(TOLERANCE.float32);
    const old = convert(batchNorm({ opset: 9, node: { output: ['y', 'm2', 'v2', 'sm', 'sv'] } }));
    expect(maxAbsDifference(await run(old.bytes, X), expectedOf(X))).to.be.below(TOLERANCE.float32);
  });

  it('batchNormToGroupNorm removes statistics that are inputs, and keeps a scale that is an optional input', () => {
    const change = ({ graph }: ModelMessage) => {
      const typeOf = (name: string) => ({
        name,
        type: { tensorType: { elemType: 1, shape: { dim: [{ dimValue: 6 }] } } },
      });
      graph!.input!.push(...['s', 'm', 'v'].map(typeOf));
      graph!.initializer = graph!.initializer!.filter(({ name }) => name !== 'v');
    };
    const { bytes, removed } = convert(batchNorm({ change }));
    const model = Model.decode(bytes);
    expect([model.inputNames, model.optionalInputs.map(({ name }) => name)]).to.deep.equal([['x'], ['s']]);
    expect(removed).to.deep.equal(['m', 'v']);
    expect(namesOf(bytes)).to.include.members(['s', 'b']).and.not.include('m');
  });

  it('batchNormToGroupNorm keeps a computed scale with keepAffine, and refuses it by name without', async () => {
    const others = [{ opType: 'Abs', name: 'abs', input: ['s'], output: ['t'] }];
    const bytes = batchNorm({ others, node: { input: ['x', 't', 'b', 'm', 'v'] } });
    expectRefused(bytes, "BatchNormalization 'bn': 't' is not a weight", {});
    const { bytes: converted } = convert(bytes, { keepAffine: true });
    expect(maxAbsDifference(await run(converted, X), expectedOf(X, true))).to.be.below(TOLERANCE.float32);
  });

  it('batchNormToGroupNorm gives a tensor that something else reads another name, and the new scale its own', async () => {
    // The first norm's bias is also added at the end, and its variance is the scale of the second norm.
    const second = { opType: 'BatchNormalization', name: 'second', input: ['y0', 'v', 'b', 'm', 's'], output: ['y1'], attribute: [{ name: 'epsilon', type: FLOAT, f: EPSILON }] }; // prettier-ignore
    const shape = { opType: 'Constant', output: ['shape'], attribute: [{ name: 'value_ints', type: ATTRIBUTE_TYPE.INTS, ints: [6, 1, 1] }] }; // prettier-ignore
    const column = { opType: 'Reshape', input: ['b', 'shape'], output: ['column'] };
    const end = { opType: 'Add', input: ['y1', 'column'], output: ['y'] };
    const change = ({ graph }: ModelMessage) => graph!.node!.push(second, shape, column, end);
    const { bytes, norms, removed } = convert(
      batchNorm({ node: { output: ['y0'] }, change: (model) => void change(model) }),
    );
    expect(norms.map(({ weight, bias }) => [weight, bias])).to.deep.equal([['s', 'b'], ['v', 'b']]); // prettier-ignore
    expect(removed).to.deep.equal(['m']);
    const once = expectedOf(X);
    const twice = expectedOf(tensor('float64', DIMS, once));
    const bias = PARAMETERS.b!.data;
    const expected = twice.map((value, index) => value + bias[Math.floor(index / 12) % 6]!);
    expect(maxAbsDifference(await run(bytes, X), expected)).to.be.below(TOLERANCE.float32);
  });

  it('batchNormToGroupNorm makes two tensors of a tensor that is a scale here and a bias there', async () => {
    const change = ({ graph }: ModelMessage) => {
      graph!.node!.push({ opType: 'BatchNormalization', input: ['y0', 'b', 's', 'm', 'v'], output: ['y'] });
    };
    const { bytes, norms } = convert(batchNorm({ node: { output: ['y0'] }, change }));
    expect(norms.map(({ weight, bias }) => [weight, bias])).to.deep.equal([['s', 'b'], ['b_1', 's_1']]); // prettier-ignore
    const values = ['s', 'b', 'b_1', 's_1'].map((name) => Model.decode(bytes).constant(name)!.data[0]);
    expect(values).to.deep.equal([1, 0, 1, 0]);
    await run(bytes, X);
  });

  it('batchNormToGroupNorm replaces tensors in files of their own, and leaves other references', () => {
    const change = ({ graph }: ModelMessage) => {
      for (const one of graph!.initializer!) {
        delete one.rawData;
        one.dataLocation = TensorProto.DataLocation.EXTERNAL;
        one.externalData = [{ key: 'location', value: one.name === 's' ? 'kept.bin' : 'gone.bin' }];
      }
      graph!.node!.push({ opType: 'Identity', input: ['s'], output: ['other'] });
      graph!.output!.push({ name: 'other', type: { tensorType: { elemType: 1 } } });
    };
    const { bytes } = convert(batchNorm({ change }));
    expect([...Model.decode(bytes).externalFiles.keys()]).to.deep.equal(['kept.bin']);
    const kept = convert(batchNorm({ change }), { keepAffine: true });
    expect([...Model.decode(kept.bytes).externalFiles.keys()]).to.have.members(['kept.bin', 'gone.bin']);
  });

  it('batchNormToGroupNorm names the PyTorch modules that the names of tensors tell', () => {
    const named = (from: readonly string[]) => {
      const change = ({ graph }: ModelMessage) => {
        graph!.node![0]!.input = ['x', ...from];
        for (const [index, one] of graph!.initializer!.entries()) one.name = from[index]!;
      };
      return convert(batchNorm({ change })).norms[0]!.module;
    };
    expect(named(['a.0.weight', 'a.0.bias', 'm', 'v'])).to.equal('a.0');
    expect(named(['s', 'b', 'a.running_mean', 'a.running_var'])).to.equal('a');
    expect(named(['weight', 'bias', 'running_mean', 'running_var'])).to.equal('');
    expect(named(['a.weight', 'b.bias', 'm', 'v'])).to.equal(undefined);
    expect(named(['gamma', 'beta', 'mean', 'variance'])).to.equal(undefined);
  });

  it('batchNormToGroupNorm warns of groups of one element, whose result does not depend on the input', () => {
    const { warnings } = batchNormToGroupNorm(batchNorm({ dims: [4, 6] }), { numGroups: 6 });
    expect(warnings).to.have.lengthOf(2);
    expect(warnings[1]).to.include('1 normalization (bn) has groups of one element');
    expect(convert(batchNorm({ dims: [4, 6] })).warnings).to.have.lengthOf(1);
  });

  it('batchNormToGroupNorm lists the convolutions that a BatchNormalization was folded into', () => {
    const weights = ['w1', 'w2', 'w3'].map((name) =>
      encodeTensor(name, randomTensor('float32', [6, 6, 1, 1])),
    );
    const biases = ['onnx::Conv_5', 'se.bias', 'zeros'].map((name) =>
      encodeTensor(name, filledTensor('float32', [6], name === 'zeros' ? 0 : 2)),
    );
    const conv = (input: string[], output: string) => ({
      opType: 'Conv',
      name: `conv of ${output}`,
      input,
      output: [output],
    });
    const change = ({ graph }: ModelMessage) => {
      graph!.initializer!.push(...weights, ...biases);
      graph!.node!.push(
        conv(['y0', 'w1', 'onnx::Conv_5'], 'y1'),
        conv(['y1', 'w2', 'se.bias'], 'y2'),
        conv(['y2', 'w3', 'zeros'], 'y'),
      );
    };
    const { convsWithoutNorm, warnings } = convert(batchNorm({ node: { output: ['y0'] }, change }));
    expect(convsWithoutNorm).to.deep.equal([
      { name: 'conv of y1', bias: 'onnx::Conv_5', isFolded: true },
      { name: 'conv of y2', bias: 'se.bias', isFolded: false },
    ]);
    expect(warnings[1]).to.match(/^1 convolution \(conv of y1\) had a BatchNormalization .* optimize=False/);
    const without = batchNorm({
      change: (model) => {
        change(model);
        model.graph!.node!.shift();
        model.graph!.node!.unshift({ opType: 'Relu', input: ['x'], output: ['y0'] });
      },
      node: { output: ['y0'] },
    });
    expectRefused(
      without,
      'the model has no BatchNormalization. 2 convolutions (conv of y1, conv of y2) may have had',
      {},
    );
  });
});

function expectRefused(bytes: Uint8Array, message: string, options: BatchNormOptions = {}): void {
  const error = caught(() => convert(bytes, { where: 'a.onnx', ...options }));
  expect(error).to.be.instanceOf(ModelError).with.property('code', 'MODEL_UNSUPPORTED');
  expect((error as Error).message).to.include(`a.onnx: ${message}`);
}

describe('batchNormToGroupNorm refuses', () => {
  it('batchNormToGroupNorm refuses spatial = 0, and takes spatial = 1', () => {
    const at = (spatial: number) =>
      batchNorm({ opset: 8, irVersion: 3, attributes: [int('spatial', spatial)] });
    expectRefused(at(0), "BatchNormalization 'bn': spatial = 0");
    expect(convert(at(1)).norms).to.have.lengthOf(1);
  });

  it('batchNormToGroupNorm refuses statistics that a node or the caller reads', () => {
    const attributes = [int('training_mode', 1)];
    const change = ({ graph }: ModelMessage) =>
      void graph!.output!.push({ name: 'm2', type: { tensorType: { elemType: 1 } } });
    expectRefused(
      batchNorm({ node: { output: ['y', 'm2'] }, attributes, change }),
      "BatchNormalization 'bn': its statistics 'm2' are read",
    );
  });

  it('batchNormToGroupNorm refuses a BatchNormalization in a body or a function, and names its place', () => {
    const inner = {
      opType: 'BatchNormalization',
      name: 'inner',
      input: ['x', 's', 'b', 'm', 'v'],
      output: ['i'],
    };
    const branch = (name: string, node: NodeMessage) => ({
      name,
      type: ATTRIBUTE_TYPE.GRAPH,
      g: { name, node: [node], output: [{ name: 'i' }] },
    });
    const pass = { opType: 'Identity', input: ['x'], output: ['i'] };
    const choice = { opType: 'If', name: 'choice', input: ['c'], output: ['y2'], attribute: [branch('then_branch', inner), branch('else_branch', pass)] }; // prettier-ignore
    const inBody = batchNorm({
      change: ({ graph }) => {
        graph!.node!.push(choice);
        graph!.input!.push({ name: 'c', type: { tensorType: { elemType: 9 } } });
      },
    });
    expectRefused(inBody, "BatchNormalization 'inner': it is in the body of If 'choice'");
    const inFunction = batchNorm({
      change: (model) => {
        model.functions = [
          { name: 'Block', domain: 'own', input: ['x', 's', 'b', 'm', 'v'], output: ['i'], node: [inner], opsetImport: [{ domain: '', version: 17 }] }, // prettier-ignore
        ];
      },
    });
    expectRefused(inFunction, "BatchNormalization 'inner': it is in the function own.Block");
  });

  it('batchNormToGroupNorm refuses inputs without channels, and of a number of channels that does not fit', () => {
    expectRefused(batchNorm({ dims: [6] }), "BatchNormalization 'bn': its input [6] does not have channels");
    expectRefused(
      batchNorm({ dims: [2, 5, 3] }),
      "BatchNormalization 'bn': scale and bias must have one element for each channel",
    );
  });

  it('batchNormToGroupNorm names every node that it refuses, up to five', () => {
    const nodes = Array.from({ length: 7 }, (_, index) => ({
      opType: 'BatchNormalization',
      name: `n${index}`,
      input: ['x', 'x', 'b', 'm', 'v'],
      output: [`o${index}`],
    }));
    const error = caught(() =>
      convert(batchNorm({ change: ({ graph }) => void graph!.node!.push(...nodes) })),
    );
    expect((error as Error).message).to.match(/n0.*n1.*n2.*n3.*n4.* and 2 more$/);
  });

  it('batchNormToGroupNorm refuses a scale that is an input which other nodes read too', () => {
    const change = ({ graph }: ModelMessage) =>
      void graph!.node!.push({ opType: 'Identity', input: ['s'], output: ['other'] });
    expectRefused(
      batchNorm({ opset: 8, irVersion: 3, change }),
      "'s' is a scale or bias, and more than that",
    );
  });

  it('batchNormToGroupNorm refuses a model without BatchNormalization, an old opset, and a lowering that does not fit', () => {
    const relu = batchNorm({ node: { opType: 'Relu', input: ['x'], attribute: [] } });
    expectRefused(relu, 'the model has no BatchNormalization to replace');
    const errors = [
      () => convert(batchNorm({ opset: 6, irVersion: 3 })),
      () => convert(batchNorm({ opset: 17 }), { lowering: 'op' }),
      () => convert(batchNorm({ opset: 9 }), { lowering: 'layer-norm' }),
      () => convert(batchNorm(), { lowering: 'group' as LoweringName }),
    ].map(caught);
    expect(errors.map((error) => (error as GraphError).code)).to.deep.equal([
      'UNSUPPORTED_OPSET',
      'LOWERING_UNAVAILABLE',
      'LOWERING_UNAVAILABLE',
      'UNKNOWN_LOWERING',
    ]);
  });

  it('batchNormToGroupNorm refuses options and arguments of a wrong type', () => {
    for (const numGroups of [0, -1, 1.5, NaN, '8' as unknown as number]) {
      expect(caught(() => batchNormToGroupNorm(batchNorm(), { numGroups })))
        .to.be.instanceOf(OptionError)
        .with.property('message')
        .that.includes('numGroups must be an integer of at least 1');
    }
    expect(caught(() => batchNormToGroupNorm('a.onnx' as unknown as Uint8Array))).to.be.instanceOf(
      OptionError,
    );
    expect(caught(() => batchNormToGroupNorm(batchNorm(), { groups: 8 } as BatchNormOptions)))
      .to.be.instanceOf(OptionError)
      .with.property('code', 'UNKNOWN_OPTION');
    expect(caught(() => batchNormToGroupNorm(batchNorm().slice(0, 40))))
      .to.be.instanceOf(ModelError)
      .with.property('code', 'MODEL_INVALID');
  });
});
