/** Runs GroupNorm of one group over the values 1 and 3. */
const { createSession, encodeModel, getGraph, initializeWeights, tensor } = require('onnx-groupnorm');

const graph = getGraph('group-norm').build({ numGroups: 1, numChannels: 2 });
const model = encodeModel(graph, initializeWeights(graph));
const data = Float32Array.of(1, 3);

/** The result in float64: mean 2, variance 1, epsilon 1e-5. */
const EXPECTED = 1 / Math.sqrt(1 + 1e-5);

/** Returns the second value of the result, and the provider that computed it. */
async function runGroupNorm(options) {
  const session = await createSession(model, options);
  const { y } = await session.run({ x: tensor('float32', [1, 2, 1, 1], data) });
  await session.dispose();
  return { y: y.data[1], provider: session.provider };
}

module.exports = { data, EXPECTED, model, runGroupNorm };
