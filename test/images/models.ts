/** Small models of pixels, whose outputs can be computed by hand. */
import {
  castTensor,
  encodeModel,
  getGraph,
  GraphBuilder,
  initializeWeights,
  op,
  tensor,
  type FloatDType,
  type Shape,
} from '../../lib/index.js';

export interface PixelModel {
  /** A row of weights, one per channel, for each class. */
  readonly weight: readonly (readonly number[])[];
  readonly bias: readonly number[];
  readonly dtype?: FloatDType;
  readonly shape?: Shape;
}

/** Logits of class k: the sum of weight[k][c] · x[c], plus bias[k]. */
export function pixelModel({ weight, bias, dtype = 'float32', shape }: PixelModel): Uint8Array {
  const channels = weight[0]!.length;
  const g = new GraphBuilder('pixels');
  const w = g.parameter('w', { dtype, shape: [weight.length, channels, 1, 1] });
  const b = g.parameter('b', { dtype, shape: [weight.length] });
  g.output('y', op.conv(g, g.input('x', dtype, shape ?? ['N', channels, 'H', 'W']), w, b));
  const values = (dims: number[], numbers: readonly number[]) =>
    castTensor(tensor('float32', dims, Float32Array.from(numbers)), dtype);
  const weights = new Map([
    ['w', values([weight.length, channels, 1, 1], weight.flat())],
    ['b', values([bias.length], bias)],
  ]);
  return encodeModel(g.build(), weights);
}

/** A U-Net with random weights, which takes multiples of 16. */
export function unetModel(numClasses: number): Uint8Array {
  const graph = getGraph('unet').build({ inChannels: 3, numClasses, numGroups: 1, width: 2 });
  return encodeModel(graph, initializeWeights(graph));
}

/** Probabilities: the sigmoid of 10 · (mean of the channels − 0.5). */
export function sigmoidModel(): Uint8Array {
  const g = new GraphBuilder('sigmoid');
  const w = g.parameter('w', { dtype: 'float32', shape: [1, 3, 1, 1] });
  const b = g.parameter('b', { dtype: 'float32', shape: [1] });
  g.output('y', op.sigmoid(g, op.conv(g, g.input('x', 'float32', ['N', 3, 'H', 'W']), w, b)));
  const weights = new Map([
    ['w', tensor('float32', [1, 3, 1, 1], new Float32Array(3).fill(10 / 3))],
    ['b', tensor('float32', [1], Float32Array.of(-5))],
  ]);
  return encodeModel(g.build(), weights);
}

/**
 * A model with several results, as torchvision's segmentation networks have them: `features`, six numbers; `out`, the pixels
 * themselves as scores of three classes; `aux`, the same negated.
 */
export function severalOutputs(names: readonly ('features' | 'out' | 'aux')[]): Uint8Array {
  const g = new GraphBuilder('several');
  const x = g.input('x', 'float32', ['N', 3, 'H', 'W']);
  const mean = () => op.reduceMean(g, x, { axes: [2, 3], keepdims: false });
  const results = {
    features: () => op.concat(g, [mean(), mean()], { axis: 1 }),
    out: () => op.relu(g, x),
    aux: () => op.sub(g, op.sub(g, x, x), x),
  };
  for (const name of names) g.output(name, results[name]());
  return encodeModel(g.build(), new Map());
}
