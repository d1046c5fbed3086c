/** Runs one model once, and makes figures and pictures of its outputs. */
import {
  compareTensors,
  createSession,
  defaultTolerance,
  encodeNpy,
  formatShape,
  inspectModel,
  type ModelInspection,
  type Session,
  toFloat64Array,
  type TensorData,
} from '../../lib/browser.js';
import { maskOf } from '../../lib/images/mask.js';
import { crop, scaleBilinear } from '../../lib/images/resample.js';
import type { Comparison, OutputResult, Picture, RunResult, Tasks, WebProvider } from '../protocol.js';
import { fetchDemo } from './files.js';
import { type Inputs, makeInputs } from './inputs.js';
import { bytesOf } from './models.js';
import { channelPictures, picture, rangeOf, segmentationPictures } from './pictures.js';
import { progress } from './progress.js';

/** Returns the providers to try: WebAssembly follows WebGPU, and the result says which one ran. */
export const providersFor = (provider: WebProvider): WebProvider[] =>
  provider === 'webgpu' ? ['webgpu', 'wasm'] : ['wasm'];

export async function runModel({ model, plan, isDemo }: Tasks['run']['input']): Promise<RunResult> {
  const inputs = await makeInputs(model.inspection.model.inputs, plan);
  const bytes = await bytesOf(model);
  progress('loading the model into ONNX Runtime');
  const [session, loadMilliseconds] = await timed(() =>
    createSession(bytes, { providers: providersFor(plan.provider) }),
  );
  try {
    progress(`running on ${session.provider}`);
    const fetches = numbersOf(session);
    const [outputs, runMilliseconds] = await timed(() => session.run(inputs.feeds, { fetches }));
    const tensors = Object.entries(outputs);
    return {
      provider: session.provider,
      groupNorm: session.groupNorm,
      fallbacks: session.fallbacks,
      isSoftware: session.provider === 'webgpu' && (await isSoftwareGpu()),
      loadMilliseconds,
      runMilliseconds,
      inputs: inputs.lines,
      outputs: tensors.map(([name, value]) => describe(name, value)),
      pictures: picturesOf(inputs, tensors),
      comparison: isDemo ? await compareDemo(tensors[0]![1]) : undefined,
    };
  } finally {
    await session.dispose();
  }
}

/** Whether the browser computes WebGPU on the processor. */
async function isSoftwareGpu(): Promise<boolean> {
  const adapter = await navigator.gpu.requestAdapter();
  return adapter?.info.isFallbackAdapter ?? false;
}

/** Runs a model, and measures the input of each normalization. */
export async function measureModel({ model, plan }: Tasks['measure']['input']): Promise<ModelInspection> {
  const { feeds } = await makeInputs(model.inspection.model.inputs, plan);
  const bytes = await bytesOf(model);
  progress('running the model, and measuring the input of each normalization');
  return inspectModel(bytes, {
    where: model.name,
    feeds,
    session: { providers: providersFor(plan.provider) },
  });
}

/** Returns the outputs that are tensors of numbers. */
export const numbersOf = ({ outputs }: Session): string[] =>
  outputs.filter(({ dtype }) => dtype !== undefined && dtype !== 'string').map(({ name }) => name);

async function timed<Result>(action: () => Promise<Result>): Promise<[Result, milliseconds: number]> {
  const start = performance.now();
  const result = await action();
  return [result, performance.now() - start];
}

/** How many of the largest elements are listed. */
const BEST = 5;

function describe(name: string, value: TensorData): OutputResult {
  const { dtype, dims } = value;
  const values = toFloat64Array(value);
  const first = dims.length === 2 && dims[1]! > 1 ? [...values.subarray(0, dims[1])] : [];
  const best = first.map((score, index) => [index, score] as const).sort(([, a], [, b]) => b - a);
  const file = new Blob([encodeNpy(value) as Uint8Array<ArrayBuffer>]);
  return { name, type: `${dtype} ${formatShape(dims)}`, ...rangeOf(values), best: best.slice(0, BEST), file };
}

/** Makes a mask of an output that has scores for each pixel of the image, and pictures of the channels of all others. */
function picturesOf({ image: placed, feeds }: Inputs, outputs: readonly [string, TensorData][]): Picture[] {
  const [first] = outputs;
  if (placed && first && outputs.length === 1) {
    const scores = scoresOf(first[1], feeds[placed.input]!, placed.scaledTo);
    const { image } = placed;
    if (scores)
      return segmentationPictures(image, maskOf(scaleBilinear(scores, [image.height, image.width])));
  }
  const pictures = outputs.flatMap(([name, value]) => channelPictures(name, value));
  return [...(placed ? [picture('Input', placed.image)] : []), ...pictures];
}

/** Returns scores for each pixel; `undefined` for an output of another size, and for as many channels as the image has. */
function scoresOf(
  output: TensorData,
  { dims: of }: TensorData,
  [height, width]: readonly [number, number],
): TensorData<'float32'> | undefined {
  const { dtype, dims } = output;
  const isOfPixels = dims.length === 4 && dims[0] === 1 && dims[2] === of[2] && dims[3] === of[3];
  if (dtype !== 'float32' || !isOfPixels || dims[1] === of[1]) return undefined;
  const scores = crop(output, height, width) as TensorData<'float32'>;
  return scores.data.some(Number.isNaN) ? undefined : scores;
}

async function compareDemo(logits: TensorData): Promise<Comparison> {
  const fixture = await fetchDemo();
  const expected = fixture.outputs.get('y')!;
  const usual = defaultTolerance(expected.dtype);
  const { rtol = usual.rtol, atol = usual.atol, framework } = fixture;
  const { passed, maxAbs } = compareTensors('y', logits, expected, { rtol, atol });
  const [reference, { classes }] = [maskOf(expected).classes, maskOf(logits)];
  const samePixels = reference.filter((index, pixel) => index === classes[pixel]).length;
  return { framework, passed, samePixels, pixels: reference.length, maxAbs, rtol, atol };
}
