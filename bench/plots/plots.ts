/** The plots of the docs: what each draws of the report of a benchmark. */
import type { TopLevelSpec } from 'vega-lite';
import type { GroupNormRow } from '../group-norm.js';
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
  readonly y: number;
}

interface Axis {
  readonly title: string;
  readonly ticks: readonly number[];
  /** An expression of Vega for the label of `datum.value`. */
  readonly label: string;
  /** Lines are cut off at these ends. */
  readonly domain: readonly [number, number];
}

/** Lines over two logarithmic axes. The last line is a bound: it is dashed. */
function logLines(
  points: readonly Point[],
  { title, lines, x, y }: { title: Title; lines: readonly string[]; x: Axis; y: Axis },
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
  const dashes = domain.map((name) => (name === lines.at(-1) ? [5, 4] : [1, 0]));
  return {
    title,
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
    x: BYTES,
    y: MILLISECONDS,
  });
}
