/** Fixtures run in a browser. */
import { createSession } from '../runtime/browser.js';
import { type BuildGraph, type CaseResult, checkFixtureWith, type CheckSpec } from './check.js';
import type { Fixture } from './fixture.js';

/** Runs one fixture and compares every output. An error of any kind makes a failed case: none is thrown. */
export const checkFixture = (
  fixture: Fixture,
  spec: CheckSpec,
  buildGraph: BuildGraph,
): Promise<CaseResult> => checkFixtureWith(createSession, fixture, spec, buildGraph);
