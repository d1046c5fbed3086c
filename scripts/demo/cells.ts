/**
 * The demo of a network, from end to end: builds an ONNX model of a U-Net that PyTorch trained, finds the cells in an
 * image with ONNX Runtime, and compares the result with PyTorch's.
 */
import { join, relative } from 'node:path';
import process from 'node:process';
import { describeExecution, describeTimes, runRepeatedly } from '../../lib/cli/commands/run/session.js';
import { withProgress } from '../../lib/cli/shared/progress.js';
import { formatTable, indent, quote } from '../../lib/cli/shared/table.js';
import { writeFilesAtomic } from '../../lib/files/atomic.js';
import { readFileBytes } from '../../lib/files/read.js';
import type { Image } from '../../lib/images/image.js';
import { type Mask, maskOf, maskToImage, overlay } from '../../lib/images/mask.js';
import { decodePng, encodePng } from '../../lib/images/png.js';
import { segment, type Segmentation } from '../../lib/images/segment.js';
import {
  compareTensors,
  createSession,
  DEFAULT_OPSET,
  defaultLowering,
  defaultTolerance,
  elementCount,
  encodeModel,
  type Fixture,
  formatShape,
  getGraph,
  matchStateDict,
  readFixture,
  type TensorData,
  toFloat64Array,
  writeModel,
} from '../../lib/index.js';
import { formatBytes, plural } from '../../lib/quantities.js';

const RUNS = 20;
/** The overlay is this many times as wide and high as the image. */
const SCALE = 4;
/** The largest mean, and difference of the deviation from 1. eps = 1e-5 alone costs the deviation up to 5e-6. */
const GROUP_TOLERANCE = 1e-4;
/** Rows of the table of groups, besides that of the worst group. */
const SHOWN_GROUPS = 3;

const say = (...lines: string[]): void => lines.forEach((line) => console.log(line));
const step = (title: string, ...lines: string[]): void =>
  say('', title, ...lines.map((line) => indent(line)));
/** Returns a path relative to the working directory where the file lies inside it. */
const here = (path: string): string => (relative('', path).startsWith('..') ? path : relative('', path));
const verdict = (passed: boolean): string => (passed ? 'passed' : 'FAILED');

interface Paths {
  readonly fixture: string;
  readonly image: string;
  readonly truth: string;
  readonly groupNorm: string;
  readonly demo: string;
  readonly model: string;
  readonly mask: string;
  readonly overlay: string;
}

/**
 * Runs the demo, and returns whether every figure is PyTorch's.
 * @param root The folder of the repository.
 */
export async function demoCells(root: string, { out, fixture: path }: { out: string; fixture: string }) {
  const paths: Paths = {
    fixture: path,
    image: join(root, 'demo/cells.png'),
    truth: join(root, 'demo/cells-truth.png'),
    groupNorm: join(root, 'test/fixtures/group-norm/net-unet.safetensors'),
    demo: join(root, 'demo'),
    model: join(out, 'unet-cells.onnx'),
    mask: join(out, 'cells-mask.png'),
    overlay: join(out, 'cells-overlay.png'),
  };
  say('Group Normalization from PyTorch to ONNX Runtime');
  const fixture = await load(paths);
  await build(fixture, paths);
  const result = await segmentImage(paths);
  const right = await compare(fixture, result, paths);
  const normalized = await checkGroups(paths);
  const passed = right && normalized;
  step(passed ? 'The demo passed.' : 'The demo FAILED: the figures above say where.');
  if (passed) suggest(paths);
  return passed;
}

async function load({ fixture: path }: Paths): Promise<Fixture> {
  const fixture = await readFixture(path);
  const { graph, options, stateDict, framework } = fixture;
  if (graph !== 'unet') throw new Error(`${path}: the demo needs a fixture of graph unet, not of ${graph}`);
  const elements = [...stateDict.values()].reduce((sum, { dims }) => sum + elementCount(dims), 0);
  step(
    `1. A U-Net that ${framework} has trained to find cells`,
    `${here(path)}, ${plural(elements, 'parameter')}`,
    `UNetGN(${Object.entries(options)
      .map(([name, value]) => `${name}=${String(value)}`)
      .join(', ')})`,
  );
  return fixture;
}

