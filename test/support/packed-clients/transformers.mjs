/** Writes the model as a folder of Hugging Face, and runs it by transformers.js on native-cpu and on its own cpu. */
import { AutoModel, env, Tensor } from '@huggingface/transformers';
import 'onnx-groupnorm/native-cpu';
import { mkdirSync, writeFileSync } from 'node:fs';
import { distance, input, model } from './model.mjs';

mkdirSync('wav2vec2/onnx', { recursive: true });
writeFileSync(
  'wav2vec2/config.json',
  JSON.stringify({ model_type: 'wav2vec2', architectures: ['Wav2Vec2Model'] }),
);
writeFileSync('wav2vec2/onnx/model.onnx', model());
env.allowRemoteModels = false;
env.localModelPath = process.cwd();
const run = async (session_options) => {
  const network = await AutoModel.from_pretrained('wav2vec2', {
    dtype: 'fp32',
    local_files_only: true,
    session_options,
  });
  const { last_hidden_state: y } = await network({
    input_values: new Tensor('float32', input, [1, input.length]),
  });
  return [distance(y.data), y.dims];
};
console.log(JSON.stringify([await run({ executionProviders: ['native-cpu', 'cpu'] }), await run({})]));
