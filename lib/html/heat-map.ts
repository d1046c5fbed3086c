/** A table of shares of a tolerance as a picture: SVG with one path for each level, which stays small. */
import { html, type Html } from './html.js';

/** What a picture shows. */
export interface HeatMapOptions {
  readonly title: string;
  /** What goes down and across, with the sizes in the tensor: `64 channels`. */
  readonly down: string;
  readonly across: string;
  /** Rows of the same length. 1 is the tolerance. */
  readonly cells: readonly (readonly number[])[];
}

/** The levels of a share: the colours of the page's style are named by their index. */
const LEVELS: readonly { readonly name: string; readonly has: (share: number) => boolean }[] = [
  { name: 'equal', has: (share) => share === 0 },
  { name: 'up to 1 %', has: (share) => share <= 0.01 },
  { name: 'up to 10 %', has: (share) => share <= 0.1 },
  { name: 'up to the tolerance', has: (share) => share <= 1 },
  { name: 'up to 10 times', has: (share) => share <= 10 },
  { name: 'up to 100 times', has: (share) => share <= 100 },
  { name: 'more', has: (share) => share < Infinity },
  { name: 'not finite or unequal', has: () => true },
];

const levelOf = (share: number): number => LEVELS.findIndex(({ has }) => has(share));

/** Returns the legend of all pictures: shares of the tolerance by their colours. */
export const heatMapLegend = (): Html =>
  html`<ul class="legend">
    ${LEVELS.map(({ name }, level) => html`<li class="heat-${level}">${name}</li>`)}
  </ul> `;

/** Pixels of the longer side of a picture, of the longer side of a cell, and of a row that is not thin. */
const [LONGER_SIDE, MAX_CELL, LEAST_ROW] = [360, 24, 8];

/** Returns a picture as a figure. */
export function heatMap({ title, down, across, cells }: HeatMapOptions): Html {
  const [rows, columns] = [cells.length, cells[0]?.length ?? 0];
  const size = Math.min(MAX_CELL, LONGER_SIDE / Math.max(rows, columns, 1));
  const height = Math.max(rows * size, Math.min(rows * LEAST_ROW, LONGER_SIDE));
  const paths = LEVELS.map((_, level) => pathOf(cells, level));
  return html`<figure class="heat">
    <figcaption>${title}</figcaption>
    <svg
      role="img"
      aria-label="${title}"
      width="${Math.ceil(columns * size)}"
      height="${Math.ceil(height)}"
      viewBox="0 0 ${columns} ${rows}"
      preserveAspectRatio="none"
      shape-rendering="crispEdges"
    >
      ${paths.map((path, level) => path !== '' && html`<path class="heat-${level}" d="${path}" />`)}
    </svg>
    <figcaption>down: ${down}; across: ${across}</figcaption>
  </figure> `;
}

/** Draws the runs of cells of a level in each row. */
function pathOf(cells: readonly (readonly number[])[], level: number): string {
  let path = '';
  cells.forEach((row, y) => {
    let start = -1;
    for (let x = 0; x <= row.length; x++) {
      const isInside = x < row.length && levelOf(row[x]!) === level;
      if (isInside && start < 0) start = x;
      if (isInside || start < 0) continue;
      path += `M${start} ${y}h${x - start}v1h${start - x}z`;
      start = -1;
    }
  });
  return path;
}