async function build({ graph: name, options, stateDict }: Fixture, { model }: Paths): Promise<void> {
  const graph = getGraph(name).build(options);
  const bytes = await progressing(`writing ${here(model)}`, () =>
    writeModel(model, graph, matchStateDict(graph, stateDict)),
  );
  const norms = graph.nodes.filter(({ opType }) => opType === 'GroupNormalization').length;
  step(
    '2. The same as an ONNX model',
    `${here(model)}, ${formatBytes(bytes)}, opset ${DEFAULT_OPSET}, x ${formatShape(graph.inputs[0]!.shape)}`,
    `${plural(norms, 'GroupNorm')}, written as ${defaultLowering(DEFAULT_OPSET)}`,
  );
}

async function segmentImage(paths: Paths): Promise<Segmentation> {
  const image = decodePng(await readFileBytes(paths.image), paths.image);
  await using session = await progressing(`loading ${here(paths.model)}`, () => createSession(paths.model));
  const { result, times } = await withProgress(process.stderr, (progress) =>
    runRepeatedly(session, RUNS, progress, () => segment(session, image)),
  );
  await writePictures(image, result.mask, paths);
  step(
    '3. An image that it has not seen, through ONNX Runtime',
    `${here(paths.image)}, ${image.width} × ${image.height} pixels`,
    `provider ${describeExecution(session)}`,
    `from the pixels to the mask: ${describeTimes(times)}`,
    `${here(paths.mask)}: the cells in white; ${here(paths.overlay)}: outlined in the image`,
  );
  return result;
}

const writePictures = (image: Image, mask: Mask, paths: Paths): Promise<void> =>
  writeFilesAtomic([
    { path: paths.mask, content: encodePng(maskToImage(mask)) },
    { path: paths.overlay, content: encodePng(overlay(image, mask, { scale: SCALE })) },
  ]);

async function compare(fixture: Fixture, { mask, logits }: Segmentation, paths: Paths): Promise<boolean> {
  const expected = fixture.outputs.get('y')!;
  const usual = defaultTolerance(expected.dtype);
  const { rtol = usual.rtol, atol = usual.atol } = fixture;
  const result = compareTensors('y', logits, expected, { rtol, atol }, fixture.truth.get('y'));
  const { classes } = maskOf(expected);
  const same = classes.filter((index, pixel) => index === mask.classes[pixel]).length;
  const truth = decodePng(await readFileBytes(paths.truth), paths.truth);
  const rows = [
    ["pixels as in PyTorch's mask", `${percent(same / classes.length)} (${same} of ${classes.length})`],
    ["logits beyond PyTorch's tolerance", `${result.mismatched} of ${result.elements}`],
    ['  largest difference', result.maxAbs.toExponential(1)],
    ['  tolerance', `atol ${atol.toExponential()}, rtol ${rtol.toExponential()}`],
  ];
  if (result.distanceToTruth !== undefined) {
    rows.push(['  distance from float64, ours', result.distanceToTruth.toExponential(1)]);
    rows.push(["  distance from float64, PyTorch's", result.referenceDistanceToTruth!.toExponential(1)]);
  }
  rows.push(['IoU with the true cells', intersectionOverUnion(mask, truth).toFixed(3)]);
  const passed = result.passed && same === classes.length;
  step(`4. Against PyTorch: ${verdict(passed)}`, formatTable(rows));
  return passed;
}

const percent = (share: number): string => `${Number((100 * share).toFixed(2))} %`;

