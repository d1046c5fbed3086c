/** Models as onnxruntime-node itself runs them: no session of this library has seen them. */
import * as ort from 'onnxruntime-node';
import { tensor, type TensorData } from '../../lib/tensor.js';

/** The output `y` of a model with one input `x`, both float32 or both float64. */
export async function runPlain(model: Uint8Array, { dtype, data, dims }: TensorData): Promise<TensorData> {
  const session = await ort.InferenceSession.create(model, { logSeverityLevel: 3 });
  try {
    const x = new ort.Tensor(dtype as 'float32', data as Float32Array, dims);
    const { y } = await session.run({ x });
    return tensor(dtype, y!.dims, y!.data as Float32Array);
  } finally {
    await session.release();
  }
}
