/** Tests of an application in Jest as it is. package.matrix.ts copies this folder into such an application. */
const { expect, test } = require('@jest/globals');
const { createSession, OnnxGroupNormError, SessionError, tensor, TensorError } = require('onnx-groupnorm');
const { decodePng, encodePng } = require('onnx-groupnorm/images');
const { data, EXPECTED, model, runGroupNorm } = require('./group-norm.cjs');

test('a session has the native kernel in Jest', async () => {
  for (const options of [{}, { providers: ['native'] }]) {
    const { y, provider } = await runGroupNorm(options);
    expect(y).toBeCloseTo(EXPECTED, 6);
    expect(provider).toBe('native');
  }
});

test("native-cpu registers with Jest's copy of onnxruntime-node", async () => {
  require('onnx-groupnorm/native-cpu');
  const ort = require('onnxruntime-node');
  const session = await ort.InferenceSession.create(model, { executionProviders: ['native-cpu'] });
  const { y } = await session.run({ x: new ort.Tensor('float32', data, [1, 2, 1, 1]) });
  expect(y.data[1]).toBeCloseTo(EXPECTED, 6);
});

test('a PNG survives encodePng and decodePng in Jest', () => {
  const image = { width: 2, height: 1, channels: 1, samples: Uint8Array.of(0, 255), max: 255 };
  expect([...decodePng(encodePng(image)).samples]).toEqual([0, 255]);
});

test('errors have their classes in Jest', () => {
  let error;
  try {
    tensor('float32', [3], data);
  } catch (caught) {
    error = caught;
  }
  for (const type of [TensorError, OnnxGroupNormError, Error]) expect(error).toBeInstanceOf(type);
});

test('a file that does not exist is said to be missing in Jest', () =>
  expect(createSession('missing.onnx')).rejects.toMatchObject({
    code: 'FILE_NOT_FOUND',
    message: expect.stringContaining('it does not exist; check the path'),
  }));

// When ONNX Runtime mends https://github.com/microsoft/onnxruntime/issues/16622, `OTHER_REALM` of
// lib/runtime/core/errors.ts goes, and this test.
test('a session on onnxruntime-node says what Jest needs, or takes the next provider', async () => {
  const groupNorm = 'reduce-mean';
  const refused = runGroupNorm({ providers: ['cpu'], groupNorm });
  await expect(refused).rejects.toThrow(SessionError);
  await expect(refused).rejects.toMatchObject({
    code: 'PROVIDER_UNAVAILABLE',
    message: expect.stringContaining('testEnvironment'),
  });
  const { y, provider } = await runGroupNorm({ providers: ['cpu', 'native'], groupNorm });
  expect(y).toBeCloseTo(EXPECTED, 6);
  expect(provider).toBe('native');
});

test('a session on wasm says which flag Jest needs', async () => {
  await expect(runGroupNorm({ providers: ['wasm'] })).rejects.toMatchObject({
    code: 'PROVIDER_UNAVAILABLE',
    message: expect.stringContaining('NODE_OPTIONS=--experimental-vm-modules'),
  });
});
