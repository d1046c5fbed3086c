/** Pairwise choice: few enough combinations for every run, with every pair of values among them. */

/** One combination: a value for each axis, such as `{ lowering: 'op', opset: 21 }`. */
export type Row = Readonly<Record<string, string | number>>;

/**
 * Chooses rows so that each pair of values that occurs in `rows` occurs in a chosen row.
 *
 * For each value of the first axis in turn, chooses the row with the most pairs that no chosen row has, until no such
 * pair is left. Among equal rows it chooses the row whose pairs occur least often so far, then the first. So the
 * choice is varied, and always the same.
 *
 * @param rows All valid combinations, each with the same axes in the same order: first the axis with the most values.
 */
export function pairwise<T extends Row>(rows: readonly T[]): T[] {
  const uses = new Map<string, number>();
  const usesOf = (pair: string): number => uses.get(pair) ?? 0;
  const chosen: T[] = [];
  for (const value of new Set(rows.map(firstValue))) {
    const candidates = rows
      .filter((row) => firstValue(row) === value)
      .map((row) => ({ row, pairs: pairsOf(row) }));
    for (;;) {
      const [best] = candidates
        .map(({ row, pairs }) => ({
          row,
          pairs,
          unused: pairs.filter((pair) => usesOf(pair) === 0).length,
          used: pairs.reduce((sum, pair) => sum + usesOf(pair), 0),
        }))
        .sort((a, b) => b.unused - a.unused || a.used - b.used);
      if (best === undefined || best.unused === 0) break;
      chosen.push(best.row);
      for (const pair of best.pairs) uses.set(pair, usesOf(pair) + 1);
    }
  }
  return chosen;
}

const firstValue = (row: Row): string | number | undefined => Object.values(row)[0];

/** Names each pair of values of a row: `lowering=op opset=21`. */
export function pairsOf(row: Row): string[] {
  const values = Object.entries(row).map(([axis, value]) => `${axis}=${value}`);
  return values.flatMap((one, i) => values.slice(i + 1).map((other) => `${one} ${other}`));
}
