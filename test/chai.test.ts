/** The plugin of chai: each matcher passes, fails with a message that says where, and refuses what it cannot compare. */
import { AssertionError, expect, use } from 'chai';
import { describe, it } from 'mocha';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tensor } from 'onnxruntime-common';
import onnxMatchers from '../lib/chai.js';
import { FileError, OnnxGroupNormError, ParityError } from '../lib/errors.js';
import { GraphBuilder } from '../lib/graph/builder.js';
import * as op from '../lib/graph/ops/index.js';
import { castTensor } from '../lib/half.js';
import { encodeModel } from '../lib/onnx/encode.js';
import { TensorProto } from '../lib/onnx/protobuf/proto.js';
import { encodeTensor } from '../lib/onnx/protobuf/tensors.js';
import { type BuildGraph, buildFixtureModel } from '../lib/parity/check.js';
import { readFixture } from '../lib/parity/node.js';
import { createSession } from '../lib/runtime/node.js';
import { tensor, type TensorData } from '../lib/tensor.js';
import { getGraph } from '../graphs/registry.js';
import { decodeSafetensors, encodeSafetensors } from '../lib/weights/safetensors.js';
import { caught, rejection, temporaryFolder } from './support/temporary.js';
import { DIFFERENCE, floatFile, TORCH_MODEL, writeDifference } from './support/test-data.js';
import { TORCH_MODULES, withScaledWeight } from './support/torch-modules.js';

use(onnxMatchers);

const floats = (values: readonly number[], dims: readonly number[] = [values.length]): TensorData =>
  tensor('float32', dims, Float32Array.from(values));

const messageOf = (action: () => unknown): string => {
  const error = caught(action);
  expect(error).to.be.instanceOf(AssertionError);
  return (error as Error).message;
};

const failureOf = async (promise: Promise<unknown>): Promise<string> => {
  const error = await rejection(promise);
  expect(error).to.be.instanceOf(AssertionError);
  return (error as Error).message;
};

function refuses(error: unknown, code: string, message: string): void {
  expect(error).to.be.instanceOf(OnnxGroupNormError);
  expect(error).to.include({ code, message });
}

