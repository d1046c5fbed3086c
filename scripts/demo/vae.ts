/**
 * The demo of a variational autoencoder, from end to end: builds ONNX models of the two halves of an `AutoencoderKL` that
 * PyTorch trained, sends a picture through them, and compares the result with PyTorch's.
 */
import { join, relative } from 'node:path';
import process from 'node:process';
import { describeExecution, describeTimes } from '../../lib/cli/commands/run/session.js';
import { withProgress } from '../../lib/cli/shared/progress.js';
import { formatTable, indent } from '../../lib/cli/shared/table.js';
import { writeFilesAtomic } from '../../lib/files/atomic.js';
import { readFileBytes } from '../../lib/files/read.js';
import type { Image } from '../../lib/images/image.js';
import { decodePng, encodePng } from '../../lib/images/png.js';
import { toTensor } from '../../lib/images/to-tensor.js';
import {
  compareTensors,
  createSession,
  defaultTolerance,
  elementCount,
  type Fixture,
  formatShape,
  getGraph,
  matchStateDict,
  readFixture,
  type Session,
  type SessionOptions,
  stack,
  type TensorData,
  toFloat64Array,
  writeModel,
} from '../../lib/index.js';
import { formatBytes, plural } from '../../lib/quantities.js';

const RUNS = 10;
/** In the picture, the three images are this many times as wide and high. */
const SCALE = 3;
/** White pixels between the images. */
const GAP = 12;
/** A difference of 255 / GAIN is white. */
const GAIN = 4;
/** Samples from 0 to 1 become −1 to 1, as in diffusers' `VaeImageProcessor`. */
const RANGE = { mean: [0.5], std: [0.5] } as const;

const PARTS = [
  { part: 'encoder', options: { latents: 'mean' } },
  { part: 'decoder', options: {} },
] as const;
type Part = (typeof PARTS)[number]['part'];

/** What the two halves run with. */
const EXECUTIONS: readonly (readonly [name: string, options: SessionOptions])[] = [
  ['with the native kernel', {}],
  ['ONNX Runtime alone', { providers: ['cpu'], groupNorm: 'op' }],
];

const say = (...lines: string[]): void => lines.forEach((line) => console.log(line));
const step = (title: string, ...lines: string[]): void =>
  say('', title, ...lines.map((line) => indent(line)));
/** Returns a path relative to the working directory where the file lies inside it. */
const here = (path: string): string => (relative('', path).startsWith('..') ? path : relative('', path));

/**
 * Runs the demo, and returns whether the picture is PyTorch's.
 * @param root The folder of the repository.
 */
export async function demoVae(root: string, { out, fixture: file }: { out: string; fixture: string }) {
  const models = (part: Part) => join(out, `vae-${part}.onnx`);
  const fixture = await readFixture(file);
  if (fixture.graph !== 'autoencoder-kl') {
    throw new Error(`${file}: the demo needs a fixture of graph autoencoder-kl, not of ${fixture.graph}`);
  }
  describe(fixture, file);
  await build(fixture, models);
  const path = join(root, 'demo/vae-cells.png');
  const image = decodePng(await readFileBytes(path), path);
  const x = stack([toTensor(image, RANGE)]);
  const { z, y } = await timeBoth(x, models);
  const picture = join(out, 'vae-cells.png');
  await writeFilesAtomic([{ path: picture, content: encodePng(sideBySide(image, toImage(y))) }]);
  step(
    `4. ${here(picture)}`,
    'the picture, the picture from its latents, and their difference, four times as bright',
    `${plural(elementCount(x.dims), 'sample')} became ${elementCount(z.dims)} latents ${formatShape(z.dims)}`,
  );
  const passed = compare(fixture, y, image);
  step(passed ? 'The demo passed.' : 'The demo FAILED: the figures above say where.');
  return passed;
}

function describe({ stateDict, framework }: Fixture, file: string): void {
  const elements = [...stateDict.values()].reduce((sum, { dims }) => sum + elementCount(dims), 0);
  say('A variational autoencoder from diffusers to ONNX Runtime');
  step(
    `1. An AutoencoderKL that ${framework} has trained to draw cells`,
    `${here(file)}, ${plural(elements, 'parameter')}`,
  );
}

/** Writes one model for each half, out of the state_dict of both. */
async function build({ options, stateDict }: Fixture, models: (part: Part) => string): Promise<void> {
  const lines: string[] = [];
  for (const { part, options: own } of PARTS) {
    const graph = getGraph('autoencoder-kl').build({ ...options, part, ...own });
    const names = new Set(graph.parameters.map(({ name }) => name));
    const weights = new Map([...stateDict].filter(([key]) => names.has(key)));
    const bytes = await writeModel(models(part), graph, matchStateDict(graph, weights));
    const [input] = graph.inputs;
    lines.push(`${here(models(part))}, ${formatBytes(bytes)}, ${input!.name} ${formatShape(input!.shape)}`);
  }
  step('2. Its halves as ONNX models', ...lines);
}

