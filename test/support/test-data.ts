/** Models with data sets in ONNX's own layout. */
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { GraphBuilder } from '../../lib/graph/builder.js';
import * as op from '../../lib/graph/ops/index.js';
import { encodeModel } from '../../lib/onnx/encode.js';
import { all, int, message, text, varint } from '../onnx/bytes.js';

/** What scripts/samples/make_test_data.py writes: by ONNX's own package, and by PyTorch. */
export const TEST_DATA = fileURLToPath(new URL('../samples/test-data', import.meta.url));
export const TORCH_MODEL = join(TEST_DATA, 'torch-segmentation');
export const ONNX_MODEL = join(TEST_DATA, 'test_group_normalization_example');

/** A copy to be changed. */
export const copyModel = (model: string, folder: string): void => cpSync(model, folder, { recursive: true });

/** A TensorProto of float32, as the bytes of its file; of no name if that is empty. */
export const floatFile = (name: string, values: readonly number[]): Uint8Array =>
  all(
    int(1, values.length),
    int(2, 1),
    name === '' ? [] : text(8, name),
    message(9, [...new Uint8Array(Float32Array.from(values).buffer)]),
  );

/** A TensorProto of int64. */
export const integerFile = (...values: number[]): Uint8Array =>
  all(int(1, values.length), int(2, 7), message(7, ...values.map((value) => varint(value))));

/** y = a − b and z = b of two float32 numbers: what takes one for the other gets another result. */
export function differenceModel(): Uint8Array {
  const g = new GraphBuilder('difference');
  const [a, b] = ['a', 'b'].map((name) => g.input(name, 'float32', [2])) as [
    ReturnType<typeof g.input>,
    ReturnType<typeof g.input>,
  ];
  g.output('y', op.sub(g, a, b));
  g.output('z', op.relu(g, b));
  return encodeModel(g.build(), new Map());
}

/** Writes {@link differenceModel} and a data set of it. @returns The path of the data set. */
export function writeDifference(folder: string, files: Readonly<Record<string, Uint8Array>>): string {
  const dataSet = join(folder, 'test_data_set_0');
  mkdirSync(dataSet, { recursive: true });
  writeFileSync(join(folder, 'model.onnx'), differenceModel());
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(dataSet, name), bytes);
  return dataSet;
}

/** The files of a right data set of {@link differenceModel}, without names. */
export const DIFFERENCE: Readonly<Record<string, Uint8Array>> = {
  'input_0.pb': floatFile('', [5, 7]),
  'input_1.pb': floatFile('', [1, 2]),
  'output_0.pb': floatFile('', [4, 5]),
  'output_1.pb': floatFile('', [1, 2]),
};