describe('matchTensor', () => {
  it('matchTensor passes for tensors, typed arrays and tensors of onnxruntime, in any pair', () => {
    const values = [1, -2.5, 3, 4];
    const kinds = [
      floats(values, [2, 2]),
      Float32Array.from(values),
      new Tensor('float32', Float32Array.from(values), [2, 2]),
    ];
    for (const actual of kinds) {
      for (const expected of kinds) expect(actual).to.matchTensor(expected);
    }
  });

  it('matchTensor has the default tolerance of torch.testing.assert_close for the dtype', () => {
    expect(floats([1])).to.matchTensor(floats([1 + 1e-5]));
    expect(floats([1])).not.to.matchTensor(floats([1 + 1.3e-5]));
    const doubles = (value: number) => Float64Array.of(value);
    expect(doubles(1)).to.matchTensor(doubles(1 + 1.9e-7));
    expect(doubles(1)).not.to.matchTensor(doubles(1 + 2.1e-7));
  });

  it('matchTensor says how many elements differ, which is the worst, both values and their distance in ULP', () => {
    const actual = floats([1, 2.5, 3, 4, 5, 6.25], [2, 3]);
    const expected = floats([1, 2, 3, 4, 5, 6], [2, 3]);
    // Floats in [2, 4) are 2^-22 apart.
    expect(messageOf(() => expect(actual).to.matchTensor(expected))).to.equal(
      'expected float32 [2, 3] to match: 2 of 6 elements are beyond the tolerance (rtol 1.3e-6, atol 1e-5)\n' +
        '  the worst, at index [0, 1], is 2.5, expected 2: 2097152 ULP apart\n' +
        '  largest difference 5.0e-1 absolute, 2.5e-1 relative',
    );
    expect(actual).to.matchTensor(expected, { rtol: 0, atol: 0.5 });
    expect(actual).to.matchTensor(expected, { rtol: 0.25 });
  });

  it('matchTensor counts one element in the singular, and keeps the message of expect', () => {
    expect(messageOf(() => expect(floats([1], []), 'logit').to.matchTensor(floats([2], [])))).to.equal(
      'logit: expected float32 [] to match: 1 of 1 element is beyond the tolerance (rtol 1.3e-6, atol 1e-5)\n' +
        '  the worst, at index [], is 1, expected 2: 8388608 ULP apart\n' +
        '  largest difference 1.0e+0 absolute, 5.0e-1 relative',
    );
  });

  it('matchTensor says first that the dtypes differ, and then how the values do', () => {
    const doubles = (values: readonly number[]) => Float64Array.from(values);
    expect(messageOf(() => expect(floats([1, 2])).to.matchTensor(doubles([1, 2])))).to.equal(
      'expected float32 [2] to match: the dtype must be float64\n' +
        '  all 2 elements are within the tolerance (rtol 1.3e-6, atol 1e-5)',
    );
    expect(messageOf(() => expect(floats([1, 2])).to.matchTensor(doubles([1, 4])))).to.equal(
      'expected float32 [2] to match: the dtype must be float64\n' +
        '  1 of 2 elements is beyond the tolerance (rtol 1.3e-6, atol 1e-5)\n' +
        '  the worst, at index [1], is 2, expected 4: 8388608 ULP apart\n' +
        '  largest difference 2.0e+0 absolute, 5.0e-1 relative',
    );
    expect(floats([1, 2])).not.to.matchTensor(doubles([1, 2]));
  });

  it('matchTensor compares different dtypes with checkDtype: false, within the larger tolerance of the two', () => {
    expect(floats([1 / 3])).to.matchTensor(Float64Array.of(1 / 3), { checkDtype: false });
    const half = castTensor(floats([1]), 'float16');
    expect(half).to.matchTensor(floats([1.001]), { checkDtype: false });
    expect(half).not.to.matchTensor(floats([1.002]), { checkDtype: false });
    expect(Int32Array.of(3)).to.matchTensor(BigInt64Array.of(3n), { checkDtype: false });
  });

  it('matchTensor says first that the shapes differ', () => {
    expect(messageOf(() => expect(floats([1, 2], [1, 2])).to.matchTensor(floats([1, 2], [2, 1])))).to.equal(
      'expected float32 [1, 2] to match: the shape must be [2, 1]',
    );
    expect(messageOf(() => expect(floats([1, 2], [1, 2])).to.matchTensor(Float64Array.of(1)))).to.equal(
      'expected float32 [1, 2] to match: the dtype and shape must be float64 [1]',
    );
    expect(floats([1, 2])).not.to.matchTensor(floats([1, 2, 3]));
  });

  it('matchTensor with .not fails for tensors that match, and says within which tolerance', () => {
    expect(messageOf(() => expect(floats([1, 2])).not.to.matchTensor(floats([1, 2])))).to.equal(
      'expected float32 [2] not to match: all 2 elements are within the tolerance (rtol 1.3e-6, atol 1e-5)',
    );
  });

  it('matchTensor takes NaN as equal to NaN and to no number', () => {
    expect(floats([NaN])).to.matchTensor(floats([NaN]));
    expect(messageOf(() => expect(floats([1, NaN])).to.matchTensor(floats([1, 2])))).to.equal(
      'expected float32 [2] to match: 1 of 2 elements is beyond the tolerance (rtol 1.3e-6, atol 1e-5)\n' +
        '  the worst, at index [1], is NaN, expected 2\n' +
        '  one value is NaN and the other is not',
    );
    expect(floats([Infinity])).not.to.matchTensor(floats([3e38]), { rtol: 1 });
  });

  it('matchTensor passes for empty tensors of one shape', () => {
    expect(floats([], [0, 3])).to.matchTensor(floats([], [0, 3]));
    expect(floats([], [0, 3])).to.matchTensor(new Float32Array(0));
    expect(messageOf(() => expect(floats([], [0, 3])).to.matchTensor(floats([], [3, 0])))).to.equal(
      'expected float32 [0, 3] to match: the shape must be [3, 0]',
    );
    expect(messageOf(() => expect(floats([])).not.to.matchTensor(floats([])))).to.equal(
      'expected float32 [0] not to match: there are no elements',
    );
  });

  it('matchTensor compares float16 and bfloat16 by their values, given as tensors or as their bits', () => {
    const [one, more] = [floats([1, 2]), floats([1, 2.5])];
    for (const dtype of ['float16', 'bfloat16'] as const) {
      const half = castTensor(one, dtype);
      expect(half).to.matchTensor(half.data);
      expect(half.data).to.matchTensor(half);
      expect(half).not.to.matchTensor(castTensor(more, dtype));
    }
    // 2.5 is 2 + 256·2^-9.
    const [a, b] = [castTensor(one, 'float16'), castTensor(more, 'float16')];
    const ort = new Tensor('float16', b.data, [2]);
    expect(b).to.matchTensor(ort);
    expect(messageOf(() => expect(ort).to.matchTensor(a))).to.equal(
      'expected float16 [2] to match: 1 of 2 elements is beyond the tolerance (rtol 0.001, atol 1e-5)\n' +
        '  the worst, at index [1], is 2.5, expected 2: 256 ULP apart\n' +
        '  largest difference 5.0e-1 absolute, 2.5e-1 relative',
    );
  });

  it('matchTensor requires equal integers and bools whatever the tolerance, and writes all their digits', () => {
    const [actual, expected] = [BigInt64Array.of(2n ** 62n + 1n), BigInt64Array.of(2n ** 62n)];
    expect(messageOf(() => expect(actual).to.matchTensor(expected, { atol: 5 }))).to.equal(
      'expected int64 [1] to match: 1 of 1 element is beyond the tolerance (rtol 0, atol 0)\n' +
        '  the worst, at index [0], is 4611686018427387905, expected 4611686018427387904\n' +
        '  largest difference 1.0e+0 absolute, 2.2e-19 relative',
    );
    const bools = tensor('bool', [2], Uint8Array.of(0, 1));
    expect(bools).to.matchTensor(new Tensor('bool', Uint8Array.of(0, 1), [2]));
    expect(bools).to.matchTensor(Uint8Array.of(0, 1));
    expect(bools).not.to.matchTensor(Uint8Array.of(1, 1));
  });

  it('matchTensor refuses values that are not tensors of numbers, with .not too', () => {
    const one = floats([1]);
    for (const [value, kind] of [
      [undefined, 'Undefined'],
      [null, 'Null'],
      [1, 'Number'],
      ['model.onnx', 'String'],
      [[1], 'Array'],
      [{}, 'Object'],
      [new DataView(new ArrayBuffer(4)), 'DataView'],
      [Promise.resolve(one), 'Promise'],
    ] as const) {
      const told = (which: string) =>
        `the ${which} value is not a tensor but ${kind}: ` +
        'give a tensor of this library or of onnxruntime, or a typed array such as Float32Array.of(1, 2)';
      for (const to of [() => expect(value).to, () => expect(value).not.to]) {
        refuses(
          caught(() => to().matchTensor(one)),
          'TENSOR_INVALID',
          told('actual'),
        );
      }
      refuses(
        caught(() => expect(one).to.matchTensor(value)),
        'TENSOR_INVALID',
        told('expected'),
      );
    }
    refuses(
      caught(() => expect(new Tensor('string', ['a'], [1])).to.matchTensor(one)),
      'TENSOR_INVALID',
      'the actual value is a tensor of texts, and only numbers have tolerances: compare its data with deep.equal',
    );
    refuses(
      caught(() => expect({ ...one, dims: [2] }).to.matchTensor(one)),
      'TENSOR_INVALID',
      'shape [2] holds 2 elements, but the data has 1',
    );
  });

  it('matchTensor refuses options that it does not have, and tolerances that are not numbers', () => {
    const one = floats([1]);
    refuses(
      caught(() => expect(one).to.matchTensor(one, { tolerance: 1 } as never)),
      'UNKNOWN_OPTION',
      "matchTensor has no option 'tolerance'; it has: rtol, atol, checkDtype",
    );
    for (const expected of [one, Float64Array.of(1), Float32Array.of(1, 2)]) {
      refuses(
        caught(() => expect(one).not.to.matchTensor(expected, { atol: NaN })),
        'INVALID_OPTION',
        "the tolerance's atol must be a finite number of at least 0, not NaN",
      );
    }
  });
});

