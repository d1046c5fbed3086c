/** Searches the first layer that drifts in a failed case of a parity check, in Node. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  type BuildGraph,
  buildFixtureModel,
  type CheckSpec,
  type Drift,
  toleranceOf,
} from '../../parity/check.js';
import type { Fixture } from '../../parity/fixture.js';
import { ACTIVATIONS_FILE, type TestDataSet, type TestDataSpec } from '../../parity/test-data-set.js';
import { NODE } from '../../runtime/node.js';
import type { TensorData } from '../../tensor.js';
import { openSafetensors } from '../../weights/safetensors-file.js';
import { activationsOf, knownActivations } from '../values/activations.js';
import { findDrift, orReason } from './drift.js';

/** Is called before each part of the work, with words for it. */
type OnProgress = (task: string) => void;

/** Finds where a failed case of a fixture begins to drift: by its tensors `activation.<module>`, or by another provider. */
export const findFixtureDrift = (
  fixture: Fixture,
  spec: CheckSpec,
  buildGraph: BuildGraph,
  onProgress?: OnProgress,
): Promise<Drift> =>
  orReason(() => {
    const model = buildFixtureModel(fixture, spec, buildGraph);
    return findModelDrift(fixture, model, { ...spec, ...toleranceOf(fixture, spec) }, onProgress);
  });

/** Finds where a model begins to drift from a fixture, as {@link findFixtureDrift}. */
export const findModelDrift = (
  { file, inputs, activations }: Fixture,
  model: string | Uint8Array,
  { provider, groupNorm, layout = 'auto', rtol, atol }: TestDataSpec,
  onProgress?: OnProgress,
): Promise<Drift> =>
  orReason(() =>
    findDrift(NODE, {
      model,
      session: { groupNorm, layout },
      provider,
      feeds: Object.fromEntries(inputs),
      activations: activations.size > 0 ? knownActivations(file, withInputs(activations, inputs)) : undefined,
      place: "tensors 'activation.<module>' in the fixture",
      rtol,
      atol,
      onProgress,
    }),
  );

function withInputs(
  activations: ReadonlyMap<string, TensorData>,
  inputs: ReadonlyMap<string, TensorData>,
): Map<string, TensorData> {
  return new Map([...[...inputs].map(([name, input]) => [`input.${name}`, input] as const), ...activations]);
}

/**
 * Finds where a failed case of a data set begins to drift: by `activations.safetensors` in the folder of the data set or
 * beside its model, or by another provider.
 */
export const findDataSetDrift = (
  { file, model, inputs }: Pick<TestDataSet, 'file' | 'model' | 'inputs'>,
  { provider, groupNorm, layout = 'auto', limits, rtol, atol }: TestDataSpec,
  onProgress?: OnProgress,
): Promise<Drift> =>
  orReason(async () => {
    const place = join(file, ACTIVATIONS_FILE);
    const path = [place, join(dirname(model), ACTIVATIONS_FILE)].find(existsSync);
    await using activations = path === undefined ? undefined : await openSafetensors(path, { limits });
    return await findDrift(NODE, {
      model,
      session: { groupNorm, layout, limits },
      provider,
      feeds: Object.fromEntries(inputs),
      activations: activations && activationsOf(activations),
      place,
      rtol,
      atol,
      onProgress,
    });
  });
