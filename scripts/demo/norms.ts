/**
 * The demo of four normalizations side by side: runs BatchNorm with batch statistics, LayerNorm, GroupNorm and
 * InstanceNorm as one ONNX model, on one sample in batches of 1 to 32 samples, and compares the figures with PyTorch's.
 */
import { join, relative } from 'node:path';
import { formatTable, indent } from '../../lib/cli/shared/table.js';
import { writeFilesAtomic } from '../../lib/files/atomic.js';
import { readFileBytes } from '../../lib/files/read.js';
import { chartFile, type ChartOptions, lineChart } from '../../lib/html/chart.js';
import { html } from '../../lib/html/html.js';
import { page, table } from '../../lib/html/page.js';
import { createSession, encodeModel, getGraph, stack, tensor, toFloat64Array } from '../../lib/index.js';
import type { TensorData } from '../../lib/tensor.js';
import { Random } from '../../lib/weights/initialize.js';

const SHAPE = [8, 6, 6];
const ELEMENTS = 8 * 6 * 6;
/** The sets of neighbours that the sample has in turn. */
const SETS = 32;
/** The largest difference from PyTorch's figures. Elements of float32 below 4 are rounded to 2.4e-7 a few times. */
const TOLERANCE = 2e-6;

const NORMS = {
  batch_norm: 'BatchNorm',
  layer_norm: 'LayerNorm',
  group_norm: 'GroupNorm',
  instance_norm: 'InstanceNorm',
} as const;
type Norm = keyof typeof NORMS;
const NAMES = Object.keys(NORMS) as Norm[];

/** What one normalization makes of the sample in batches of one size. */
interface Figures {
  /** The mean of the sample's output among its first neighbours. */
  readonly mean: number;
  /** The deviation of these elements. */
  readonly deviation: number;
  /** The root mean square distance of an element of the output from its mean over all sets of neighbours. */
  readonly move: number;
}

/** The figures of each normalization, one for each batch size: `scripts/demo/norms.py` writes PyTorch's. */
interface Comparison {
  readonly framework: string;
  readonly batchSizes: readonly number[];
  readonly norms: Readonly<Record<Norm, readonly Figures[]>>;
}

/** What the tables and the charts show. */
const QUANTITIES = [
  ['move', "How far the sample's output moves when its neighbours change"],
  ['mean', "Mean of the sample's output"],
  ['deviation', "Deviation of the sample's output"],
] as const satisfies [keyof Figures, string][];

/**
 * Runs the demo, and returns whether every figure is PyTorch's.
 * @param out The folder for the page with the charts.
 * @param figures The file with PyTorch's figures.
 */
export async function demoNorms({ out, figures: file }: { out: string; figures: string }): Promise<boolean> {
  const expected = JSON.parse(new TextDecoder().decode(await readFileBytes(file))) as Comparison;
  const actual = await compareNorms(expected.batchSizes);
  const difference = largestDifference(actual, expected);
  const passed = difference <= TOLERANCE;
  const verdict =
    `${passed ? 'Passed' : 'FAILED'}: the figures differ from those of ${expected.framework} by at most ` +
    `${difference.toExponential(1)}; allowed: ${TOLERANCE.toExponential()}`;
  const path = join(out, 'norms.html');
  const chart = join(out, 'norms.svg');
  await writeFilesAtomic([
    { path, content: pageOf(actual, verdict) },
    { path: chart, content: chartFile({ ...chartOf(actual, QUANTITIES[0]), ...LABELS_OF_FILE }) },
  ]);

  console.log(`Four normalizations of one sample (${SHAPE.join(' × ')}), in batches of five sizes`);
  for (const [quantity, title] of QUANTITIES) {
    console.log(`\n${title}\n${indent(textTable(actual, quantity))}`);
  }
  console.log(
    `\n${verdict}\n${relative('', path)}: the tables and charts\n${relative('', chart)}: the chart of the moves`,
  );
  return passed;
}

/** Runs the four normalizations through ONNX Runtime. */
async function compareNorms(batchSizes: readonly number[]): Promise<Omit<Comparison, 'framework'>> {
  const most = Math.max(...batchSizes) - 1;
  const [sample, ...others] = Array.from({ length: 1 + SETS * most }, (_, index) => makeSample(index));
  const neighbours = Array.from({ length: SETS }, (_, set) => others.slice(set * most, (set + 1) * most));
  const norms: Record<Norm, Figures[]> = {
    batch_norm: [],
    layer_norm: [],
    group_norm: [],
    instance_norm: [],
  };
  await using session = await createSession(encodeModel(getGraph('norm-comparison').build(), new Map()));
  for (const size of batchSizes) {
    const outputs = await Promise.all(
      neighbours.map((set) => session.run({ x: stack([sample!, ...set.slice(0, size - 1)]) })),
    );
    for (const norm of NAMES) {
      norms[norm].push(
        figuresOf(outputs.map((output) => toFloat64Array(output[norm]!).subarray(0, ELEMENTS))),
      );
    }
  }
  return { batchSizes, norms };
}

