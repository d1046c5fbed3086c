/**
 * Tests of an application in Jest with jsdom.
 * @jest-environment ./jsdom-environment.cjs
 */
const { expect, test } = require('@jest/globals');
const { decodePng, encodePng } = require('onnx-groupnorm/images');
const { EXPECTED, runGroupNorm } = require('./group-norm.cjs');

for (const options of [
  { providers: ['native'] },
  { providers: ['cpu'], groupNorm: 'reduce-mean' },
  { providers: ['wasm'] },
]) {
  test(`a session runs on ${options.providers[0]} in jsdom`, async () => {
    expect(typeof window).toBe('object');
    const { y, provider } = await runGroupNorm(options);
    expect(y).toBeCloseTo(EXPECTED, 6);
    expect(provider).toBe(options.providers[0]);
  });
}

test('a PNG survives encodePng and decodePng in jsdom', () => {
  const image = { width: 2, height: 1, channels: 1, samples: Uint8Array.of(0, 255), max: 255 };
  expect([...decodePng(encodePng(image)).samples]).toEqual([0, 255]);
});
