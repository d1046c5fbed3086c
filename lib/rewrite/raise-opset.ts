/**
 * Models of opset 6 as models of opset 7, the first whose arithmetic the lowerings can be written with.
 *
 *     no operator that opset 7 changed
 *
 * matches. Only the number of the opset changes. ONNX Runtime (1.32) has no kernel for those operators as opset 6 has them,
 * so that it refuses the other models.
 */
import type { Model } from '../onnx/model.js';

/** The operators that opset 7 changed. Source: `onnx.defs.get_all_schemas_with_history()` of ONNX 1.23. */
const CHANGED: readonly string[] = (
  'Add And AveragePool BatchNormalization Div Dropout Equal GRU Gemm Greater LSTM Less Mul Or PRelu Pow RNN Sub ' +
  'Upsample Xor'
).split(' ');

/** Raises the opset of a model that matches, in memory: the model only differs if a later pass modifies it. */
export function raiseOpset(model: Model): void {
  if (model.opset !== 6) return;
  const used = new Set([...model.nodes.map(({ opType }) => opType), ...model.nestedOpTypes()]);
  if (!CHANGED.some((opType) => used.has(opType))) model.raiseOpset(7);
}
