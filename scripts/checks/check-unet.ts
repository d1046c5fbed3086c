/**
 * Checks the U-Net of Stable Diffusion 1.5 in full size, 860 million parameters, against diffusers: our distance from
 * float64 must be at most 3 times that of PyTorch in float32. Both sides make the weights from the same seed.
 *
 * It needs 9 GB of memory, 11 GB of disk, 20 minutes, and a Python with diffusers, onnx, onnxruntime and safetensors
 * (scripts/requirements.txt). Reference and model run one after the other.
 *
 *   node --import tsx scripts/checks/check-unet.ts PYTHON FOLDER
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  counterWeights,
  createSession,
  decodeSafetensors,
  graphFromConfig,
  type TensorData,
  writeModel,
} from '../../lib/index.js';

const CHECKER = fileURLToPath(new URL('check_unet.py', import.meta.url));
const CONFIG = { _class_name: 'UNet2DConditionModel', cross_attention_dim: 768 };
const SEED = 5;
const OPSET = 21;
const FACTOR = 3;

async function main(python: string, folder: string): Promise<number> {
  mkdirSync(folder, { recursive: true });
  const reference = join(folder, 'reference.safetensors');
  const model = join(folder, 'model.onnx');
  runChecker(python, ['reference', reference, `${SEED}`]);
  const { tensors } = decodeSafetensors(readFileSync(reference));
  const inputs = tensorsBelow(tensors, 'input.');
  const shape = Object.fromEntries(Object.entries(inputs).map(([name, { dims }]) => [name, dims]));
  const graph = graphFromConfig(CONFIG, { shape });
  const started = performance.now();
  const bytes = await writeModel(model, graph, counterWeights(graph, SEED), {
    externalData: true,
    opset: OPSET,
  });
  console.log(`wrote ${graph.nodes.length} nodes, ${bytes} bytes in ${seconds(started)} s`);
  runChecker(python, ['model', model, reference]);
  const [expected, truth] = [tensors.get('output.y')!, tensors.get('truth.y')!];
  const limit = FACTOR * distance(expected, truth);
  console.log(`PyTorch's distance from float64: ${distance(expected, truth).toExponential(2)}`);
  let failed = 0;
  for (const provider of ['native', 'cpu'] as const) {
    const loading = performance.now();
    const session = await createSession(model, { providers: [provider] });
    const loaded = seconds(loading);
    const running = performance.now();
    const { y } = await session.run(inputs);
    const error = distance(y!, truth);
    console.log(
      `${provider}: load ${loaded} s, run ${seconds(running)} s, distance ${error.toExponential(2)}`,
    );
    await session.dispose();
    if (!(error <= limit)) failed++;
  }
  console.log(failed ? 'check-unet: FAILED' : 'check-unet: passed');
  return failed ? 1 : 0;
}

function runChecker(python: string, args: readonly string[]): void {
  const { status } = spawnSync(python, [CHECKER, ...args], { stdio: 'inherit' });
  if (status !== 0) throw new Error(`check_unet.py ${args[0]} ended with ${status}`);
}

const tensorsBelow = (tensors: ReadonlyMap<string, TensorData>, prefix: string): Record<string, TensorData> =>
  Object.fromEntries(
    [...tensors]
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, value]) => [key.slice(prefix.length), value]),
  );

const seconds = (since: number): string => ((performance.now() - since) / 1000).toFixed(1);

/** Returns the largest difference of two tensors; NaN counts as infinite. */
function distance(a: TensorData, b: TensorData): number {
  const [left, right] = [a.data as Float32Array, b.data as Float64Array];
  return left.reduce((largest, value, i) => {
    const difference = Math.abs(value - right[i]!);
    return Number.isNaN(difference) ? Infinity : Math.max(largest, difference);
  }, 0);
}

const [python, folder] = process.argv.slice(2);
if (python === undefined || folder === undefined) {
  console.log('usage: node --import tsx scripts/checks/check-unet.ts PYTHON FOLDER');
  process.exitCode = 2;
} else {
  process.exitCode = await main(python, folder);
}
