/** Words and tables as people read them; numbers are in quantities.ts. */
import { stripVTControlCharacters } from 'node:util';
import Table from 'cli-table3';
import type { HorizontalAlignment } from 'cli-table3';

export * from '../../quantities.js';

/** A word as a shell takes it: in quotes if it has to be. */
export const quote = (word: string): string => {
  // cmd.exe knows no single quotes; PowerShell takes either.
  if (process.platform === 'win32') {
    return /^[\w+=:./\\-]+$/.test(word) ? word : `"${word.replaceAll('"', '\\"')}"`;
  }
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
};

/** Each line of `text` behind `margin`. */
export const indent = (text: string, margin = '  '): string =>
  text
    .split('\n')
    .map((line) => (line ? margin + line : line))
    .join('\n');

const NO_BORDERS = Object.fromEntries(
  [
    ...['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right'],
    ...['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid'],
  ].map((part) => [part, '']),
);

/** A table without borders. Columns are aligned to the left but for those that `alignments` says. */
export function formatTable(
  rows: readonly (readonly string[])[],
  head: readonly string[] = [],
  alignments: readonly HorizontalAlignment[] = [],
): string {
  const table = new Table({
    head: [...head],
    colAligns: [...alignments],
    chars: { ...NO_BORDERS, middle: '  ' },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  table.push(...rows.map((row) => [...row]));
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

// SECTION: Tables that fit the terminal: a line that wraps around makes all of them unreadable.

export interface Column {
  readonly head: string;
  readonly align?: HorizontalAlignment;
  readonly cells: readonly string[];
  /** Where there is no room, columns of low numbers are left out first. Default: never. */
  readonly drop?: number;
  /** Whether its beginning may be cut off, for names that differ at their end. */
  readonly cut?: boolean;
}

/** Characters that a cut column keeps before others are left out for it, and at the least. */
const COMFORTABLE = 24;
const LEAST = 8;
const GAP = 2;

/** @param width Characters of a line. Default: as many as it takes. */
export function fitTable(columns: readonly Column[], width = Infinity): string {
  const kept = cutTo(choose(columns, width), width, LEAST);
  const rows = kept[0]!.cells.map((_, row) => kept.map(({ cells }) => cells[row]!));
  return formatTable(
    rows,
    kept.map(({ head }) => head),
    kept.map(({ align = 'left' }) => align),
  );
}

/** The columns that are never left out, and of the others, by their importance, each that there is room for. */
function choose(columns: readonly Column[], width: number): Column[] {
  const chosen = new Set(columns.filter(({ drop }) => drop === undefined));
  const others = columns.filter(({ drop }) => drop !== undefined).sort((a, b) => b.drop! - a.drop!);
  for (const column of others) {
    const wider = columns.filter((one) => one === column || chosen.has(one));
    if (tableWidth(cutTo(wider, width, COMFORTABLE)) <= width) chosen.add(column);
  }
  return columns.filter((column) => chosen.has(column));
}

/** Takes what is too much off the columns that may be cut, down to `least` characters each. */
function cutTo(columns: readonly Column[], width: number, least: number): Column[] {
  let excess = tableWidth(columns) - width;
  return columns.map((column) => {
    const own = columnWidth(column);
    if (!column.cut || excess <= 0 || own <= least) return column;
    const room = Math.max(least, own - excess);
    excess -= own - room;
    return { ...column, cells: column.cells.map((cell) => cutFront(cell, room)) };
  });
}

const cutFront = (text: string, room: number): string =>
  text.length <= room ? text : `…${text.slice(text.length - room + 1)}`;

const columnWidth = ({ head, cells }: Column): number =>
  Math.max(...[head, ...cells].map((cell) => stripVTControlCharacters(cell).length));

const tableWidth = (columns: readonly Column[]): number =>
  columns.reduce((sum, column) => sum + columnWidth(column) + GAP, -GAP);
