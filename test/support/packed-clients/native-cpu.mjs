/** Runs the model by an onnxruntime-node, on native-cpu and on its own cpu, and in a session: `native-cpu.mjs PACKAGE`. */
import { createSession, tensor } from 'onnx-groupnorm';
import { registerNativeCpu } from 'onnx-groupnorm/native-cpu';
import { distance, input, model } from './model.mjs';
const ort = await import(process.argv[2]);
registerNativeCpu(ort);
const run = async (executionProviders) => {
  const session = await ort.InferenceSession.create(model(), { executionProviders });
  const { last_hidden_state: y } = await session.run({
    input_values: new ort.Tensor('float32', input, [1, input.length]),
  });
  await session.release();
  return [distance(y.data), y instanceof ort.Tensor];
};
const session = await createSession(model(), { providers: ['native'] });
const { last_hidden_state: y } = await session.run({
  input_values: tensor('float32', [1, input.length], input),
});
await session.dispose();
console.log(
  JSON.stringify([...(await run(['native-cpu', 'cpu'])), ...(await run(['cpu'])), distance(y.data)]),
);