/** Runs the halves with each execution, in turn, so that both meet the same load of the machine. */
async function timeBoth(
  x: TensorData,
  models: (part: Part) => string,
): Promise<{ z: TensorData; y: TensorData }> {
  const pairs = await Promise.all(EXECUTIONS.map(([, options]) => openHalves(models, options)));
  try {
    const times = pairs.map((): number[] => []);
    const results: { z: TensorData; y: TensorData }[] = [];
    await withProgress(process.stderr, async (progress) => {
      for (let run = 0; run < RUNS; run++) {
        progress.step(`run ${run + 1} of ${RUNS}`);
        for (const [index, halves] of pairs.entries()) {
          const start = performance.now();
          results[index] = await encodeAndDecode(halves, x);
          times[index]!.push(performance.now() - start);
        }
      }
    });
    const rows = EXECUTIONS.map(([name], index) => [
      name,
      describeTimes(times[index]!),
      describeExecution(pairs[index]!.decoder),
    ]);
    step('3. From pixels to latents and back', formatTable(rows));
    return results[0]!;
  } finally {
    for (const { encoder, decoder } of pairs) {
      await encoder.dispose();
      await decoder.dispose();
    }
  }
}

type Halves = Readonly<Record<Part, Session>>;

async function openHalves(models: (part: Part) => string, options: SessionOptions): Promise<Halves> {
  const encoder = await createSession(models('encoder'), options);
  return { encoder, decoder: await createSession(models('decoder'), options) };
}

async function encodeAndDecode(
  { encoder, decoder }: Halves,
  x: TensorData,
): Promise<{ z: TensorData; y: TensorData }> {
  const { y: z } = await encoder.run({ x });
  const { y } = await decoder.run({ z: z! });
  return { z: z!, y: y! };
}

/** Returns the first image of (N, 3, H, W) from −1 to 1 as pixels of 8 bits. */
function toImage(y: TensorData): Image {
  const [, , height, width] = y.dims as [number, number, number, number];
  const values = toFloat64Array(y);
  const plane = height * width;
  const samples = Uint8Array.from({ length: 3 * plane }, (_, i) => {
    const value = values[(i % 3) * plane + Math.floor(i / 3)]!;
    return Math.round(255 * Math.min(Math.max((value + 1) / 2, 0), 1));
  });
  return { width, height, channels: 3, samples, max: 255 };
}

/** Returns one picture of an image, its reconstruction and their difference. */
function sideBySide(image: Image, reconstruction: Image): Image {
  const { width, height } = image;
  const difference = {
    ...image,
    samples: image.samples.map((sample, i) =>
      Math.min(255, GAIN * Math.abs(sample - reconstruction.samples[i]!)),
    ),
  };
  const panels = [image, reconstruction, difference];
  const panelWidth = width * SCALE + GAP;
  const picture = { width: panels.length * panelWidth - GAP, height: height * SCALE };
  const samples = new Uint8Array(3 * picture.width * picture.height).fill(255);
  panels.forEach((panel, index) => {
    for (let row = 0; row < picture.height; row++) {
      for (let column = 0; column < width * SCALE; column++) {
        const from = Math.floor(row / SCALE) * width + Math.floor(column / SCALE);
        const to = row * picture.width + index * panelWidth + column;
        for (let c = 0; c < 3; c++) samples[3 * to + c] = panel.samples[3 * from + c]!;
      }
    }
  });
  return { ...picture, channels: 3, samples, max: 255 };
}

function compare(fixture: Fixture, y: TensorData, image: Image): boolean {
  const expected = fixture.outputs.get('y')!;
  const usual = defaultTolerance(expected.dtype);
  const { rtol = usual.rtol, atol = usual.atol } = fixture;
  const result = compareTensors('y', y, expected, { rtol, atol }, fixture.truth.get('y'));
  const [ours, theirs] = [toImage(y), toImage(expected)].map(({ samples }) => Array.from(samples));
  const same = ours!.filter((sample, i) => sample === theirs![i]).length;
  const squares = ours!.reduce((sum, sample, i) => sum + ((sample - image.samples[i]!) / 255) ** 2, 0);
  const rows = [
    ["elements beyond PyTorch's tolerance", `${result.mismatched} of ${result.elements}`],
    ['  largest difference', result.maxAbs.toExponential(1)],
    ['  tolerance', `atol ${atol.toExponential()}, rtol ${rtol.toExponential()}`],
    ['  distance from float64, ours', result.distanceToTruth!.toExponential(1)],
    ["  distance from float64, PyTorch's", result.referenceDistanceToTruth!.toExponential(1)],
    ["samples of 8 bits as in PyTorch's picture", `${same} of ${ours!.length}`],
    ['root mean square error of the picture', (255 * Math.sqrt(squares / ours!.length)).toFixed(1)],
  ];
  step(`5. Against PyTorch: ${result.passed ? 'passed' : 'FAILED'}`, formatTable(rows));
  return result.passed;
}
