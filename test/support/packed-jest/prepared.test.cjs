/**
 * Tests of an application in Jest with what onnxruntime-node and onnxruntime-web need.
 * @jest-environment ./environment.cjs
 */
const { expect, test } = require('@jest/globals');
const { EXPECTED, runGroupNorm } = require('./group-norm.cjs');

for (const provider of ['cpu', 'wasm']) {
  test(`a session on ${provider} runs in a prepared Jest`, async () => {
    const result = await runGroupNorm({ providers: [provider], groupNorm: 'reduce-mean' });
    expect(result.y).toBeCloseTo(EXPECTED, 6);
    expect(result.provider).toBe(provider);
  });
}
