/** What needs neither a disk nor a runtime of its own. */
export type { CaseResult } from './case.js';
export type { BuildGraph, CheckSpec } from './check.js';
export { compareTensors, type OutputComparison } from './compare.js';
export { decodeFixture, type Fixture } from './fixture.js';
export { describeFailure, makeReport, reportToJson, type Report } from './report.js';
export { defaultTolerance, type Tolerance } from './tolerance.js';
