export * from './common.js';
export { checkFixture } from './check-node.js';
export { checkTestDataSet, type TestDataSpec } from './check-test-data-set.js';
export { readFixture } from './read-fixture.js';
export { readTestDataSet } from './read-test-data-set.js';
export type { TestDataSet } from './test-data-set.js';
