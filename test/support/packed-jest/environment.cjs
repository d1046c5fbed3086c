/** A Jest environment in which onnxruntime-node works: its Tensor class knows the arrays that its library makes. */
const { TestEnvironment } = require('jest-environment-node');

module.exports = class extends TestEnvironment {
  constructor(...args) {
    super(...args);
    Object.assign(this.global, { Float32Array });
  }
};
