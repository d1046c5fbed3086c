/** A chart of lines and points, as SVG without a script. The browser names the point under the pointer. */
import { formatNumber } from '../quantities.js';
import { html, Html } from './html.js';
import { CHART_STYLE, COLORS } from './style.js';

/** A value of a chart. */
export interface ChartPoint {
  readonly x: number;
  /** A value that is not on the axis (NaN, an infinity; 0 on a log axis) is a hollow point at the edge. A line breaks there. */
  readonly y: number;
  /** What the point is: the name of a tensor or a module. */
  readonly name: string;
}

/** A line of a chart, in its own colour. */
export interface ChartSeries {
  readonly name: string;
  readonly points: readonly ChartPoint[];
}

/** What a chart shows. */
export interface ChartOptions {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  /** Whether the ticks of the vertical axis are powers of ten, and 0 lies below it. */
  readonly isLog?: boolean;
  /** At most four. */
  readonly series: readonly ChartSeries[];
  /** Values that matter, each as a dashed line: a tolerance. */
  readonly marks?: readonly { readonly y: number; readonly name: string }[];
}

/** Pixels of the plot, as in the style of the page. Horizontally a place is a share of the width, which is not known. */
const HEIGHT = 260;

/** What is drawn of a chart, in a viewport of any width. */
interface Drawing {
  readonly content: Html;
  /** Whether points lie at the edge, because the axis does not have their values. */
  readonly isOutside: boolean;
}

function draw({ xLabel, yLabel, isLog = false, series, marks = [] }: ChartOptions): Drawing {
  const points = series.flatMap((one) => one.points);
  const xAxis = linearAxis(points.map(({ x }) => x));
  const values = [...points, ...marks].map(({ y }) => y);
  const yAxis = isLog ? logAxis(values) : linearAxis(values);
  const across = (place: number) => `${round(100 * place)}%`;
  const down = (place: number) => round(HEIGHT * (1 - place));
  const xOf = (value: number) => across(xAxis.place(value));
  const yOf = (value: number) => down(yAxis.place(value));

  const drawTick = ({ place, label }: Tick) =>
    html`<line class="grid" x1="0" x2="100%" y1="${down(place)}" y2="${down(place)}" />
      <text x="-8" y="${down(place) + 4}" text-anchor="end">${label}</text> `;
  const drawMark = ({ y, name }: { y: number; name: string }) =>
    html`<line class="mark" x1="0" x2="100%" y1="${yOf(y)}" y2="${yOf(y)}" />
      <text class="mark-name" x="100%" y="${yOf(y) - 5}" text-anchor="end">${name}</text> `;
  const drawLine = (from: ChartPoint, to: ChartPoint) =>
    html`<line x1="${xOf(from.x)}" y1="${yOf(from.y)}" x2="${xOf(to.x)}" y2="${yOf(to.y)}" /> `;
  const drawPoint = ({ x, y, name }: ChartPoint, ofSeries: string) =>
    html`<circle class="${yAxis.has(y) ? 'inside' : 'edge'}" cx="${xOf(x)}" cy="${yOf(y)}" r="4"
      ><title>${name}: ${formatNumber(y)} (${ofSeries})</title></circle
    >`;
  const drawSeries = ({ name, points: own }: ChartSeries, index: number) => {
    // A line is broken at a value that the axis does not have.
    const lines = own
      .slice(1)
      .map((to, before) => yAxis.has(to.y) && yAxis.has(own[before]!.y) && drawLine(own[before]!, to));
    return html`<g class="series-${index}"> ${lines}${own.map((point) => drawPoint(point, name))}</g> `;
  };
  const isOutside = points.some(({ y }) => !yAxis.has(y));
  const content = html`${yAxis.ticks.map(drawTick)}${xAxis.ticks.map(
      ({ place, label }) =>
        html`<text x="${across(place)}" y="${HEIGHT + 20}" text-anchor="middle">${label}</text> `,
    )}
    <text x="50%" y="${HEIGHT + 42}" text-anchor="middle">${xLabel}</text>
    <text x="-52" y="-14">${yLabel}</text>
    ${series.map(drawSeries)}${marks.map(drawMark)}`;
  return { content, isOutside };
}

/** Returns a chart as a figure. */
export function lineChart(options: ChartOptions): Html {
  const { title, series, isLog } = options;
  const { content, isOutside } = draw(options);
  return html`<figure>
    <figcaption>${title}</figcaption>
    ${
      series.length > 1 &&
      html`<ul class="legend">
        ${series.map(({ name }, index) => html`<li class="series-${index}">${name}</li>`)}
      </ul>`
    }
    <svg class="chart" role="img" aria-label="${title}">${content}</svg>
    ${isOutside && html`<figcaption>${describeEdge(isLog)}</figcaption>`}
  </figure> `;
}

