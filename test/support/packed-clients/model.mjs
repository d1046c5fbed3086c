/** A wav2vec2 of one layer: convolution, GroupNorm of each channel, ReLU; with its result in float64. */
import { encodeModel, GraphBuilder, op, tensor } from 'onnx-groupnorm';
const [C, K, T] = [4, 4, 64];
const weight = Float32Array.from({ length: C * K }, (_, i) => Math.sin(i + 1));
export function model() {
  const g = new GraphBuilder('wav2vec2');
  const wide = op.unsqueeze(g, g.input('input_values', 'float32', ['N', 'T']), { axes: [1] });
  const kernel = g.parameter('conv.weight', { dtype: 'float32', shape: [C, 1, K] });
  const conv = op.conv(g, wide, kernel, undefined, { strides: [K] });
  const norm = op.relu(g, op.groupNormalization(g, conv, undefined, undefined, { numGroups: C }));
  g.output('last_hidden_state', op.transpose(g, norm, { perm: [0, 2, 1] }));
  const weights = new Map([['conv.weight', tensor('float32', [C, 1, K], weight)]]);
  return encodeModel(g.build(), weights, { opset: 21 });
}
/** Its mean is large, which ONNX Runtime's own definition of GroupNormalization gets wrong. */
export const input = Float32Array.from({ length: T }, (_, i) => 300 + Math.sin(i * i));
export function expected() {
  const columns = Array.from({ length: C }, (_, c) => {
    const sums = Array.from({ length: T / K }, (_, t) =>
      weight.slice(c * K, (c + 1) * K).reduce((sum, w, k) => sum + w * input[t * K + k], 0),
    );
    const mean = sums.reduce((a, b) => a + b) / sums.length;
    const variance = sums.reduce((a, b) => a + (b - mean) ** 2, 0) / sums.length;
    return sums.map((v) => Math.max((v - mean) / Math.sqrt(variance + 1e-5), 0));
  });
  return columns[0].flatMap((_, t) => columns.map((column) => column[t]));
}
/** The largest distance from float64. */
export const distance = (data) => expected().reduce((most, v, i) => Math.max(most, Math.abs(v - data[i])), 0);
