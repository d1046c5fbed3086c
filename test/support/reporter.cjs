'use strict';
// mocha's dots and failure report, closed by one line that people and CI can both read.
const { reporters } = require('mocha');

module.exports = class Summary extends reporters.Dot {
  epilogue() {
    super.epilogue();
    const { passes, failures, pending } = this.stats;
    console.log(`${passes} passed, ${failures} failed, ${pending} skipped`);
  }
};
