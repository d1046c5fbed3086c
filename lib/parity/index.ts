export { checkFixture, type BuildGraph, type CaseResult, type CheckSpec } from './check.js';
export { compareTensors, type OutputComparison } from './compare.js';
export { readFixture, type Fixture } from './fixture.js';
export { describeFailure, makeReport, reportToJson, type Report } from './report.js';
export { defaultTolerance, type Tolerance } from './tolerance.js';
