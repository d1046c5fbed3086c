/** Text for a terminal: quoted words, indented lines, and tables that fit the width. */
import { stripVTControlCharacters } from 'node:util';
import { printable } from '../../printable.js';
import { safeText } from './terminal.js';

/** Quotes a word for the user's shell, if it needs quotes. */
export const quote = (word: string): string => {
  // cmd.exe does not know single quotes; PowerShell knows both kinds.
  if (process.platform === 'win32') {
    return /^[\w+=:./\\-]+$/.test(word) ? word : `"${word.replaceAll('"', '\\"')}"`;
  }
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
};

/** Puts `margin` before each line of `text` that is not empty. */
export const indent = (text: string, margin = '  '): string =>
  text
    .split('\n')
    .map((line) => (line ? margin + line : line))
    .join('\n');

type Alignment = 'left' | 'right';

/** Characters between two columns. */
const GAP = 2;

/** Formats a table without borders. A column without an alignment is aligned to the left. */
export function formatTable(
  rows: readonly (readonly string[])[],
  head: readonly string[] = [],
  alignments: readonly Alignment[] = [],
): string {
  const lines = (head.length > 0 ? [head, ...rows] : rows).map((row) => row.map(safeText));
  const widths = (lines[0] ?? []).map((_, column) => widest(lines.map((line) => line[column] ?? '')));
  const formatLine = (line: readonly string[]) =>
    line.map((cell, column) => pad(cell, widths[column] ?? 0, alignments[column])).join(' '.repeat(GAP));
  return lines.map((line) => formatLine(line).trimEnd()).join('\n');
}

function pad(cell: string, width: number, alignment: Alignment = 'left'): string {
  const blanks = ' '.repeat(Math.max(0, width - visibleLength(cell)));
  return alignment === 'right' ? blanks + cell : cell + blanks;
}

/** The length without the escape sequences of colours. */
const visibleLength = (text: string): number => stripVTControlCharacters(text).length;

const widest = (cells: readonly string[]): number =>
  cells.reduce((width, cell) => Math.max(width, visibleLength(cell)), 0);

/** A column of a table that {@link fitTable} makes narrower where the terminal is too narrow. */
export interface Column {
  readonly head: string;
  readonly align?: Alignment;
  readonly cells: readonly string[];
  /** Whether cells may have colours. In other columns colours in names of files are escaped, as all control characters are. */
  readonly isColoured?: boolean;
  /** Order in which columns are left out: the lowest number goes first. Default: the column always stays. */
  readonly drop?: number;
  /** Whether the beginning of a cell may be cut off. For names that differ at their end. */
  readonly cut?: boolean;
}

/** Columns are left out rather than cutting a name below this length. */
const COMFORTABLE = 24;
/** No name is cut below this length. */
const LEAST = 8;

/**
 * Formats a table whose lines do not wrap: leaves out columns and cuts names until the lines fit.
 * @param width Characters of a line. Default: no limit.
 */
export function fitTable(columns: readonly Column[], width = Infinity): string {
  const safe = columns.map((one) => (one.isColoured ? one : { ...one, cells: one.cells.map(printable) }));
  const kept = cutTo(choose(safe, width), width, LEAST);
  const rows = kept[0]!.cells.map((_, row) => kept.map(({ cells }) => cells[row]!));
  return formatTable(
    rows,
    kept.map(({ head }) => head),
    kept.map(({ align = 'left' }) => align),
  );
}

/** Returns the columns that always stay, and those others for which there is room, the most important first. */
function choose(columns: readonly Column[], width: number): Column[] {
  const chosen = new Set(columns.filter(({ drop }) => drop === undefined));
  const others = columns.filter(({ drop }) => drop !== undefined).sort((a, b) => b.drop! - a.drop!);
  for (const column of others) {
    const wider = columns.filter((one) => one === column || chosen.has(one));
    if (tableWidth(cutTo(wider, width, COMFORTABLE)) <= width) chosen.add(column);
  }
  return columns.filter((column) => chosen.has(column));
}

/** Cuts names until the table fits, down to `least` characters each. */
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

const columnWidth = ({ head, cells }: Column): number => Math.max(visibleLength(head), widest(cells));

const tableWidth = (columns: readonly Column[]): number =>
  columns.reduce((sum, column) => sum + columnWidth(column) + GAP, -GAP);