const describeEdge = (isLog = false): string =>
  `A hollow point is not on the axis: its value is ${isLog ? '0 or below, ' : ''}NaN or an infinity.`;

/** The pixels of a chart in a file of its own, and where its parts lie. */
const FILE = { width: 760, height: 400, left: 70, right: 24, title: 28, legend: 54, plot: 96, edge: 392 };

/** Returns a chart as an SVG file, light or dark as the reader prefers. */
export function chartFile(options: ChartOptions): string {
  const { title, series, isLog } = options;
  const { content, isOutside } = draw(options);
  const { width, height, left, right, plot } = FILE;
  const across = width - left - right;
  const entries = series.map(
    ({ name }, index) =>
      html`<g class="series-${index}">
        <circle cx="${left + 5 + (index * across) / series.length}" cy="${FILE.legend - 4}" r="4" />
        <text x="${left + 15 + (index * across) / series.length}" y="${FILE.legend}">${name}</text>
      </g>`,
  );
  return html`<svg
    xmlns="http://www.w3.org/2000/svg"
    viewBox="0 0 ${width} ${height}"
    width="${width}"
    height="${height}"
    font-family="system-ui, sans-serif"
  >
    <title>${title}</title>
    <style>
      ${new Html(`${COLORS}${CHART_STYLE}.title { fill: var(--text); font-size: 15px; } .back { fill: var(--back); }`)}
    </style>
    <rect class="back" width="100%" height="100%" />
    <text class="title" x="${left}" y="${FILE.title}">${title}</text>
    <g class="chart">
      ${series.length > 1 && entries}
      <svg x="${left}" y="${plot}" width="${across}" height="${HEIGHT}" overflow="visible">${content}</svg>
      ${isOutside && html`<text x="${left}" y="${FILE.edge}">${describeEdge(isLog)}</text>`}
    </g>
  </svg> `.text;
}

const round = (value: number): number => Number(value.toFixed(2));

/** A value that an axis is labelled at. */
interface Tick {
  /** From 0 to 1. */
  readonly place: number;
  readonly label: string;
}

interface Axis {
  readonly ticks: readonly Tick[];
  /** Returns whether a value lies on the axis. */
  has(value: number): boolean;
  /** Returns where a value lies, from 0 to 1; for a value that does not lie on the axis, the edge. */
  place(value: number): number;
}

/** An axis is divided into about so many parts. */
const PARTS = 5;

function linearAxis(values: readonly number[]): Axis {
  const has = Number.isFinite;
  const [low, high] = range(values.filter(has), [0, 1]);
  const step = niceStep(high / PARTS - low / PARTS || Math.abs(high) || 1);
  const first = Math.floor(low / step);
  const parts = Math.max(Math.ceil(high / step) - first, 1);
  return {
    ticks: Array.from({ length: parts + 1 }, (_, index) => ({
      place: index / parts,
      label: formatNumber((first + index) * step),
    })),
    has,
    place: (value) => (has(value) ? (value / step - first) / parts : value < 0 ? 0 : 1),
  };
}

/** Returns the number of 1, 2 and 5 times a power of ten that is `step` or just above it. */
function niceStep(step: number): number {
  // Powers of ten below this are not exact.
  const power = 10 ** Math.floor(Math.log10(Math.max(step, 1e-300)));
  return power * ([1, 2, 5].find((factor) => factor * power >= step * (1 - 1e-9)) ?? 10);
}

function logAxis(values: readonly number[]): Axis {
  const has = (value: number) => Number.isFinite(value) && value > 0;
  const [low, high] = range(values.filter(has), [1, 10]);
  const first = Math.floor(Math.log10(low));
  const decades = Math.max(Math.ceil(Math.log10(high)) - first, 1);
  const every = Math.ceil(decades / PARTS);
  return {
    ticks: Array.from({ length: Math.floor(decades / every) + 1 }, (_, index) => ({
      place: (index * every) / decades,
      label: `1e${first + index * every}`,
    })),
    has,
    place: (value) => (has(value) ? (Math.log10(value) - first) / decades : value <= 0 ? 0 : 1),
  };
}

/** Returns the smallest and the largest value. A list may be too long for the arguments of Math.min. */
const range = (values: readonly number[], whenEmpty: readonly [number, number]): readonly [number, number] =>
  values.length === 0
    ? whenEmpty
    : values.reduce<[number, number]>(
        ([low, high], value) => [Math.min(low, value), Math.max(high, value)],
        [Infinity, -Infinity],
      );
