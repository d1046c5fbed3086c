import { basename, dirname, join } from 'node:path';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { OptionError, ParityError } from '../../lib/errors.js';
import type { CaseResult } from '../../lib/parity/check.js';
import { describeFailure } from '../../lib/parity/report.js';
import {
  checkTestDataSet,
  readTestDataSet,
  type TestDataSet,
  type TestDataSpec,
} from '../../lib/parity/test-data-set.js';
import { tensor } from '../../lib/tensor.js';
import { NATIVE_REASON } from '../support/native.js';
import { rejection, temporaryFolder } from '../support/temporary.js';
import { DIFFERENCE, floatFile, ONNX_MODEL, TORCH_MODEL, writeDifference } from '../support/test-data.js';

const check = async (path: string, spec: Partial<TestDataSpec> = {}): Promise<CaseResult> =>
  checkTestDataSet(await readTestDataSet(path), { provider: 'cpu', ...spec });

describe('checkTestDataSet', () => {
  const at = temporaryFolder();

  for (const [framework, path] of [
    ['PyTorch', join(TORCH_MODEL, 'test_data_set_0')],
    ['PyTorch', join(TORCH_MODEL, 'test_data_set_1')],
    ['ONNX', join(ONNX_MODEL, 'test_data_set_0')],
  ] as const) {
    it(`an existing model passes in every way with the outputs of ${framework}: ${basename(dirname(path))}, ${basename(path)}`, async () => {
      for (const groupNorm of [undefined, 'op', 'reduce-mean', 'instance-norm', 'layer-norm'] as const) {
        const result = await check(path, { groupNorm });
        expect(describeFailure(result), groupNorm).to.equal('');
        expect(result).to.include({
          passed: true,
          lowering: groupNorm ?? 'default',
          opset: 21,
          provider: 'cpu',
        });
      }
    });
  }

  it('the result of a data set names the model and how it ran, and has no distances from float64', async () => {
    const result = await check(join(TORCH_MODEL, 'test_data_set_0'));
    expect(result).to.include({
      file: join(TORCH_MODEL, 'test_data_set_0'),
      graph: 'torch-segmentation',
      model: join(TORCH_MODEL, 'model.onnx'),
      groupNorm: NATIVE_REASON === undefined ? 'kernel' : 'reduce-mean',
    });
    expect(result.outputs.map(({ name, rtol, atol }) => [name, rtol, atol])).to.deep.equal([
      ['relu', 1.3e-6, 1e-5],
      ['argmax', 0, 0],
      ['gt', 0, 0],
    ]);
    for (const output of result.outputs) expect(output).not.to.have.property('distanceToTruth');
  });

  it('a data set fails if one float is beyond the tolerance, which the caller may set', async () => {
    const folder = writeDifference(at(), { ...DIFFERENCE, 'output_1.pb': floatFile('', [1, 2.5]) });
    const result = await check(folder);
    expect(result.passed).to.equal(false);
    expect(describeFailure(result)).to.include(
      "output 'z': 1 of 2 elements are beyond the tolerance, the element at index [1] the most: it is 2, expected 2.5;",
    );
    expect(await check(folder, { atol: 0.5 })).to.include({ passed: true });
  });

  it('a data set fails if one integer or bool differs, whatever the tolerance', async () => {
    const dataSet = await readTestDataSet(join(TORCH_MODEL, 'test_data_set_0'));
    for (const name of ['argmax', 'gt']) {
      const result = await checkTestDataSet(withFirstChanged(dataSet, name), {
        provider: 'cpu',
        rtol: 9,
        atol: 9,
      });
      const failed = result.outputs.filter(({ passed }) => !passed);
      expect(failed.map((output) => [output.name, output.mismatched])).to.deep.equal([[name, 1]]);
    }
  });

  it('a tensor of a data set is the input whose name it has', async () => {
    const swapped = { 'input_0.pb': floatFile('b', [1, 2]), 'input_1.pb': floatFile('a', [5, 7]) };
    expect(await check(writeDifference(at(), { ...DIFFERENCE, ...swapped }))).to.include({ passed: true });
  });

  it('a data set fails with the reason if the model does not take its inputs', async () => {
    const result = await check(
      writeDifference(at(), { ...DIFFERENCE, 'input_0.pb': floatFile('', [5, 7, 9]) }),
    );
    expect(result).to.deep.include({ passed: false, outputs: [] });
    expect(result.error?.code).to.equal('INPUT_SHAPE');
  });

  it('a data set fails if an output has another shape', async () => {
    const result = await check(writeDifference(at(), { ...DIFFERENCE, 'output_0.pb': floatFile('', [4]) }));
    expect(result.error).to.deep.equal({
      code: 'OUTPUT_SHAPE',
      message: "output 'y' is float32 [2] but float32 [1] was expected",
    });
  });

  it('checkTestDataSet throws only if it is not given a data set, or gets an unknown option', async () => {
    for (const none of [undefined, null, {}, { outputs: new Map() }]) {
      const error = await rejection(checkTestDataSet(none as unknown as TestDataSet, { provider: 'cpu' }));
      expect(error).to.be.instanceOf(ParityError).with.property('code', 'FIXTURE_INVALID');
    }
    const spec = { provider: 'cpu', lowering: 'op' } as TestDataSpec;
    expect(await rejection(check(join(ONNX_MODEL, 'test_data_set_0'), spec)))
      .to.be.instanceOf(OptionError)
      .with.property('message')
      .that.includes("checkTestDataSet has no option 'lowering'");
  });
});

/** The same with another first element expected. */
function withFirstChanged(dataSet: TestDataSet, name: string): TestDataSet {
  const { dtype, dims, data } = dataSet.outputs.get(name)!;
  const changed =
    data instanceof BigInt64Array
      ? data.map((value, i) => (i === 0 ? value + 1n : value))
      : (data as Uint8Array).map((value, i) => (i === 0 ? 1 - value : value));
  return { ...dataSet, outputs: new Map([...dataSet.outputs, [name, tensor(dtype, dims, changed)]]) };
}
