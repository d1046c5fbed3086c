/**
 * Finds optimizers of ONNX Runtime that change results by more than rounding.
 *
 *   node --import tsx bench/optimizers.ts FOLDER…
 *
 * Each folder holds folders of one export each: `model.onnx`, and `tensors.safetensors` with `input.NAME` and
 * `truth.NAME`, which PyTorch computed in float64. Each export runs in onnxruntime-node, without this project's sessions,
 * at each level of optimization. Where a level is MANY times further from float64 than the level `disabled`, each
 * optimizer is switched off alone, to find the cause. Prints such exports as a Markdown table; with ALL=1 in the
 * environment, all exports.
 */
// Sessions of this project switch optimizers off.
// eslint-disable-next-line no-restricted-imports
import * as ort from 'onnxruntime-node';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeSafetensors, type TensorData } from '../lib/index.js';

const LEVELS = ['disabled', 'basic', 'extended', 'all'] as const;
type Level = (typeof LEVELS)[number];

/** Rounding alone may add up in another order: errors of one model at two levels differ by less than this factor. */
const MANY = 4;
/** Distances from float64, over the output's root mean square, that float32 has anyway. */
const SMALL = 2e-6;

/** The optimizers of ONNX Runtime 1.30, by the names in its library. */
const OPTIMIZERS = `AttentionFusion BiasDropoutFusion BiasGeluFusion BiasSoftmaxFusion CastChainElimination
  CastElimination CommonSubexpressionElimination ConstantFolding ConvActivationFusion ConvAddActivationFusion
  ConvAddFusion ConvBNFusion ConvMulFusion DivMulFusion DynamicQuantizeMatMulFusion EliminateDropout EliminateIdentity
  EliminateSlice EmbedLayerNormFusion ExpandElimination FastGeluFusion FuseReluClip GatherSliceToSplitFusion
  GatherToSliceFusion GeluFusionL1 GeluFusionL2 GemmActivationFusion GemmSumFusion GemmTransposeFusion
  GroupQueryAttentionFusion LayerNormFusionL1 LayerNormFusionL2 MatMulActivationFusion MatMulAddFusion
  MatMulScaleFusion MatMul_BatchNormalization_Fusion MatmulTransposeFusion NchwcTransformer NhwcTransformer
  NoopElimination NotWhereFusion Pad_Fusion PreShapeNodeElimination QuickGeluFusion ReshapeFusion
  SimplifiedLayerNormFusion SkipLayerNormFusion SliceConcatToSpaceToDepthFusion TransposeOptimizer
  UnsqueezeElimination`.split(/\s+/);

interface Export {
  readonly path: string;
  readonly feeds: Readonly<Record<string, ort.Tensor>>;
  readonly truth: readonly number[];
}

/** The distances from float64 by level, or the error's text. */
type Distances = Readonly<Record<Level, number | string>>;

function readExport(folder: string): Export {
  const file = decodeSafetensors(readFileSync(join(folder, 'tensors.safetensors')));
  const tensors: Record<string, TensorData> = Object.fromEntries(file.tensors);
  const inputs = Object.entries(tensors).filter(([name]) => name.startsWith('input.'));
  const truth = Object.entries(tensors).find(([name]) => name.startsWith('truth.'));
  if (!truth) throw new Error(`${folder} has no truth`);
  return {
    path: join(folder, 'model.onnx'),
    feeds: Object.fromEntries(
      inputs.map(([name, { dtype, data, dims }]) => [
        name.slice('input.'.length),
        new ort.Tensor(dtype as 'float32', data as Float32Array, dims),
      ]),
    ),
    truth: [...(truth[1].data as Float64Array)],
  };
}

/** Returns max |y − truth| / rms(truth) of the first output, or the error's text. */
async function distance({ path, feeds, truth }: Export, level: Level, off = ''): Promise<number | string> {
  try {
    const session = await ort.InferenceSession.create(path, {
      graphOptimizationLevel: level,
      logSeverityLevel: 4,
      extra: off === '' ? {} : { 'optimization.disable_specified_optimizers': off },
    });
    const result = (await session.run(feeds))[session.outputNames[0]!]!.data as Float32Array;
    await session.release();
    const rms = Math.sqrt(truth.reduce((sum, v) => sum + v * v, 0) / truth.length);
    return truth.reduce((most, v, i) => Math.max(most, Math.abs(v - result[i]!)), 0) / rms;
  } catch (error) {
    return (error as Error).message.slice(0, 60);
  }
}

const isWrong = (value: number | string, exact: number | string): boolean =>
  typeof value === 'string' ? typeof exact !== 'string' : value > Math.max(MANY * Number(exact), SMALL);

/** Returns the optimizers without which, each alone, the level is right. */
async function culprits(model: Export, level: Level, exact: number | string): Promise<string[]> {
  const found: string[] = [];
  for (const name of OPTIMIZERS) if (!isWrong(await distance(model, level, name), exact)) found.push(name);
  return found;
}

const format = (value: number | string): string =>
  typeof value === 'string' ? value : value.toExponential(1);

console.log(`| export | ${LEVELS.map((level) => `\`${level}\``).join(' | ')} | right without |`);
console.log('| --- | --- | --- | --- | --- | --- |');
let count = 0;
for (const root of process.argv.slice(2)) {
  for (const name of readdirSync(root).filter((at) => existsSync(join(root, at, 'tensors.safetensors')))) {
    const model = readExport(join(root, name));
    const distances = {} as Record<Level, number | string>;
    for (const level of LEVELS) distances[level] = await distance(model, level);
    const { disabled } = distances as Distances;
    const wrong = LEVELS.find((level) => isWrong(distances[level], disabled));
    count += 1;
    if (process.env['ALL'] === undefined && wrong === undefined) continue;
    const names =
      wrong === undefined ? '' : (await culprits(model, wrong, disabled)).join(', ') || 'no single one';
    console.log(`| ${name} | ${LEVELS.map((level) => format(distances[level])).join(' | ')} | ${names} |`);
  }
}
console.log(`\n${count} exports; the others are within ${MANY} × of \`disabled\`, or below ${SMALL}.`);
