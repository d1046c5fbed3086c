/** The whole way in one go: a PyTorch fixture, an ONNX model, ONNX Runtime, and whether the numbers are right. */
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { formatBytes, formatDuration, formatTable, indent, quote } from '../lib/cli/format.js';
import {
  compareTensors,
  createSession,
  DEFAULT_OPSET,
  defaultLowering,
  defaultTolerance,
  formatShape,
  getGraph,
  matchStateDict,
  OnnxGroupNormError,
  readFixture,
  toFloat64Array,
  writeModel,
  type Fixture,
  type OutputComparison,
  type TensorData,
} from '../lib/index.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FIXTURE = join(ROOT, 'test/fixtures/group-norm/net-unet.safetensors');
const RUNS = 50;
/** Groups that the table shows besides the worst. */
const SHOWN = 4;

const say = (...lines: string[]): void => lines.forEach((line) => console.log(line));
const step = (title: string, ...lines: string[]): void =>
  say('', title, ...lines.map((line) => indent(line)));
const here = (path: string): string => (relative('', path).startsWith('..') ? path : relative('', path));
const exponential = (value: unknown): string => Number(value).toExponential();

async function main(): Promise<boolean> {
  const { values } = parseArgs({
    options: {
      out: { type: 'string', default: join(ROOT, 'demo/out') },
      fixture: { type: 'string', default: FIXTURE },
    },
  });
  const model = join(values.out, 'group-norm.onnx');
  say('Group Normalization from PyTorch to ONNX Runtime');
  const fixture = await load(values.fixture);
  await build(fixture, model);
  const y = await run(fixture, model);
  const comparison = compare(fixture, y);
  const normalized = verifyGroups(fixture, y);
  const passed = comparison.passed && normalized;
  step(passed ? 'The demo passed.' : 'The demo FAILED: the figures above say where.');
  if (passed) suggest(model, fixture);
  return passed;
}

async function load(path: string): Promise<Fixture> {
  const fixture = await readFixture(path);
  if (fixture.graph !== 'group-norm' || fixture.options.affine === false) {
    throw new Error(
      `${path}: the demo needs a fixture of graph group-norm with weights, not of ${fixture.graph}`,
    );
  }
  const x = fixture.inputs.get('x')!;
  const { numGroups, numChannels, eps = 1e-5 } = fixture.options;
  step(
    `1. What ${fixture.framework} computed`,
    here(path),
    fixture.description,
    `torch.nn.GroupNorm(${String(numGroups)}, ${String(numChannels)}, eps=${exponential(eps)})`,
    `of x, ${x.dtype} ${formatShape(x.dims)}`,
  );
  return fixture;
}

async function build(fixture: Fixture, path: string): Promise<void> {
  const { dtype, dims } = fixture.inputs.get('x')!;
  const shape = dims.map((dim, axis) => (axis === 1 ? dim : nameOf(axis)));
  const graph = getGraph(fixture.graph).build(fixture.options, { dtype, shape });
  const bytes = await writeModel(path, graph, matchStateDict(graph, fixture.stateDict));
  step(
    '2. The same as an ONNX model',
    `${here(path)}, ${formatBytes(bytes)}, opset ${DEFAULT_OPSET}, written as ${defaultLowering(DEFAULT_OPSET)}`,
    `parameters ${graph.parameters.map(({ name }) => name).join(', ')}; x ${formatShape(shape)}`,
  );
}

/** Every size but the channels stays open. */
const nameOf = (axis: number): string => ['N', 'C', 'H', 'W'][axis] ?? `D${axis}`;

async function run(fixture: Fixture, path: string): Promise<TensorData> {
  const session = await createSession(path);
  try {
    const feeds = Object.fromEntries(fixture.inputs);
    let { y } = await session.run(feeds);
    const times: number[] = [];
    while (times.length < RUNS) {
      const start = performance.now();
      ({ y } = await session.run(feeds));
      times.push(performance.now() - start);
    }
    const median = times.sort((a, b) => a - b)[RUNS / 2]!;
    step(
      '3. Through ONNX Runtime',
      `provider ${session.provider}, GroupNormalization rewritten as ${session.groupNorm}`,
      `${formatDuration(median)} a run (median of ${RUNS}, fastest ${formatDuration(times[0]!)})`,
    );
    return y!;
  } finally {
    await session.dispose();
  }
}

function compare(fixture: Fixture, y: TensorData): OutputComparison {
  const expected = fixture.outputs.get('y')!;
  const usual = defaultTolerance(expected.dtype);
  const { rtol = usual.rtol, atol = usual.atol } = fixture;
  const result = compareTensors('y', y, expected, { rtol, atol }, fixture.truth.get('y'));
  const rows = [
    ['largest difference from PyTorch', result.maxAbs.toExponential(1)],
    ['elements beyond the tolerance', `${result.mismatched} of ${result.elements}`],
    ['tolerance', `atol ${exponential(atol)}, rtol ${exponential(rtol)}`],
  ];
  if (result.distanceToTruth !== undefined) {
    rows.push(['distance from float64, ours', result.distanceToTruth.toExponential(1)]);
    rows.push(["distance from float64, PyTorch's", result.referenceDistanceToTruth!.toExponential(1)]);
  }
  step(`4. Against PyTorch: ${result.passed ? 'passed' : 'FAILED'}`, formatTable(rows));
  return result;
}

/** As one verifies GroupNorm in PyTorch: without γ and β, every group has mean 0 and deviation 1. */
function verifyGroups(fixture: Fixture, y: TensorData): boolean {
  const groups = groupMoments(fixture, y);
  const fault = ({ mean, deviation }: Moments) => Math.max(Math.abs(mean), Math.abs(deviation - 1));
  const worst = groups.reduce((a, b) => (fault(b) > fault(a) ? b : a));
  const row = ({ sample, group, mean, deviation }: Moments, note = ''): string[] => [
    String(sample),
    String(group),
    mean.toExponential(1),
    deviation.toFixed(6),
    note,
  ];
  const right = groups.every((moments) => fault(moments) < MOMENT_TOLERANCE);
  step(
    `5. Every group without γ and β has mean 0 and deviation 1: ${right ? 'passed' : 'FAILED'}`,
    formatTable(
      [...groups.slice(0, SHOWN).map((moments) => row(moments)), row(worst, `the worst of ${groups.length}`)],
      ['sample', 'group', 'mean', 'deviation', ''],
      ['right', 'right', 'right', 'right'],
    ),
  );
  return right;
}

/** eps takes up to eps/2 = 5e-6 off the deviation of inputs like these; rounding y to float32 adds about 1e-6. */
const MOMENT_TOLERANCE = 1e-4;

interface Moments {
  readonly sample: number;
  readonly group: number;
  readonly mean: number;
  readonly deviation: number;
}

/** Mean and deviation of (y − β) / γ over each group, in float64. */
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

function suggest(model: string, { file, inputs }: Fixture): void {
  const sizes = inputs
    .get('x')!
    .dims.flatMap((_, axis) => (axis === 1 ? [] : `${nameOf(axis)}=${axis === 0 ? 1 : 64}`));
  step(
    'Next',
    `npm run cli -- run ${quote(here(model))} --input x=random --dim ${sizes.join(',')}`,
    `npm run cli -- parity ${quote(here(dirname(file)))}`,
    'npm run cli -- build --help',
  );
}

try {
  process.exitCode = (await main()) ? 0 : 1;
} catch (error) {
  console.error(error instanceof OnnxGroupNormError ? `error: ${error.message}` : error);
  process.exitCode = 2;
}
