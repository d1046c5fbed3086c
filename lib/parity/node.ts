/** Reads fixtures and test data sets from disk, and runs fixtures, in Node. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { FileError } from '../errors.js';
import { readFileBytes } from '../files/read.js';
import { reasonOf, systemCode } from '../files/system-error.js';
import { Model } from '../onnx/model.js';
import { decodeTensorFile } from '../onnx/tensors.js';
import { createSession } from '../runtime/node.js';
import { openSafetensors } from '../weights/safetensors-file.js';
import { type BuildGraph, type CaseResult, checkFixtureWith, type CheckSpec } from './check.js';
import { type Fixture, toFixture } from './fixture.js';
import { type FileTensor, invalid, matchTensors, requireFiles, sortFiles } from './test-data-files.js';
import type { TestDataSet } from './test-data-set.js';

/**
 * Builds a fixture's graph, runs it once and compares every output. An error while
 * the case runs makes the case fail and is not thrown; only wrong arguments throw.
 * @param buildGraph Builds the graph by name: `(name, options, input) => getGraph(name).build(options, input)`.
 * @throws ParityError `FIXTURE_INVALID` if `fixture` is not a fixture; OptionError `UNKNOWN_OPTION`, `NO_OPTIONS`.
 */
export const checkFixture = (
  fixture: Fixture,
  spec: CheckSpec,
  buildGraph: BuildGraph,
): Promise<CaseResult> => checkFixtureWith(createSession, fixture, spec, buildGraph);

/**
 * Reads a fixture: a `.safetensors` file with `input.*`, `state_dict.*`, `output.*` and optionally `truth.*` (float64),
 * and `graph`, `options` and `framework` in its metadata. With `weights` = `counter` and a `seed` in the metadata, the
 * parameters come from `counterWeights` in place of `state_dict.*`.
 * @throws FileError or WeightsError if the file cannot be read; ParityError `FIXTURE_INVALID` if it is not a fixture.
 */
export async function readFixture(path: string): Promise<Fixture> {
  await using file = await openSafetensors(path);
  return toFixture({ metadata: file.metadata, tensors: await file.readAll() }, path);
}

/** Returns the path of a data set's model. */
export const modelPathOf = (folder: string): string => join(folder, '..', 'model.onnx');

/**
 * Reads one data set of an existing model, in the layout of ONNX's own tests and the ONNX model zoo: `input_0.pb`,
 * `output_0.pb` and so on in a folder, each a TensorProto, and `model.onnx` beside the folder. The files are the
 * model's inputs without initializers and its outputs, in the model's order; a tensor with the name of an input or
 * output belongs to that one.
 * @param folder The path of the data set, such as `resnet/test_data_set_0`.
 * @throws FileError if a file cannot be read; ModelError if the model or a tensor is invalid; ParityError
 *   `FIXTURE_INVALID` if files are missing, other files are there, or an input or output of the model is not a tensor.
 */
export async function readTestDataSet(folder: string): Promise<TestDataSet> {
  const files = sortFiles(folder, await listFiles(folder));
  const path = modelPathOf(folder);
  const model = Model.decode(await readModelBytes(folder, path), path);
  requireFiles(folder, model, files);
  const read = async (names: readonly string[], of: readonly string[]) =>
    matchTensors(folder, await readTensors(folder, names), of);
  return {
    file: folder,
    model: path,
    opset: model.opset,
    inputs: await read(files.input, model.inputNames),
    outputs: await read(files.output, model.outputNames),
  };
}

async function listFiles(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (cause) {
    const code = systemCode(cause) === 'ENOENT' ? 'FILE_NOT_FOUND' : 'FILE_UNREADABLE';
    throw new FileError(code, `cannot read '${folder}': ${reasonOf(cause)}`, { cause });
  }
}

async function readModelBytes(folder: string, path: string): Promise<Uint8Array> {
  try {
    return await readFileBytes(path);
  } catch (error) {
    if (!(error instanceof FileError) || error.code !== 'FILE_NOT_FOUND') throw error;
    throw invalid(folder, `its model must be beside it, as '${path}', but that file does not exist`, error);
  }
}

async function readTensors(folder: string, names: readonly string[]): Promise<FileTensor[]> {
  const tensors: FileTensor[] = [];
  for (const file of names) {
    const path = join(folder, file);
    tensors.push({ file, ...decodeTensorFile(await readFileBytes(path), path) });
  }
  return tensors;
}
