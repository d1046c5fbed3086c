'use strict';
/**
 * Runs a model on one provider of onnxruntime-node, and prints its output or the error as JSON.
 * Arguments: the path of onnxruntime-node, the provider, the dims and the data of the input `x`. Stdin: the model.
 */
const [path, provider, dims, data] = process.argv.slice(-4);
const ort = require(path);
const chunks = [];
process.stdin.on('data', (chunk) => chunks.push(chunk));
process.stdin.on('end', async () => {
  try {
    const session = await ort.InferenceSession.create(Buffer.concat(chunks), {
      executionProviders: [provider],
      logSeverityLevel: 4,
      // ONNX Runtime then refuses a model of which it would run any node on the CPU.
      extra: { session: { disable_cpu_ep_fallback: '1' } },
    });
    const x = new ort.Tensor('float32', Float32Array.from(JSON.parse(data)), JSON.parse(dims));
    const { y } = await session.run({ x });
    console.log(JSON.stringify({ result: [...y.data] }));
  } catch (error) {
    console.log(JSON.stringify({ error: error.message }));
  }
  process.exit();
});
