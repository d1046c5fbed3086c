/** Where a model begins to drift from what it should compute: what a failed parity check adds to its message. */
import { OnnxGroupNormError } from '../../errors.js';
import type { Drift } from '../../parity/check.js';
import { describeMismatch } from '../../parity/report.js';
import { printable } from '../../printable.js';
import type { Feeds, Platform, Provider, SessionOptions } from '../../runtime/core/contract.js';
import type { Activations } from '../values/activations.js';
import { compareActivationsOn } from './compare-activations.js';
import { compareModelsOn, type ModelToCompare } from './compare-models.js';
import type { ModelComparison, ValueComparison } from './comparison.js';

/** What a drift is searched in. */
export interface DriftSearch extends ModelToCompare {
  /** The inputs of the failed run. */
  readonly feeds: Feeds;
  /** The provider that ran the model. */
  readonly provider: Provider;
  /** What PyTorch's modules returned, where it is known. */
  readonly activations?: Activations | undefined;
  /** Where activations would be found: a path, or the names of tensors. */
  readonly place: string;
  readonly rtol?: number | undefined;
  readonly atol?: number | undefined;
  readonly onProgress?: ((task: string) => void) | undefined;
}

/**
 * Finds the layer at which a model begins to drift: by the activations of PyTorch, or else by the same model on another
 * provider.
 */
export const findDrift = (platform: Platform, search: DriftSearch): Promise<Drift> =>
  search.activations
    ? fromPyTorch(platform, search, search.activations)
    : fromOtherProvider(platform, search);

/** Makes the error of a search its result: the check itself has been made. */
export async function orReason(search: () => Promise<Drift>): Promise<Drift> {
  try {
    return await search();
  } catch (error) {
    if (!(error instanceof OnnxGroupNormError)) throw error;
    return { description: `the first layer that drifts was not found: ${error.message}` };
  }
}

async function fromPyTorch(
  platform: Platform,
  search: DriftSearch,
  activations: Activations,
): Promise<Drift> {
  const { rtol, atol, onProgress } = search;
  const options = { rtol, atol, onProgress };
  const comparison = await compareActivationsOn(platform, sideOf(search), activations, options);
  const start = driftStart(comparison.values);
  const { label } = activations;
  if (start) return driftAt(start, label);
  return {
    comparedWith: label,
    description:
      `all ${comparison.values.length} values that ${label} has activations of agree with PyTorch: ` +
      'the drift begins behind them, or between them in modules without an activation',
  };
}

async function fromOtherProvider(platform: Platform, search: DriftSearch): Promise<Drift> {
  const { feeds, provider, place, rtol, atol, onProgress } = search;
  const other = provider === 'cpu' || provider === 'native' ? 'wasm' : 'cpu';
  const expected = { model: search.model, session: { providers: [other] }, label: other } as const;
  const options = { feeds, rtol, atol, onProgress };
  const comparison = await compareModelsOn(platform, expected, sideOf(search), options);
  // Inside, rounding may exceed a tolerance that the outputs keep.
  const start = isEveryOutputWithin(comparison) ? null : driftStart(comparison.values);
  if (start) return driftAt(start, other);
  return {
    comparedWith: other,
    description:
      `the outputs on ${other} are the same, so the model itself differs from PyTorch's: save what PyTorch's modules ` +
      `return as ${place} to see in which layer (docs/compare.md has the program)`,
  };
}

const sideOf = ({ model, session, provider, label }: DriftSearch): ModelToCompare => ({
  model,
  session: { ...session, providers: [provider] } satisfies SessionOptions,
  label: label ?? provider,
});

const isEveryOutputWithin = ({ values }: ModelComparison): boolean =>
  values.every(({ isOutput, verdict }) => !isOutput || verdict === 'within');

/**
 * Returns the value at which drift begins: the first that uses its tolerance {@link JUMP} times as much as any value before
 * it. In a deep network, rounding alone exceeds the tolerance of one operator, but grows by little from layer to layer.
 * Without such a value, returns the first value beyond the tolerance; `null` if no value is.
 */
export function driftStart(values: readonly ValueComparison[]): ValueComparison | null {
  let most = 1;
  for (const value of values) {
    const used = value.difference?.toleranceUsed ?? Infinity;
    if (used >= JUMP * most) return value;
    most = Math.max(most, used);
  }
  return values.find(({ verdict }) => verdict === 'drifts') ?? null;
}

/** How many times as much of its tolerance a value uses at which drift begins. */
export const JUMP = 10;

function driftAt(start: ValueComparison, comparedWith: string): Drift {
  const { name, operator, node, module, difference } = start;
  const layer = module === undefined ? `value '${printable(name)}'` : printable(module);
  const made = `${operator} '${printable(node || name)}'`;
  const how = difference
    ? describeMismatch(difference, 'value')
    : `value '${printable(name)}' is ${start.dtype} [${start.dims.join(', ')}], expected ${start.expectedDtype} [${start.expectedDims.join(', ')}]`;
  return {
    comparedWith,
    module,
    value: name,
    ...(difference && { difference }),
    description: `drift begins at ${layer} (${made}), compared with ${comparedWith}: ${how}`,
  };
}
