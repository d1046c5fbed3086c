/** Fixtures run in Node. */
import { createSession } from '../runtime/node.js';
import { openSafetensors } from '../weights/safetensors-file.js';
import { type BuildGraph, type CaseResult, checkFixtureWith, type CheckSpec } from './check.js';
import { type Fixture, toFixture } from './fixture.js';

/**
 * Runs one fixture and compares every output. An error of any kind makes a failed case and is not thrown.
 * @throws ParityError `FIXTURE_INVALID`, OptionError only if `fixture` or `spec` is none.
 */
export const checkFixture = (
  fixture: Fixture,
  spec: CheckSpec,
  buildGraph: BuildGraph,
): Promise<CaseResult> => checkFixtureWith(createSession, fixture, spec, buildGraph);

// SECTION: Fixtures on disk.

/**
 * Reads a fixture: a `.safetensors` file with `input.*`, `state_dict.*`, `output.*` and optionally `truth.*`,
 * and `graph`, `options` and `framework` in its metadata. With `weights` = `counter` and a `seed` there, the
 * parameters are those of `counterWeights`, and it has no `state_dict.*`.
 * @throws FileError or WeightsError if the file cannot be read, ParityError `FIXTURE_INVALID` if it is not a fixture.
 */
export async function readFixture(path: string): Promise<Fixture> {
  const file = await openSafetensors(path);
  try {
    return toFixture({ metadata: file.metadata, tensors: await file.readAll() }, path);
  } finally {
    await file.close();
  }
}
