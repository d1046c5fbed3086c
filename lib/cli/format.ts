/** Words and tables as people read them; numbers are in quantities.ts. */
import Table, { type HorizontalAlignment } from 'cli-table3';

export * from './quantities.js';

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
