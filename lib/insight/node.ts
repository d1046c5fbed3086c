/** `inspectModel`, `compareModels` and `compareActivations` in Node, where models and activations are files. */
import { findDataFile } from '../files/data-file.js';
import { readModelFile } from '../onnx/write.js';
import { requireKnownOptions } from '../options.js';
import { NODE } from '../runtime/node.js';
import { openSafetensors } from '../weights/safetensors-file.js';
import { activationsOf } from './values/activations.js';
import { compareActivationsOn, type CompareActivationsOptions } from './compare/compare-activations.js';
import { type CompareOptions, compareModelsOn, type ModelToCompare } from './compare/compare-models.js';
import type { ModelComparison } from './compare/comparison.js';
import { findInside, INSPECT_OPTIONS, type InspectRunOptions, toInspection } from './inspect/inspect.js';
import { measureNormalizations } from './inspect/measure.js';
import type { ModelInspection } from './inspect/types.js';

/**
 * Describes a model: its head, and every normalization with how each provider would run it. With `feeds` it runs the model, and
 * adds statistics of the input of each normalization; otherwise it runs nothing and needs no ONNX Runtime.
 * @param model A ModelProto, or the path of its file. Of a file, the result says whether the files of its weights are there.
 * @throws FileError; ModelError `MODEL_INVALID`, `TENSOR_INVALID`, `MODEL_TOO_LARGE` or `LIMIT_EXCEEDED`; OptionError; with
 *   `feeds` what `createSession` and `session.run` throw.
 */
export async function inspectModel(
  model: Uint8Array | string,
  options: InspectRunOptions = {},
): Promise<ModelInspection> {
  requireKnownOptions('inspectModel', options, INSPECT_OPTIONS);
  const { feeds, session, ...own } = options;
  const inside =
    typeof model === 'string'
      ? findInside(await readModelFile(model), { where: model, ...own }, (location, size) => {
          const found = findDataFile(model, location, size);
          return 'problem' in found ? { isThere: false, problem: found.problem } : { isThere: true };
        })
      : findInside(model, own, () => ({ isThere: undefined }));
  if (feeds === undefined) return toInspection(inside);
  const run = { feeds, session: { limits: own.limits, ...session } };
  return toInspection(inside, await measureNormalizations(NODE, model, inside.found, run));
}

/**
 * Runs two models, or one model in two ways, on the same inputs, and compares every value that both compute, in the order of
 * the graph. docs/compare.md says which values these are.
 * @param expected The side that the other is compared with.
 * @throws What `createSession` and `session.run` throw; ParityError `INPUTS_DIFFER`; OptionError.
 */
export const compareModels = (
  expected: ModelToCompare,
  actual: ModelToCompare,
  options: CompareOptions,
): Promise<ModelComparison> => compareModelsOn(NODE, expected, actual, options);

/**
 * Runs a model on the inputs of a run of PyTorch, and compares its values with what PyTorch's modules returned.
 * docs/compare.md has the program that saves these, and says how values are found.
 * @param activations The path of the `.safetensors` file.
 * @returns As `compareModels`, with the name of the activation as the module of a value: `layer1.0.relu@2`.
 * @throws FileError or WeightsError if the file cannot be read; ParityError `INPUTS_DIFFER` if the file lacks an input of the
 *   model, `NO_ACTIVATIONS` if no tensor belongs to a value of the model; OptionError; what `createSession` and
 *   `session.run` throw.
 */
export async function compareActivations(
  model: ModelToCompare,
  activations: string,
  options: CompareActivationsOptions = {},
): Promise<ModelComparison> {
  await using file = await openSafetensors(activations, { limits: model.session?.limits });
  return await compareActivationsOn(NODE, model, activationsOf(file), options);
}
