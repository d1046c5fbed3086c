/** Runs fixtures in browsers. */
import { createSession } from '../runtime/browser.js';
import { type BuildGraph, type CaseResult, checkFixtureWith, type CheckSpec } from './check.js';
import type { Fixture } from './fixture.js';

/**
 * Builds a fixture's graph, runs it once and compares every output. Any error makes the case fail and is not thrown.
 * @param buildGraph Builds the graph by name: `(name, options, input) => getGraph(name).build(options, input)`.
 * @throws ParityError `FIXTURE_INVALID` if `fixture` is not a fixture; OptionError `UNKNOWN_OPTION`, `NO_OPTIONS`.
 */
export const checkFixture = (
  fixture: Fixture,
  spec: CheckSpec,
  buildGraph: BuildGraph,
): Promise<CaseResult> => checkFixtureWith(createSession, fixture, spec, buildGraph);
