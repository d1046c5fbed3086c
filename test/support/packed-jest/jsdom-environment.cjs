/** jsdom for Jest with Node's code of the packages, and with what that code and onnxruntime-node need of Node. */
const { TestEnvironment } = require('jest-environment-jsdom');

module.exports = class extends TestEnvironment {
  constructor(...args) {
    super(...args);
    Object.assign(this.global, { TextDecoder, TextEncoder, setImmediate, Float32Array });
  }

  exportConditions() {
    return ['node', 'node-addons'];
  }
};
