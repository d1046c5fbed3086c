/** Suggests names for a mistyped one. */

/** The largest number of edits that still counts as a typing mistake, as a share of the longer name's length. */
const TOLERANCE = 0.4;

/**
 * Returns the candidate that is the fewest single-character edits away from `name`, the first of equals; `undefined`
 * if no candidate is close enough to be worth suggesting.
 */
export function nearestName(name: string, candidates: Iterable<string>): string | undefined {
  let nearest: string | undefined;
  let least = Infinity;
  for (const candidate of candidates) {
    const allowed = Math.floor(Math.max(name.length, candidate.length) * TOLERANCE);
    const distance = editDistance(name, candidate, Math.min(allowed, least - 1));
    if (distance < least) {
      nearest = candidate;
      least = distance;
    }
  }
  return nearest;
}

/**
 * Returns `: did you mean 'opset'?`, to follow a mistyped name in a message, or `''` if no candidate is close. The one
 * candidate that begins with the name is close too: `reduce-mean` for `reduce`.
 */
export function suggestion(name: string, candidates: Iterable<string>): string {
  const all = [...candidates];
  const near = nearestName(name, all) ?? onlyOneThatBeginsWith(name, all);
  return near === undefined ? '' : `: did you mean '${near}'?`;
}

/** The fewest characters that count as the beginning of a name. */
const SHORTEST_BEGINNING = 3;

function onlyOneThatBeginsWith(name: string, candidates: readonly string[]): string | undefined {
  if (name.length < SHORTEST_BEGINNING) return undefined;
  const [first, ...others] = candidates.filter((candidate) => candidate.startsWith(name));
  return others.length === 0 ? first : undefined;
}

/** Returns the Levenshtein distance, or Infinity as soon as it must be above `limit`. */
function editDistance(from: string, to: string, limit: number): number {
  if (Math.abs(from.length - to.length) > limit) return Infinity;
  // row[j]: the distance from the first i characters of `from` to the first j characters of `to`.
  let row = Array.from({ length: to.length + 1 }, (_, j) => j);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    let least = i;
    for (let j = 1; j <= to.length; j++) {
      const replaced = row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1);
      next[j] = Math.min(replaced, row[j]! + 1, next[j - 1]! + 1);
      least = Math.min(least, next[j]!);
    }
    if (least > limit) return Infinity;
    row = next;
  }
  return row[to.length]! <= limit ? row[to.length]! : Infinity;
}
