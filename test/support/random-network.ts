/** Random networks of convolutions, GroupNorms and what lies between them: the same network for the same seed. */
import * as layers from '../../graphs/layers/index.js';
import { GraphBuilder } from '../../lib/graph/builder.js';
import * as op from '../../lib/graph/ops/index.js';
import type { Value } from '../../lib/graph/types.js';
import { encodeModel } from '../../lib/onnx/encode.js';
import { elementCount, tensor, type TensorData } from '../../lib/tensor.js';
import { Random } from '../../lib/weights/initialize.js';

/** Channels that fill blocks of 16, blocks of 8 only, and neither. */
const CHANNELS = [16, 16, 32, 48, 24, 8, 20, 12] as const;

/** Returns random numbers in [from, to). */
export function uniformTensor(stream: string, dims: readonly number[], from = -1, to = 1): TensorData {
  const random = new Random(0, stream);
  const data = Float32Array.from(
    { length: elementCount(dims) },
    (_, i) => from + (to - from) * random.uniform(i),
  );
  return tensor('float32', dims, data);
}

/**
 * Returns a model with the inputs `x` (N, 3, H, W) and `z` (N, 16, H, W), and some outputs.
 * @param isStatic Whether the model declares the sizes 2, 9 and 11 in place of the names.
 */
export function randomNetwork(seed: number, isStatic: boolean): Uint8Array {
  const random = new Random(seed, 'network');
  let position = 0;
  const below = (limit: number) => Math.floor(random.uniform(position++) * limit);
  const oneOf = <T>(list: readonly T[]): T => list[below(list.length)]!;
  const g = new GraphBuilder(`random${seed}`);
  const [n, h, w] = isStatic ? [2, 9, 11] : ['N', 'H', 'W'];
  const values: Value[] = [];
  const channels = ({ shape }: Value) => shape[1] as number;
  /** One of the last values, with the same shape as `like` if that is given. */
  const recent = (like?: Value): Value => {
    const fitting = values.filter((one) => !like || String(one.shape) === String(like.shape));
    return fitting[fitting.length - 1 - below(Math.min(fitting.length, 4))] ?? like!;
  };
  const conv = (x: Value, kernelSize = oneOf([1, 3])) =>
    layers.conv(g.scope(`conv${values.length}`), x, {
      outChannels: oneOf(CHANNELS),
      kernelSize,
      padding: (kernelSize - 1) / 2,
      bias: below(2) === 1,
    });
  const norm = (x: Value) => {
    const numGroups = oneOf([1, 2, 4, 4, channels(x)].filter((groups) => channels(x) % groups === 0));
    return layers.groupNorm(g.scope(`norm${values.length}`), x, { numGroups });
  };
  const steps: readonly (() => Value)[] = [
    () => conv(recent()),
    () => conv(recent()),
    () => norm(recent()),
    () => op.relu(g, norm(conv(recent()))),
    () => op.silu(g, norm(conv(recent()))),
    () => {
      const x = conv(recent());
      return op.relu(g, op.add(g, norm(x), recent(x)));
    },
    () => {
      const x = recent();
      return op.add(g, x, recent(x));
    },
    () => {
      const x = recent();
      return op.mul(g, op.sigmoid(g, x), recent(x));
    },
    () => {
      const x = recent();
      const same = values.filter((one) => String(one.shape.slice(2)) === String(x.shape.slice(2)));
      return op.concat(g, [x, oneOf(same)], { axis: 1 });
    },
    () => oneOf([op.relu, op.leakyRelu, op.tanh, op.sigmoid, op.gelu])(g, recent()),
    () => layers.maxPool(g, recent(), { kernelSize: 3, stride: 1, padding: 1 }),
    () => layers.maxPool(g, layers.upsampleNearest(g, recent(), { scaleFactor: 2 }), { kernelSize: 2 }),
    () => layers.convTranspose(g.scope(`up${values.length}`), recent(), { outChannels: 16, kernelSize: 1 }),
    () =>
      op.transpose(g, op.transpose(g, op.relu(g, norm(recent())), { perm: [0, 2, 3, 1] }), {
        perm: [0, 3, 1, 2],
      }),
  ];
  values.push(conv(g.input('x', 'float32', [n, 3, h, w]), 3), g.input('z', 'float32', [n, 16, h, w]));
  for (let step = 0; step < 24; step++) {
    const made = oneOf(steps)();
    if (channels(made) <= 96) values.push(made);
  }
  const outputs = new Set([values.at(-1)!, recent(), recent(), oneOf(values.slice(2))]);
  [...outputs].forEach((value, index) => g.output(`y${index}`, op.identity(g, value)));
  const graph = g.build();
  const weights = graph.parameters.map(({ name, shape }): [string, TensorData] => {
    const dims = shape as number[];
    const isNorm = name.startsWith('norm');
    const bound = isNorm ? 1 : Math.sqrt(3 / elementCount(dims.slice(1)));
    const from = isNorm && name.endsWith('weight') ? 0.5 : -bound;
    return [name, uniformTensor(`${seed}${name}`, dims, from, bound)];
  });
  return encodeModel(graph, new Map(weights), { opset: 21, lowering: 'op' });
}