/** Returns uniform numbers with a brightness and a contrast of their own. */
function makeSample(index: number): TensorData<'float32'> {
  const random = new Random(0, `sample ${index}`);
  const brightness = 2 * random.uniform(0) - 1;
  const contrast = 0.5 + random.uniform(1);
  const values = Float32Array.from(
    { length: ELEMENTS },
    (_, i) => brightness + contrast * (2 * random.uniform(2 + i) - 1),
  );
  return tensor('float32', SHAPE, values);
}

/** @param outputs The sample's output in each set of neighbours. */
function figuresOf(outputs: readonly Float64Array[]): Figures {
  const average = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b) / values.length;
  const varianceOf = (values: ArrayLike<number>) => {
    const mean = average(values);
    return average(Array.from(values, (value) => (value - mean) ** 2));
  };
  const moves = Array.from({ length: ELEMENTS }, (_, i) => varianceOf(outputs.map((output) => output[i]!)));
  return {
    mean: average(outputs[0]!),
    deviation: Math.sqrt(varianceOf(outputs[0]!)),
    move: Math.sqrt(average(moves)),
  };
}

const largestDifference = (actual: Omit<Comparison, 'framework'>, expected: Comparison): number =>
  Math.max(
    ...NAMES.flatMap((norm) =>
      actual.norms[norm].flatMap((figures, i) =>
        QUANTITIES.map(([quantity]) => Math.abs(figures[quantity] - expected.norms[norm][i]![quantity])),
      ),
    ),
  );

const shown = (value: number): string => (Math.abs(value) < 5e-4 ? '0' : value.toFixed(3));

function textTable({ batchSizes, norms }: Omit<Comparison, 'framework'>, quantity: keyof Figures): string {
  const rows = batchSizes.map((size, i) => [
    String(size),
    ...NAMES.map((norm) => shown(norms[norm][i]![quantity])),
  ]);
  return formatTable(rows, ['batch', ...Object.values(NORMS)], Array<'right'>(5).fill('right'));
}

/** A file has less room than the page. */
const LABELS_OF_FILE = {
  title: QUANTITIES[0][1],
  xLabel: 'samples in the batch (LayerNorm, GroupNorm and InstanceNorm lie on each other)',
};

/** Returns the chart of a quantity. Three of its lines lie on each other. */
const chartOf = (
  { batchSizes, norms }: Omit<Comparison, 'framework'>,
  [quantity, title]: (typeof QUANTITIES)[number],
): ChartOptions => ({
  title: `${title}: LayerNorm, GroupNorm and InstanceNorm lie on each other`,
  xLabel: 'samples in the batch',
  yLabel: quantity,
  series: NAMES.map((norm) => ({
    name: NORMS[norm],
    points: batchSizes.map((x, i) => ({ x, y: norms[norm][i]![quantity], name: `batch of ${x}` })),
  })),
});

function pageOf(comparison: Omit<Comparison, 'framework'>, verdict: string): string {
  const { batchSizes, norms } = comparison;
  const section = (shownHere: (typeof QUANTITIES)[number]) => {
    const [quantity, title] = shownHere;
    const columns = NAMES.map((norm) => ({
      head: NORMS[norm],
      isNumeric: true,
      cells: norms[norm].map((figures) => shown(figures[quantity])),
    }));
    return html`<h2>${title}</h2>
      ${table('Three digits, by the number of samples in the batch', [
        { head: 'batch size', isNumeric: true, cells: batchSizes },
        ...columns,
      ])}
      ${lineChart(chartOf(comparison, shownHere))}`;
  };
  return page('Four normalizations of one sample', [
    html`<p>
        One sample stands in batches of ${batchSizes.join(', ')} samples, with ${SETS} sets of neighbours for
        each size. BatchNorm takes the mean and the variance of the whole batch, so the neighbours change what
        it makes of the sample. LayerNorm, GroupNorm (4 groups of 2 channels) and InstanceNorm take them from
        the sample alone. ONNX Runtime ran all four as one ONNX model. A move is the root mean square distance
        of an element from its mean over the sets; mean and deviation are those of the output in the first
        set.
      </p>
      <p>${verdict}</p>`,
    ...QUANTITIES.map(section),
  ]);
}
