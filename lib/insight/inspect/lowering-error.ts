/** How far a lowering of GroupNorm is off in a run of a model. */
import type { LoweringName } from '../../lowering/types.js';
import type { Feeds, Platform, Provider } from '../../runtime/core/contract.js';
import { findInside } from './inspect.js';
import { measureNormalizations } from './measure.js';
import { RowNormalizer } from './row-normalizer.js';
import type { Normalization } from './types.js';

/** What to run, and on what. */
export interface LoweringRun {
  readonly feeds: Feeds;
  readonly provider: Provider;
}

/** The largest difference from float64 of the result before scale and bias, whose deviation is about 1. */
export interface LoweringError {
  readonly maxAbs: number;
  /** As a share of what `torch.testing.assert_close` allows in float32. */
  readonly toleranceUsed: number;
}

/** Whether a normalization is GroupNorm in any form, so that lowerings differ in it. */
export const isGroupNorm = ({ operator }: Pick<Normalization, 'operator'>): boolean =>
  operator.includes('GroupNorm');

/**
 * Runs a model, and computes each row of the inputs of its GroupNorms with a lowering and in float64.
 * @returns The largest error of all rows; `undefined` if the run does not return the input of any GroupNorm.
 * @throws What `inspectModel`, `createSession` and `session.run` throw.
 */
export async function errorOfLowering(
  platform: Platform,
  model: Uint8Array,
  groupNorm: LoweringName,
  { feeds, provider }: LoweringRun,
): Promise<LoweringError | undefined> {
  const { found } = findInside(model, {}, () => ({ isThere: undefined }));
  const norms = found.filter(({ facts }) => isGroupNorm(facts));
  const providers = [provider];
  const normalizer = new RowNormalizer(platform, groupNorm, providers);
  const run = { feeds, session: { providers } };
  const { results } = await measureNormalizations(platform, model, norms, run, normalizer);
  const errors = [...results.values()].filter((one) => typeof one === 'object');
  if (errors.length === 0) return undefined;
  return {
    maxAbs: Math.max(...errors.map(({ inlinedError }) => inlinedError)),
    toleranceUsed: Math.max(...errors.map(({ inlinedToleranceUsed }) => inlinedToleranceUsed)),
  };
}