/** Writes a fixture: x = (−1, 2), and an output y. */
function writeFixture(path: string, y: readonly number[], metadata: Record<string, string> = {}): string {
  const content = {
    metadata: { graph: 'group-norm', options: '{}', framework: 'by hand', ...metadata },
    tensors: [
      ['input.x', floats([-1, 2])],
      ['output.y', floats(y)],
    ] as const,
  };
  writeFileSync(path, Buffer.concat(encodeSafetensors(content)));
  return path;
}

/** y = max(x, 0), under the name `output`. */
function reluModel(output = 'y'): Uint8Array {
  const g = new GraphBuilder('relu');
  g.output(output, op.relu(g, g.input('x', 'float32', [2])));
  return encodeModel(g.build(), new Map());
}

describe('matchFixture', () => {
  const at = temporaryFolder();

  it('matchFixture passes for a session that returns the outputs of the fixture', async () => {
    await using session = await createSession(reluModel(), { providers: ['cpu'] });
    await expect(session).to.matchFixture(writeFixture(at('right.safetensors'), [0, 2]));
    const loose = writeFixture(at('loose.safetensors'), [0, 2.5], { atol: '0.5', rtol: '0' });
    await expect(session).to.matchFixture(loose);
    await expect(session).not.to.matchFixture(loose, { atol: 0.25 });
    await expect(session).to.matchFixture(writeFixture(at('off.safetensors'), [0, 2.5]), { atol: 0.5 });
  });

  it('matchFixture says which output differs, where and by how much', async () => {
    await using session = await createSession(reluModel(), { providers: ['wasm'] });
    const path = writeFixture(at('wrong.safetensors'), [0, 2.5]);
    expect(await failureOf(expect(session).to.matchFixture(path))).to.equal(
      `expected the session on wasm to match ${path}:\n` +
        "  output 'y', float32 [2]: 1 of 2 elements is beyond the tolerance (rtol 1.3e-6, atol 1e-5)\n" +
        '  the worst, at index [1], is 2, expected 2.5: 2097152 ULP apart\n' +
        '  largest difference 5.0e-1 absolute, 2.0e-1 relative',
    );
    await expect(session).not.to.matchFixture(path);
    const right = writeFixture(at('right.safetensors'), [0, 2]);
    expect(await failureOf(expect(session).not.to.matchFixture(right))).to.equal(
      `expected the session on wasm not to match ${right}`,
    );
  });

  it('matchFixture names the layer at which the drift begins, if it is given the model', async () => {
    const path = TORCH_MODULES('fixture.safetensors');
    const fixture = await readFixture(path);
    const { dims, data } = fixture.stateDict.get('gn1.weight')!;
    const values = Float32Array.from(
      data as Float32Array,
      (value, index) => (index === 0 ? 1.05 : 1) * value,
    );
    const stateDict = new Map([...fixture.stateDict, ['gn1.weight', tensor('float32', dims, values)]]);
    const spec = { lowering: 'op', opset: 21, provider: 'cpu' } as const;
    const build: BuildGraph = (name, options, input) => getGraph(name).build(options, input);
    const model = buildFixtureModel({ ...fixture, stateDict }, spec, build);
    await using session = await createSession(model, { providers: ['cpu'] });
    const message = await failureOf(expect(session).to.matchFixture(path, { model }));
    expect(message).to.match(/\n {2}drift begins at gn1 \(GroupNormalization /);
    expect(await failureOf(expect(session).to.matchFixture(path))).not.to.include('drift');
    await expect(session).not.to.matchFixture(path, { model });
  });

  it('matchFixture says that a shape differs', async () => {
    await using session = await createSession(reluModel(), { providers: ['wasm'] });
    const path = writeFixture(at('longer.safetensors'), [0, 2, 0]);
    expect(await failureOf(expect(session).to.matchFixture(path))).to.equal(
      `expected the session on wasm to match ${path}:\n  output 'y', float32 [2]: the shape must be [3]`,
    );
  });

  it('matchFixture refuses what is not a session, a path or a fixture, with .not too', async () => {
    const path = writeFixture(at('right.safetensors'), [0, 2]);
    const session = await createSession(reluModel('z'), { providers: ['cpu'] });
    for (const [value, kind] of [
      ['model.onnx', 'String'],
      [undefined, 'Undefined'],
      [Promise.resolve(session), 'Promise'],
    ] as const) {
      refuses(
        await rejection(expect(value).not.to.matchFixture(path)),
        'INVALID_OPTION',
        `matchFixture: the actual value is not a session but ${kind}: give what createSession returns`,
      );
    }
    refuses(
      await rejection(expect(session).not.to.matchFixture(3 as never)),
      'INVALID_OPTION',
      'matchFixture: its argument must be the path of a file, not Number',
    );
    refuses(
      await rejection(expect(session).not.to.matchFixture(path)),
      'OUTPUT_INVALID',
      "'y' is not an output of the model; it has: z",
    );
    const missing = await rejection(expect(session).not.to.matchFixture(at('missing.safetensors')));
    expect(missing).to.be.instanceOf(FileError).with.property('code', 'FILE_NOT_FOUND');
    await session.dispose();
    expect(await rejection(expect(session).not.to.matchFixture(path))).to.have.property('code', 'DISPOSED');
    refuses(
      await rejection(expect(session).to.matchFixture(path, { provider: 'cpu' } as never)),
      'UNKNOWN_OPTION',
      "matchFixture has no option 'provider'; it has: rtol, atol, model",
    );
  });
});

describe('passParity', () => {
  const at = temporaryFolder();

  it('passParity passes for a model that returns what PyTorch computed, on every data set beside it', async () => {
    await expect(join(TORCH_MODEL, 'model.onnx')).to.passParity();
    await expect(join(TORCH_MODEL, 'model.onnx')).to.passParity({
      provider: 'wasm',
      groupNorm: 'reduce-mean',
    });
  });

  it('passParity takes a model of any name', async () => {
    cpSync(TORCH_MODEL, at('exported'), { recursive: true });
    cpSync(at('exported/model.onnx'), at('exported/unet.onnx'));
    await expect(at('exported/unet.onnx')).to.passParity();
  });

  it('passParity says which data set and output differ, where and by how much', async () => {
    const right = writeDifference(at('difference'), DIFFERENCE);
    const model = at('difference/model.onnx');
    await expect(model).to.passParity({ provider: 'wasm' });
    expect(await failureOf(expect(model).not.to.passParity({ provider: 'wasm' }))).to.equal(
      `expected ${model} on wasm not to pass parity`,
    );
    cpSync(right, at('difference/test_data_set_1'), { recursive: true });
    writeFileSync(at('difference/test_data_set_1/output_0.pb'), floatFile('', [4, 5.5]));
    await expect(model).not.to.passParity();
    expect(await failureOf(expect(model).to.passParity({ provider: 'wasm' }))).to.equal(
      `expected ${model} on wasm to pass parity:\n` +
        `  ${at('difference/test_data_set_1')}: output 'y', float32 [2]: ` +
        '1 of 2 elements is beyond the tolerance (rtol 1.3e-6, atol 1e-5)\n' +
        '  the worst, at index [1], is 5, expected 5.5: 1048576 ULP apart\n' +
        '  largest difference 5.0e-1 absolute, 9.1e-2 relative\n' +
        `  ${at('difference/test_data_set_1')}: the outputs on cpu are the same, so the model itself differs from ` +
        `PyTorch's: save what PyTorch's modules return as ${at('difference/test_data_set_1/activations.safetensors')} ` +
        'to see in which layer (docs/compare.md has the program)',
    );
    await expect(model).to.passParity({ atol: 0.5 });
  });

  it('passParity names the layer at which the drift begins, by the activations beside the model', async () => {
    const { tensors } = decodeSafetensors(readFileSync(TORCH_MODULES('network.safetensors')));
    const model = readFileSync(TORCH_MODULES('network-dynamo21.onnx'));
    mkdirSync(at('test_data_set_0'));
    for (const [file, name] of [
      ['input_0', 'input.x'],
      ['output_0', 'output[0]'],
      ['output_1', 'output[1]'],
    ] as const) {
      const message = encodeTensor('', tensors.get(name)!);
      writeFileSync(at(`test_data_set_0/${file}.pb`), TensorProto.encode(message).finish());
    }
    writeFileSync(at('model.onnx'), withScaledWeight(model, 'layers.1.bn1.weight', 2));
    cpSync(TORCH_MODULES('network.safetensors'), at('activations.safetensors'));
    expect(await failureOf(expect(at('model.onnx')).to.passParity())).to.include(
      'drift begins at layers.1.bn1 (',
    );
  });

  it('passParity refuses what is not a model with data sets, with .not too', async () => {
    refuses(
      await rejection(expect(3).not.to.passParity()),
      'INVALID_OPTION',
      'passParity: the actual value must be the path of a file, not Number',
    );
    writeFileSync(at('model.onnx'), reluModel());
    const none = await rejection(expect(at('model.onnx')).not.to.passParity());
    expect(none).to.be.instanceOf(ParityError).with.property('code', 'NO_FIXTURES');
    writeDifference(at('difference'), DIFFERENCE);
    writeFileSync(at('difference/model.onnx'), 'not a model');
    const broken = await rejection(expect(at('difference/model.onnx')).not.to.passParity());
    expect(broken).to.have.property('code', 'MODEL_INVALID');
    refuses(
      await rejection(expect(at('model.onnx')).to.passParity({ tolerance: 1 } as never)),
      'UNKNOWN_OPTION',
      "passParity has no option 'tolerance'; it has: provider, groupNorm, rtol, atol",
    );
  });
});
