/** The plots of the docs: what each draws of the report of a benchmark. */
import type { TopLevelSpec } from 'vega-lite';
import type { AccuracyRow } from '../accuracy.js';
import type { EventLoopRow } from '../event-loop.js';
import type { GroupNormRow } from '../group-norm.js';
import type { PriceRow } from '../price.js';
import type { ServeRow } from '../serve.js';
import { WIDTH } from './render.js';
import { readReport, type Report } from '../report.js';

/** A plot, as a specification of Vega-Lite without colours and fonts. */
export interface Plot {
  /** The benchmark, which is also the name of its report: `group-norm` for `group-norm.json`. */
  readonly benchmark: string;
  readonly read: (file: string) => TopLevelSpec;
}

const plot = <Row>(benchmark: string, specOf: (report: Report<Row>) => TopLevelSpec): Plot => ({
  benchmark,
  read: (file) => specOf(readReport<Row>(file)),
});

/** The plots by the names of their files. */
export const PLOTS: Readonly<Record<string, Plot>> = {
  'group-norm': plot('group-norm', groupNorm),
  accuracy: plot('accuracy', accuracy),
  networks: plot('price', networks),
  price: plot('price', price),
  'event-loop': plot('event-loop', eventLoop),
  serve: plot('serve', serve),
};

interface Title {
  readonly text: string;
  readonly subtitle: string;
}

/** A title, and below it what is good and where the figures come from. */
const titleOf = (text: string, hint: string, { machine, date }: Report<unknown>): Title => ({
  text,
  subtitle: `${hint} ${machine}, ${date}.`,
});

interface Point {
  readonly line: string;
  readonly x: number;
  /** `null` breaks the line. */
  readonly y: number | null;
}

interface Axis {
  readonly title: string;
  readonly ticks: readonly number[];
  /** An expression of Vega for the label of `datum.value`. */
  readonly label: string;
  /** Lines are cut off at these ends. */
  readonly domain: readonly [number, number];
}

/** Lines over two logarithmic axes. */
function logLines(
  points: readonly Point[],
  {
    title,
    lines,
    dashed,
    x,
    y,
  }: { title: Title; lines: readonly string[]; dashed?: string; x: Axis; y: Axis },
): TopLevelSpec {
  const domain = lines.filter((name) => points.some(({ line }) => line === name));
  const position = (field: string, { title: text, ticks, label, domain: ends }: Axis) => ({
    field,
    type: 'quantitative' as const,
    scale: { type: 'log' as const, domain: [...ends], nice: false },
    axis: { title: text, values: [...ticks], labelExpr: label },
  });
  const byLine = {
    field: 'line',
    type: 'nominal' as const,
    sort: null,
    legend: { orient: 'top-left' as const },
  };
  const dashes = domain.map((name) => (name === dashed ? [5, 4] : [1, 0]));
  return {
    title,
    autosize: { type: 'fit-x', contains: 'padding' },
    width: WIDTH,
    height: 300,
    data: { values: [...points] },
    mark: { type: 'line', clip: true, point: { filled: true, size: 50 }, strokeWidth: 2 },
    encoding: {
      x: position('x', x),
      y: position('y', y),
      color: { ...byLine, scale: { domain } },
      shape: { ...byLine, scale: { domain } },
      strokeDash: { ...byLine, scale: { domain, range: dashes } },
    },
  };
}

const BYTES: Axis = {
  title: 'size of the tensor',
  ticks: [1e4, 1e5, 1e6, 1e7, 1e8],
  label: `datum.value < 1e6 ? round(datum.value / 1e3) + ' kB' : round(datum.value / 1e6) + ' MB'`,
  domain: [6.5e3, 1.7e8],
};
const MILLISECONDS: Axis = {
  title: 'time of a call',
  ticks: [1e-3, 1e-2, 1e-1, 1, 10, 100],
  label: `datum.value < 1 ? round(1e3 * datum.value) + ' µs' : datum.value + ' ms'`,
  domain: [1e-3, 600],
};

