/** Runs one model once on one input. */
import {
  compareTensors,
  createSession,
  defaultTolerance,
  formatShape,
  type Session,
  type TensorData,
} from '../../lib/browser.js';
import { type Image, type Mask, segment } from '../../lib/images/browser.js';
import { maskOf } from '../../lib/images/mask.js';
import type { Comparison, InputSource, ModelSpec, Picture, RunResult, WebProvider } from '../protocol.js';
import { buildNetwork } from './build.js';
import { fetchDemo } from './files.js';
import { imageOf, makeInput } from './input.js';
import { channelPictures, figuresOf, picture, segmentationPictures } from './pictures.js';
import { progress } from './progress.js';

export interface RunInput {
  readonly spec: ModelSpec;
  readonly provider: WebProvider;
  readonly source: InputSource;
}

/** Returns the providers to try: WebAssembly follows WebGPU, and the result says which one ran. */
const providersFor = (provider: WebProvider): WebProvider[] =>
  provider === 'webgpu' ? ['webgpu', 'wasm'] : ['wasm'];

export async function runTask({ spec, provider, source }: RunInput): Promise<RunResult> {
  const { encode } = await buildNetwork(spec);
  const image = await imageOf(source);
  progress('loading the model into ONNX Runtime');
  const start = performance.now();
  const session = await createSession(encode(spec.lowering), { providers: providersFor(provider) });
  const loadMilliseconds = performance.now() - start;
  try {
    progress(`running on ${session.provider}`);
    const { input, pictures, outputs, milliseconds, comparison } = await runOn(session, spec, source, image);
    return {
      provider: session.provider,
      groupNorm: session.groupNorm,
      fallbacks: session.fallbacks,
      loadMilliseconds,
      runMilliseconds: milliseconds,
      input,
      outputs: Object.entries(outputs).map(([name, value]) => figuresOf(name, value)),
      pictures,
      comparison,
    };
  } finally {
    await session.dispose();
  }
}

interface Outcome {
  readonly input: string;
  readonly outputs: Readonly<Record<string, TensorData>>;
  readonly pictures: readonly Picture[];
  readonly milliseconds: number;
  readonly comparison?: Comparison;
}

const runOn = (
  session: Session,
  spec: ModelSpec,
  source: InputSource,
  image: Image | undefined,
): Promise<Outcome> =>
  image && spec.graph === 'unet'
    ? segmentImage(session, image, spec.weights.from === 'demo' && source.from === 'demo')
    : runTensor(session, source, image);

async function segmentImage(session: Session, image: Image, isDemo: boolean): Promise<Outcome> {
  const start = performance.now();
  const { mask, logits, paddedTo } = await segment(session, image);
  const milliseconds = performance.now() - start;
  return {
    input: `image of ${image.width} × ${image.height} pixels, as ${formatShape([1, session.inputs[0]!.shape![1]!, ...paddedTo])}`,
    outputs: { [session.outputs[0]!.name]: logits },
    pictures: segmentationPictures(image, mask),
    milliseconds,
    ...(isDemo && { comparison: await compareDemo(logits, mask) }),
  };
}

async function compareDemo(logits: TensorData, { classes }: Mask): Promise<Comparison> {
  const fixture = await fetchDemo();
  const expected = fixture.outputs.get('y')!;
  const usual = defaultTolerance(expected.dtype);
  const { rtol = usual.rtol, atol = usual.atol, framework } = fixture;
  const { passed, maxAbs } = compareTensors('y', logits, expected, { rtol, atol });
  const reference = maskOf(expected).classes;
  const samePixels = reference.filter((index, pixel) => index === classes[pixel]).length;
  return { framework, passed, samePixels, pixels: reference.length, maxAbs, rtol, atol };
}

async function runTensor(session: Session, source: InputSource, image: Image | undefined): Promise<Outcome> {
  const { name, dtype, shape } = session.inputs[0]!;
  const x = makeInput({ name, dtype, shape: shape! }, source, image);
  const start = performance.now();
  const outputs = await session.run({ [name]: x });
  const milliseconds = performance.now() - start;
  const pictures = Object.entries(outputs).flatMap(([name, value]) => channelPictures(name, value));
  return {
    input: `${x.dtype} ${formatShape(x.dims)}`,
    outputs,
    pictures: [...(image ? [picture('Input', image)] : []), ...pictures],
    milliseconds,
  };
}
