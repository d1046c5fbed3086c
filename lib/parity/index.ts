export * from './common.js';
export { checkFixture } from './check-node.js';
export { readFixture } from './read-fixture.js';
