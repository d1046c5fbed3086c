export * from './common.js';
export { checkFixture } from './check-browser.js';
