/** What a run must find in the rows of a normalization, by definition and in float64. */
import { expect } from 'chai';

/** The epsilon of the normalizations. */
export const ROW_EPSILON = 1e-3;

/** Returns the figures of rows by their definition. */
export function figuresOf(rows: readonly (readonly number[])[]) {
  const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);
  const moments = rows.map((row) => {
    const mean = sum(row) / row.length;
    const squares = sum(row.map((x) => (x - mean) ** 2));
    return { squares, ratio: Math.abs(mean) / Math.sqrt(squares / row.length + ROW_EPSILON) };
  });
  return {
    rows: rows.length,
    rowLength: rows[0]!.length,
    meanToDeviation: Math.max(...moments.map(({ ratio }) => ratio)),
    largest: Math.max(...rows.flat().map(Math.abs)),
    sumOfSquares: Math.max(...moments.map(({ squares }) => squares)),
  };
}

/** Cuts elements into rows of one length. */
export const rowsOf = (elements: Iterable<number>, count: number): number[][] => {
  const all = [...elements];
  const length = all.length / count;
  return Array.from({ length: count }, (_, row) => all.slice(row * length, (row + 1) * length));
};

/** Compares figures, which float32 rounds. */
export function expectFigures(actual: object | undefined, expected: Record<string, number>): void {
  for (const [name, value] of Object.entries(expected))
    expect((actual as Record<string, number> | undefined)?.[name], name).to.be.closeTo(value, 1e-5 * value);
}