/** The lines of the plot, with the runners that each stands for: it shows the fastest at each size. */
const GROUP_NORM_LINES: Readonly<Record<string, RegExp>> = {
  'onnx-groupnorm, sync': /^native, allocated outputs, sync$/,
  'onnx-groupnorm, await': /^native, using$/,
  PyTorch: /^PyTorch$/,
  'onnxruntime-node': /^onnxruntime-node/,
  'copy of the tensor': /^memcpy$/,
};

function groupNorm(report: Report<GroupNormRow>): TopLevelSpec {
  const sizes = [...new Set(report.rows.map(({ bytes }) => bytes))];
  const points = Object.entries(GROUP_NORM_LINES).flatMap(([line, runners]) =>
    sizes.flatMap((bytes) => {
      const rows = report.rows.filter((row) => row.bytes === bytes && runners.test(row.runner));
      return rows.length === 0 ? [] : [{ line, x: bytes, y: Math.min(...rows.map(({ ms }) => ms.median)) }];
    }),
  );
  return logLines(points, {
    title: titleOf('GroupNorm alone', 'Lower is better.', report),
    lines: Object.keys(GROUP_NORM_LINES),
    dashed: 'copy of the tensor',
    x: BYTES,
    y: MILLISECONDS,
  });
}

const ACCURACY_LINES: Readonly<Record<string, RegExp>> = {
  'onnx-groupnorm': /^native$/,
  PyTorch: /^PyTorch$/,
  'onnxruntime-node, instance-norm': /instance-norm$/,
  'onnxruntime-node, the operator': /operator inlined$/,
};

/** The largest shape: the longer a row, the larger the error. */
function accuracy(report: Report<AccuracyRow>): TopLevelSpec {
  const shape = report.rows.at(-1)!.shape.join();
  const rows = report.rows.filter((row) => row.shape.join() === shape && row.mean > 0);
  const points = Object.entries(ACCURACY_LINES).flatMap(([line, runners]) =>
    rows.flatMap(({ runner, mean, error }) => (runners.test(runner) ? [{ line, x: mean, y: error }] : [])),
  );
  const hasNaN = points.some(({ y }) => y === null);
  const title = `Error of GroupNorm, ${report.rows.at(-1)!.shape.join('×')}`;
  return logLines(points, {
    title: titleOf(title, hasNaN ? 'Lower is better, a gap is NaN.' : 'Lower is better.', report),
    lines: Object.keys(ACCURACY_LINES),
    x: {
      title: 'mean of the input, in deviations',
      ticks: [0.1, 1, 10, 100, 1000, 10_000],
      label: `format(datum.value, ',')`,
      domain: [0.08, 12_500],
    },
    y: {
      title: 'largest distance from float64',
      ticks: [1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 10],
      label: `format(datum.value, '.0e')`,
      domain: [1e-7, 3e4],
    },
  });
}

interface Bar {
  readonly group: string;
  readonly name: string;
  readonly value: number;
  readonly label: string;
}

/** The widths of the names left of bars, and of both with the figures. */
const NAMES = 205;
const BARS = WIDTH - 16;

/** Bars in groups, one below another, each with its figure. Ours come first and have the first colour. */
function bars(all: readonly Bar[], title: Title, isOurs: (name: string) => boolean): TopLevelSpec {
  const largest = Math.max(...all.map(({ value }) => value));
  const groups = new Map(all.map(({ group }) => [group, all.filter((bar) => bar.group === group)]));
  return {
    title,
    spacing: 12,
    vconcat: [...groups].map(([group, values]) => ({
      title: { text: group, fontSize: 13, anchor: 'start', frame: 'group', offset: 4 },
      data: { values: values.map((bar) => ({ ...bar, kind: isOurs(bar.name) ? 'ours' : 'others' })) },
      width: BARS,
      height: { step: 19 },
      encoding: {
        y: { field: 'name', type: 'nominal', sort: null, axis: null },
        x: {
          field: 'value',
          type: 'quantitative',
          scale: { domain: [0, 1.25 * largest], range: [NAMES, BARS] },
          axis: null,
        },
      },
      layer: [
        {
          mark: { type: 'bar', height: 13 },
          encoding: {
            color: { field: 'kind', type: 'nominal', scale: { domain: ['ours', 'others'] }, legend: null },
          },
        },
        { mark: { type: 'text', align: 'left', dx: 4 }, encoding: { text: { field: 'label' } } },
        // Clipped, because Vega takes texts to be wider than they are, and would widen the plot.
        {
          mark: { type: 'text', align: 'right', clip: true },
          encoding: { text: { field: 'name' }, x: { value: NAMES - 6 } },
        },
      ],
    })),
  };
}

