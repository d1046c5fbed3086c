import { GraphBuilder } from '../../lib/graph/builder.js';
import * as op from '../../lib/graph/ops/index.js';
import { encodeModel } from '../../lib/onnx/encode.js';
import { tensor, type TensorData } from '../../lib/tensor.js';

const SIZE = 768;

/** A model that computes for a good while: `y` = `x` times itself, many times over. */
export function heavyModel(steps = 60): Uint8Array {
  const g = new GraphBuilder('heavy');
  const x = g.input('x', 'float32', [SIZE, SIZE]);
  let y = x;
  for (let step = 0; step < steps; step++) y = op.gemm(g, y, x, undefined);
  g.output('y', y);
  return encodeModel(g.build(), new Map());
}

export const heavyInput = (): TensorData =>
  tensor('float32', [SIZE, SIZE], new Float32Array(SIZE * SIZE).fill(1 / SIZE));
