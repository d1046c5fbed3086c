/**
 * Reads JSON value by value. `JSON.parse` builds everything that a text has, up to 50 times as large as the text; this
 * reader builds what its caller asks for, and refuses the rest where it stands.
 * Source: RFC 8259.
 */

/** How deep a value that the caller skips may nest lists and objects. */
const MAX_DEPTH = 64;

/** About how many characters of a list {@link JsonReader.pieces} gives at once. */
const PIECE = 2 ** 15;

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const SIZE = /(?:0|[1-9]\d*)(?![\d.eE])/y;
const LITERAL = /true|false|null/y;
const [TAB, NEWLINE, RETURN, SPACE, QUOTE, BACKSLASH] = [0x09, 0x0a, 0x0d, 0x20, 0x22, 0x5c];

/** A place in a JSON text, and what can be read there. Each method throws a SyntaxError where the text has no such value. */
export class JsonReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** Returns the place, to come back to it by {@link goTo}. */
  get place(): number {
    return this.#at;
  }

  /** Goes to a place where the reader has been. */
  goTo(place: number): void {
    this.#at = place;
  }

  /** Returns the first character of the value at the place, `''` at the end of the text. */
  peek(): string {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== SPACE && code !== NEWLINE && code !== RETURN && code !== TAB) break;
      this.#at++;
    }
    return this.#text.charAt(this.#at);
  }

  /** Yields the key of each member of an object. The caller reads the value before it asks for the next key. */
  *members(): Generator<string, void> {
    this.#expect('{');
    if (this.#skips('}')) return;
    do {
      const key = this.string();
      this.#expect(':');
      yield key;
    } while (this.#skips(','));
    this.#expect('}');
  }

  /** Yields the index of each element of a list. The caller reads the element before it asks for the next. */
  *elements(): Generator<number, void> {
    this.#expect('[');
    if (this.#skips(']')) return;
    let index = 0;
    do yield index++;
    while (this.#skips(','));
    this.#expect(']');
  }

  /**
   * Yields the text of a list of numbers in pieces: whole elements with the commas between them. An empty list has no pieces.
   * The caller parses each piece, and so finds what is not a number; `JSON.parse` does that ten times as fast as `number`.
   */
  *pieces(): Generator<string, void> {
    this.#expect('[');
    if (this.#skips(']')) return;
    const end = this.#text.indexOf(']', this.#at);
    if (end < 0) throw new SyntaxError('a list has no end');
    while (this.#at <= end) {
      const comma = this.#at + PIECE < end ? this.#text.indexOf(',', this.#at + PIECE) : end;
      const cut = comma < 0 ? end : Math.min(comma, end);
      const piece = this.#text.slice(this.#at, cut);
      this.#at = cut + 1;
      yield piece;
    }
  }

  string(): string {
    if (this.peek() !== '"') throw this.#unexpected();
    let end = this.#at + 1;
    for (let code = this.#text.charCodeAt(end); code !== QUOTE; code = this.#text.charCodeAt(end)) {
      if (Number.isNaN(code)) throw new SyntaxError('a string has no end');
      end += code === BACKSLASH ? 2 : 1;
    }
    const start = this.#at;
    this.#at = end + 1;
    return JSON.parse(this.#text.slice(start, this.#at)) as string;
  }

  number(): number {
    this.peek();
    return Number(this.#token(NUMBER));
  }

  /** Reads digits that are an integer from 0 to 2^53 - 1; returns `undefined` if something else is there. */
  size(): number | undefined {
    this.peek();
    SIZE.lastIndex = this.#at;
    if (!SIZE.test(this.#text)) return undefined;
    const size = this.number();
    return Number.isSafeInteger(size) ? size : undefined;
  }

  /** Reads true, false or null. */
  literal(): boolean | null {
    this.peek();
    return JSON.parse(this.#token(LITERAL)) as boolean | null;
  }

  /** Passes over a value of any kind. */
  skip(depth = 0): void {
    if (depth > MAX_DEPTH) throw new SyntaxError(`lists or objects are nested more than ${MAX_DEPTH} deep`);
    const first = this.peek();
    if (first === '"') this.string();
    else if (first === '{' || first === '[') this.#skipParts(first, depth + 1);
    else if (/[tfn]/.test(first)) this.literal();
    else this.number();
  }

  #skipParts(first: '{' | '[', depth: number): void {
    const parts = first === '{' ? this.members() : this.elements();
    while (!parts.next().done) this.skip(depth);
  }

  /** Requires that only white space follows. */
  end(): void {
    if (this.peek() !== '') throw this.#unexpected();
  }

  #skips(char: string): boolean {
    if (this.peek() !== char) return false;
    this.#at++;
    return true;
  }

  #expect(char: string): void {
    if (!this.#skips(char)) throw this.#unexpected();
  }

  #token(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    if (!pattern.test(this.#text)) throw this.#unexpected();
    const start = this.#at;
    this.#at = pattern.lastIndex;
    return this.#text.slice(start, this.#at);
  }

  #unexpected(): SyntaxError {
    const found = JSON.stringify(this.#text.slice(this.#at, this.#at + 1));
    return new SyntaxError(
      this.#at < this.#text.length ? `unexpected ${found} at character ${this.#at}` : 'it ends too early',
    );
  }
}
