/** `inspectModel` and `compareModels` in browsers. */
import { requireKnownOptions } from '../options.js';
import { BROWSER } from '../runtime/browser.js';
import { compareModelsOn, type CompareOptions, type ModelToCompare } from './compare/compare-models.js';
import type { ModelComparison } from './compare/comparison.js';
import { findInside, INSPECT_OPTIONS, type InspectRunOptions, toInspection } from './inspect/inspect.js';
import { measureNormalizations } from './inspect/measure.js';
import type { ModelInspection } from './inspect/types.js';

/**
 * Describes a model: its head, and every normalization with how each provider would run it. With `feeds` it runs the model, and
 * adds statistics of the input of each normalization; otherwise it runs nothing and needs no ONNX Runtime.
 * @param bytes A ModelProto.
 * @throws ModelError `MODEL_INVALID`, `TENSOR_INVALID`, `MODEL_TOO_LARGE` or `LIMIT_EXCEEDED`; OptionError; with `feeds` what
 *   `createSession` and `session.run` throw.
 */
export async function inspectModel(
  bytes: Uint8Array,
  options: InspectRunOptions = {},
): Promise<ModelInspection> {
  requireKnownOptions('inspectModel', options, INSPECT_OPTIONS);
  const { feeds, session, ...own } = options;
  const inside = findInside(bytes, own, () => ({ isThere: undefined }));
  if (feeds === undefined) return toInspection(inside);
  const run = { feeds, session: { limits: own.limits, ...session } };
  return toInspection(inside, await measureNormalizations(BROWSER, bytes, inside.found, run));
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
): Promise<ModelComparison> => compareModelsOn(BROWSER, expected, actual, options);
