/** Where two tensors differ, as tables that are small enough to look at. */
import { toFloat64Array } from '../../half.js';
import type { Tolerance } from '../../parity/compare.js';
import type { TensorData } from '../../tensor.js';
import type { HeatMap, HeatMapTable } from './comparison.js';

/** The most cells down and across. */
const [MAX_DOWN, MAX_ACROSS] = [64, 128];

/** A table, and how the index of an element becomes its row and column: `row = floor(index / step) % size`. */
interface Layout {
  readonly axis: string;
  readonly size: number;
  readonly step: number;
}

/**
 * Returns where two tensors of one shape differ. Axis 1 counts as channels where there are three axes or more.
 * @param name The name of the value.
 */
export function heatMapOf(
  name: string,
  actual: TensorData,
  expected: TensorData,
  tolerance: Tolerance,
): HeatMap {
  const [a, e] = [toFloat64Array(actual), toFloat64Array(expected)];
  const shareAt = (index: number): number => {
    const [is, must] = [a[index]!, e[index]!];
    if (is === must || (Number.isNaN(is) && Number.isNaN(must))) return 0;
    const difference = Math.abs(is - must);
    return Number.isFinite(difference)
      ? difference / (tolerance.atol + tolerance.rtol * Math.abs(must))
      : Infinity;
  };
  return {
    name,
    maps: layoutsOf(actual.dims).map(([down, across]) => tableOf(a.length, down, across, shareAt)),
  };
}

function layoutsOf(dims: readonly number[]): (readonly [Layout, Layout])[] {
  const size = (from: number, to?: number) => dims.slice(from, to).reduce((product, dim) => product * dim, 1);
  const rank = dims.length;
  if (rank < 3) {
    const [rows, columns] = [size(0, -1), size(-1)];
    return [
      [
        { axis: 'rows', size: rows, step: columns },
        { axis: 'columns', size: columns, step: 1 },
      ],
    ];
  }
  const space = size(2);
  const channels: [Layout, Layout] = [
    { axis: 'channels', size: dims[1]!, step: space },
    { axis: 'positions', size: space, step: 1 },
  ];
  if (rank === 3) return [channels];
  const [height, width] = dims.slice(-2) as [number, number];
  return [
    channels,
    [
      { axis: `axis ${rank - 2}`, size: height, step: width },
      { axis: `axis ${rank - 1}`, size: width, step: 1 },
    ],
  ];
}

function tableOf(
  elements: number,
  down: Layout,
  across: Layout,
  shareAt: (index: number) => number,
): HeatMapTable {
  const [rows, columns] = [Math.min(down.size, MAX_DOWN), Math.min(across.size, MAX_ACROSS)];
  const cells = Array.from({ length: rows }, () => new Array<number>(columns).fill(0));
  const cellOf = ({ size, step }: Layout, count: number, index: number) =>
    Math.floor(((Math.floor(index / step) % size) * count) / size);
  for (let index = 0; index < elements; index++) {
    const share = shareAt(index);
    if (share === 0) continue;
    const row = cells[cellOf(down, rows, index)]!;
    const column = cellOf(across, columns, index);
    row[column] = Math.max(row[column]!, share);
  }
  return {
    down: { axis: down.axis, size: down.size },
    across: { axis: across.axis, size: across.size },
    cells,
  };
}