const isOurs = (name: string): boolean => name.startsWith('onnx-groupnorm');

export const NETWORK_NAMES: Readonly<Record<string, string>> = {
  unet: 'U-Net',
  'detection-backbone': 'detection backbone',
  'resnet50-gn': 'ResNet-50',
  'vae-decoder': 'VAE decoder',
};
const titleOfNetwork = ({ network, shape }: PriceRow): string =>
  `${NETWORK_NAMES[network] ?? network}, ${shape}`;

const CONTESTANTS = ['onnx-groupnorm', 'onnxruntime-node', 'OpenVINO', 'PyTorch', 'torch.compile'];

/** Returns the rows in one order, whatever the parts were that a report was measured in. */
export function inOrder(rows: readonly PriceRow[]): PriceRow[] {
  const names = Object.keys(NETWORK_NAMES);
  const place = ({ network, contestant }: PriceRow): number =>
    100 * names.indexOf(network) + CONTESTANTS.findIndex((start) => contestant.startsWith(start));
  return rows.toSorted((a, b) => place(a) - place(b) || (a.contestant < b.contestant ? -1 : 1));
}

/** Returns the rows of a network, and of each runtime with several forms the fastest of them under the runtime's name. */
export function fastestForms(rows: readonly PriceRow[]): PriceRow[] {
  const fastest = new Map<string, PriceRow>();
  for (const row of inOrder(rows)) {
    const [runtime = ''] = row.contestant.split(', ');
    const name = runtime === 'PyTorch' ? row.contestant.replace('PyTorch, torch', 'torch') : runtime;
    const key = `${row.network} ${name}`;
    const best = fastest.get(key);
    if (!best || row.ms.median < best.ms.median) fastest.set(key, { ...row, contestant: name });
  }
  return [...fastest.values()];
}

/** Time over ours: absolute times of networks do not share an axis. */
function networks(report: Report<PriceRow>): TopLevelSpec {
  const all = fastestForms(report.rows).map((row) => ({
    group: titleOfNetwork(row),
    name: row.contestant,
    value: isOurs(row.contestant) ? 1 : row.overOurs.median,
    label: isOurs(row.contestant) ? `${formatMs(row.ms.median)}` : `${row.overOurs.median.toFixed(2)} ×`,
  }));
  return bars(all, titleOf('Whole networks: time of a run', 'Shorter is better.', report), isOurs);
}

function price(report: Report<PriceRow>): TopLevelSpec {
  const all = fastestForms(report.rows).map((row) => ({
    group: titleOfNetwork(row),
    name: row.contestant,
    value: Math.max(0, row.price.median - 1),
    label: `${(100 * (row.price.median - 1)).toFixed(0)} %`.replace('-', '−'),
  }));
  return bars(all, titleOf('Time that GroupNorm adds to a run', 'Shorter is better.', report), isOurs);
}

const formatMs = (ms: number): string => (ms < 10 ? `${ms.toFixed(1)} ms` : `${ms.toFixed(0)} ms`);

function eventLoop(report: Report<EventLoopRow>): TopLevelSpec {
  const all = report.rows
    .map(({ runner, p99 }) => ({
      group: 'U-Net, 1×3×256×256: 99th percentile',
      name: runner,
      value: p99,
      label: formatMs(p99),
    }))
    .reverse();
  return bars(all, titleOf('Delay of the event loop in a run', 'Shorter is better.', report), isOurs);
}

function serve(report: Report<ServeRow>): TopLevelSpec {
  const all = report.rows.map(({ model, shape, connections, server, perSecond }) => ({
    group: `${model}, ${shape}, ${connections} connections`,
    name: server.replace(' serve', '').replace('Python backend', 'Python'),
    value: perSecond.median,
    label: perSecond.median.toFixed(perSecond.median < 10 ? 1 : 0),
  }));
  return bars(all, titleOf('Server: requests a second', 'Longer is better.', report), isOurs);
}
