/** Duplicate keys in JSON, of which `JSON.parse` silently keeps the last. */

/**
 * The first key that an object of `json` has twice, or undefined if there is none.
 * @param json what `JSON.parse` has accepted: of valid JSON only the strings, braces and colons need looking at.
 */
export function duplicateKey(json: string): string | undefined {
  // The keys of each object that is open, the innermost last.
  const open: Set<string>[] = [];
  let lastString = '';
  for (let at = 0; at < json.length; at++) {
    const char = json[at];
    if (char === '{') open.push(new Set());
    else if (char === '}') open.pop();
    else if (char === '"') {
      const end = endOfString(json, at);
      lastString = json.slice(at, end);
      at = end - 1;
    } else if (char === ':') {
      // Read as JSON, for "\u0061" is "a".
      const key = JSON.parse(lastString) as string;
      const keys = open.at(-1)!;
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return undefined;
}

/** The index after the quote that closes the string whose opening quote is at `start`. */
function endOfString(json: string, start: number): number {
  let at = start + 1;
  while (json[at] !== '"') at += json[at] === '\\' ? 2 : 1;
  return at + 1;
}
