/** Reads fixtures from disk and runs them, in Node. */
import { createSession } from '../runtime/node.js';
import { openSafetensors } from '../weights/safetensors-file.js';
import { type BuildGraph, type CaseResult, checkFixtureWith, type CheckSpec } from './check.js';
import { type Fixture, toFixture } from './fixture.js';

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
