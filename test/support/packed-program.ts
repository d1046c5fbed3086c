/** Runs what the package's entries export. packed-package.ts copies this file into a project that has installed it. */
import {
  argmax,
  createSession,
  encodeModel,
  getGraph,
  type Graph,
  GraphBuilder,
  initializeWeights,
  matchStateDict,
  stack,
  tensor,
  type TensorData,
  type Value,
} from 'onnx-groupnorm';
import onnxMatchers from 'onnx-groupnorm/chai';
import { decodePng, encodePng, type Image, toTensor } from 'onnx-groupnorm/images';
import { batchNorm, conv, type ConvOptions, groupNorm } from 'onnx-groupnorm/layers';

const graph = getGraph('group-norm').build({ numGroups: 8, numChannels: 32 });
await using session = await createSession(encodeModel(graph, initializeWeights(graph), { opset: 21 }));
const data = Float32Array.from({ length: 2048 }, (_, i) => 1000 + Math.sin(i));
const { y } = await session.run({ x: tensor('float32', [1, 32, 8, 8], data) });
if (y?.dtype !== 'float32') throw new Error('the result has another dtype than the input');
const row: number[] = [...y.data.subarray(0, 256)];
const mean = row.reduce((sum, v) => sum + v) / 256;
const variance = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / 256;
const isNormal = Math.abs(mean) < 1e-5 && Math.abs(variance - 1) < 1e-3;
const image: Image = { width: 2, height: 1, channels: 1, samples: Uint8Array.of(0, 255), max: 255 };
const pixels = [...decodePng(encodePng(image)).samples];
// The plugin loads where chai is not installed.
const plugin = typeof onnxMatchers;
const results = [y.dims, isNormal, pixels, plugin, session.provider, session.groupNorm];
console.log(JSON.stringify([...results, await classOf(image)]));

/** A tool of its own: a block out of PyTorch's layers, with the state_dict of the module. */
function block(options: ConvOptions): Graph {
  const g = new GraphBuilder('block');
  const x: Value = g.input('x', 'float32', ['N', 1, 'H', 'W']);
  const a = conv(g.scope('conv1'), x, options);
  g.output('y', batchNorm(g.scope('bn1'), groupNorm(g.scope('norm1'), a, { numGroups: 1 })));
  return g.build();
}

async function classOf(given: Image): Promise<readonly number[]> {
  const made = block({ outChannels: 2, kernelSize: 1 });
  const vector = (a: number, b: number) => tensor('float32', [2], Float32Array.of(a, b));
  const stateDict = new Map<string, TensorData>([
    ['conv1.weight', tensor('float32', [2, 1, 1, 1], Float32Array.of(-1, 1))],
    ['conv1.bias', vector(0.5, -0.5)],
    ['norm1.weight', vector(1, 1)],
    ['norm1.bias', vector(0, 0)],
    ['bn1.weight', vector(1, 1)],
    ['bn1.bias', vector(0, 0)],
    ['bn1.running_mean', vector(0, 0)],
    ['bn1.running_var', vector(1, 1)],
    ['bn1.num_batches_tracked', tensor('int64', [], BigInt64Array.of(1n))],
  ]);
  await using classifier = await createSession(encodeModel(made, matchStateDict(made, stateDict)));
  const named = await classifier.run<{ y: TensorData<'float32'> }>({ x: stack([toTensor(given)]) });
  return [...argmax(named.y, 1).data].map(Number);
}
