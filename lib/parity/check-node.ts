/** Fixtures run in Node. */
import { createSession } from '../runtime/index.js';
import type { CaseResult } from './case.js';
import { checkFixtureWith, type BuildGraph, type CheckSpec } from './check.js';
import type { Fixture } from './fixture.js';

/**
 * Runs one fixture and compares every output. An error of any kind makes a failed case and is not thrown.
 * @throws ParityError `FIXTURE_INVALID`, OptionError only if `fixture` or `spec` is none.
 */
export const checkFixture = (
  fixture: Fixture,
  spec: CheckSpec,
  buildGraph: BuildGraph,
): Promise<CaseResult> => checkFixtureWith(createSession, fixture, spec, buildGraph);
