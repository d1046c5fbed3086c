/** `compareModels` in browsers. */
import { BROWSER } from '../runtime/browser.js';
import { compareModelsOn, type CompareOptions, type ModelToCompare } from './compare/compare-models.js';
import type { ModelComparison } from './compare/comparison.js';

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
