import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { ModelError, OnnxGroupNormError } from '../../lib/errors.js';
import { readTestDataSet } from '../../lib/parity/test-data-set.js';
import { int, message, model, text, valueInfo } from '../onnx/bytes.js';
import { rejection, temporaryFolder } from '../support/temporary.js';
import {
  copyModel,
  DIFFERENCE,
  floatFile,
  ONNX_MODEL,
  TORCH_MODEL,
  writeDifference,
} from '../support/test-data.js';

const INVALID = 'FIXTURE_INVALID';

const shapes = (tensors: ReadonlyMap<string, { dtype: string; dims: readonly number[] }>) =>
  [...tensors].map(([name, { dtype, dims }]) => [name, dtype, dims]);

describe('readTestDataSet', () => {
  const at = temporaryFolder();

  it("readTestDataSet takes PyTorch's tensors, which have no names, in the model's order", async () => {
    const dataSet = await readTestDataSet(join(TORCH_MODEL, 'test_data_set_1'));
    expect(dataSet).to.include({
      file: join(TORCH_MODEL, 'test_data_set_1'),
      model: join(TORCH_MODEL, 'model.onnx'),
      opset: 21,
    });
    expect(shapes(dataSet.inputs)).to.deep.equal([['x', 'float32', [1, 2, 4, 5]]]);
    expect(shapes(dataSet.outputs)).to.deep.equal([
      ['relu', 'float32', [1, 4, 4, 5]],
      ['argmax', 'int64', [1, 4, 5]],
      ['gt', 'bool', [1, 4, 5]],
    ]);
  });

  it("readTestDataSet reads ONNX's own data sets, whose scale and bias are inputs", async () => {
    const { inputs, outputs } = await readTestDataSet(join(ONNX_MODEL, 'test_data_set_0'));
    expect([...inputs.keys(), ...outputs.keys()]).to.deep.equal(['x', 'scale', 'bias', 'y']);
  });

  it('readTestDataSet assigns tensors by name if they have names of the model', async () => {
    const swapped = { 'input_0.pb': floatFile('b', [1, 2]), 'input_1.pb': floatFile('a', [5, 7]) };
    const { inputs } = await readTestDataSet(writeDifference(at(), { ...DIFFERENCE, ...swapped }));
    expect([...inputs].map(([name, { data }]) => [name, ...data])).to.deep.equal([
      ['a', 5, 7],
      ['b', 1, 2],
    ]);
  });

  it('readTestDataSet does not count initializers among the inputs', async () => {
    const weight = message(5, text(8, 'w'), int(1, 2), int(2, 1), message(9, new Array<number>(8).fill(0)));
    const node = message(1, text(1, 'x'), text(1, 'w'), text(2, 'y'), text(4, 'Add'));
    const graph = [
      node,
      weight,
      valueInfo(11, 'w', 1, 2),
      valueInfo(11, 'x', 1, 2),
      valueInfo(12, 'y', 1, 2),
    ];
    const folder = writeDifference(at(), {
      'input_0.pb': floatFile('', [1, 2]),
      'output_0.pb': floatFile('', [1, 2]),
    });
    writeFileSync(at('model.onnx'), model(...graph));
    expect([...(await readTestDataSet(folder)).inputs.keys()]).to.deep.equal(['x']);
  });

  /** The error of reading a valid data set after a change. */
  async function refusal(change: (folder: string) => void): Promise<unknown> {
    const folder = writeDifference(at(), DIFFERENCE);
    change(folder);
    return rejection(readTestDataSet(folder));
  }
  const write = (name: string, bytes: Uint8Array | string) => (folder: string) =>
    writeFileSync(join(folder, name), bytes);
  const remove = (name: string) => (folder: string) => rmSync(join(folder, name), { recursive: true });
  const replaceByFolder = (name: string) => (folder: string) => {
    remove(name)(folder);
    mkdirSync(join(folder, name));
  };
  const replaceModel = (bytes: Uint8Array) => write('../model.onnx', bytes);
  const sequence = (field: number, name: string) => message(field, text(1, name), message(2, message(4)));

  const cases: Record<string, [change: (folder: string) => void, code: string, words: string]> = {
    'there is no model': [remove('../model.onnx'), INVALID, 'its model must be beside it, as '],
    'the model is damaged': [
      replaceModel(Uint8Array.of(0x0a, 9)),
      'MODEL_INVALID',
      'model.onnx: this is not an ONNX model',
    ],
    'an output is missing': [
      remove('output_1.pb'),
      INVALID,
      "it has 1 output (output_0.pb), and its model has 2 outputs (output_0.pb ('y'), output_1.pb ('z'))",
    ],
    'the first output is missing': [
      remove('output_0.pb'),
      INVALID,
      "'output_0.pb' is missing, but there is 'output_1.pb'",
    ],
    'there is an input too many': [
      write('input_2.pb', floatFile('', [1])),
      INVALID,
      'it has 3 inputs (input_0.pb, input_1.pb, input_2.pb), and its model has 2 inputs',
    ],
    'there is a file of another kind': [
      write('notes.txt', ''),
      INVALID,
      "it holds 'notes.txt'; allowed: input_0.pb",
    ],
    'a tensor is damaged': [
      write('output_1.pb', floatFile('', [1, 2]).slice(0, 9)),
      'TENSOR_INVALID',
      join('test_data_set_0', 'output_1.pb: this is not a TensorProto'),
    ],
    'a file is a folder': [replaceByFolder('input_0.pb'), 'FILE_UNREADABLE', 'input_0.pb'],
    'an input is a sequence': [
      replaceModel(model(sequence(11, 'a'), sequence(12, 'y'))),
      INVALID,
      "the model's input 'a' is a sequence; a test data set can hold tensors only",
    ],
    'an output is a sequence': [
      replaceModel(model(valueInfo(11, 'a', 1), valueInfo(11, 'b', 1), sequence(12, 'y'))),
      INVALID,
      "the model's output 'y' is a sequence; a test data set can hold tensors only",
    ],
    'the folder is missing': [remove('.'), 'FILE_NOT_FOUND', 'test_data_set_0'],
    'the folder is empty': [
      (folder) => Object.keys(DIFFERENCE).forEach((name) => remove(name)(folder)),
      INVALID,
      'it has no input, and its model has 2 inputs',
    ],
  };
  for (const [what, [change, code, words]] of Object.entries(cases)) {
    it(`readTestDataSet refuses a data set if ${what}`, async () => {
      const error = await refusal(change);
      expect(error).to.be.instanceOf(OnnxGroupNormError).and.include({ code });
      expect((error as Error).message).to.include(words);
    });
  }

  it('readTestDataSet refuses a tensor file that is cut short anywhere', async () => {
    copyModel(TORCH_MODEL, at());
    const folder = at('test_data_set_0');
    const bytes = readFileSync(join(folder, 'output_1.pb'));
    for (let length = 0; length < bytes.length; length += 13) {
      writeFileSync(join(folder, 'output_1.pb'), bytes.subarray(0, length));
      const error = await rejection(readTestDataSet(folder));
      expect(error).to.be.instanceOf(ModelError).with.property('code', 'TENSOR_INVALID');
      expect((error as Error).message).to.include('output_1.pb: ');
    }
  });
});
