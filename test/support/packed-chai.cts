/** Requires the matchers. packed-package.ts copies this file into a project that has installed the package. */
import matchers = require('onnx-groupnorm/chai');

const plugin: Chai.ChaiPlugin = matchers.default;
console.log(JSON.stringify(typeof plugin));