/** Returns the IoU of class 1 and the pixels that are not black in an image. */
function intersectionOverUnion({ classes }: Mask, { samples }: Image): number {
  let [both, either] = [0, 0];
  classes.forEach((index, pixel) => {
    const [found, there] = [index === 1, samples[pixel]! > 0];
    if (found && there) both += 1;
    if (found || there) either += 1;
  });
  return both / either;
}

async function checkGroups({ groupNorm }: Paths): Promise<boolean> {
  const fixture = await readFixture(groupNorm);
  const { passed, table } = await verifyGroups(fixture);
  const { numGroups, numChannels } = fixture.options;
  step(
    `5. GroupNorm(${String(numGroups)}, ${String(numChannels)}) by itself: every group without γ and β has ` +
      `mean 0 and deviation 1: ${verdict(passed)}`,
    table,
  );
  return passed;
}

interface Moments {
  readonly sample: number;
  readonly group: number;
  readonly mean: number;
  readonly deviation: number;
}

/** Runs a fixture of graph group-norm and checks that every group of its output, without γ and β, is normalized. */
async function verifyGroups(fixture: Fixture): Promise<{ passed: boolean; table: string }> {
  const groups = groupMoments(fixture, await runGroupNorm(fixture));
  const fault = ({ mean, deviation }: Moments) => Math.max(Math.abs(mean), Math.abs(deviation - 1));
  const worst = groups.reduce((a, b) => (fault(b) > fault(a) ? b : a));
  const row = ({ sample, group, mean, deviation }: Moments, note = ''): string[] => [
    String(sample),
    String(group),
    mean.toExponential(1),
    deviation.toFixed(6),
    note,
  ];
  const table = formatTable(
    [
      ...groups.slice(0, SHOWN_GROUPS).map((moments) => row(moments)),
      row(worst, `the worst of ${groups.length}`),
    ],
    ['sample', 'group', 'mean', 'deviation', ''],
    ['right', 'right', 'right', 'right'],
  );
  return { passed: groups.every((moments) => fault(moments) < GROUP_TOLERANCE), table };
}

async function runGroupNorm({ graph: name, options, inputs, stateDict }: Fixture): Promise<TensorData> {
  const { dtype, dims } = inputs.get('x')!;
  const graph = getGraph(name).build(options, { dtype, shape: dims });
  await using session = await createSession(encodeModel(graph, matchStateDict(graph, stateDict)));
  return (await session.run(Object.fromEntries(inputs))).y!;
}

/** Returns mean and deviation of (y − β) / γ over each group, in float64. */
function groupMoments({ options, stateDict }: Fixture, y: TensorData): Moments[] {
  const [samples = 0, channels = 0] = y.dims;
  const numGroups = options.numGroups as number;
  const [values, weight, bias] = [y, stateDict.get('weight')!, stateDict.get('bias')!].map(toFloat64Array);
  const plane = values!.length / (samples * channels);
  const normalized = values!.map((value, i) => {
    const channel = Math.floor(i / plane) % channels;
    return (value - bias![channel]!) / weight![channel]!;
  });
  const size = (channels / numGroups) * plane;
  return Array.from({ length: samples * numGroups }, (_, at) => {
    const group = normalized.subarray(at * size, (at + 1) * size);
    const mean = group.reduce((sum, value) => sum + value, 0) / size;
    const variance = group.reduce((sum, value) => sum + (value - mean) ** 2, 0) / size;
    return {
      sample: Math.floor(at / numGroups),
      group: at % numGroups,
      mean,
      deviation: Math.sqrt(variance),
    };
  });
}

const progressing = <T>(text: string, action: () => Promise<T>): Promise<T> =>
  withProgress(process.stderr, (progress) => {
    progress.step(text);
    return action();
  });

function suggest({ model, overlay, mask, demo }: Paths): void {
  step(
    'Next',
    `look at ${here(overlay)}`,
    `npm run cli -- run ${quote(here(model))} --image YOUR.png --mask ${quote(here(mask))}`,
    `npm run cli -- parity ${quote(here(demo))}`,
    'npm run cli -- build unet --help',
  );
}
