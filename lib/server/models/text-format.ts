/**
 * Reads protobuf's text format, in which Triton's `config.pbtxt` is written, without a schema: the reader of a field says of
 * which type it is. Source: protobuf.dev, "Text Format Language Specification".
 */
import { ServerError } from '../../errors.js';
import { suggestion } from '../../nearest.js';

/** How deep messages may lie within each other. Triton's own are 6 deep. */
const MAX_DEPTH = 32;

const SPACE = /(?:\s|#[^\n]*)+/y;
const NAME = /[A-Za-z_]\w*/y;
const NUMBER = /-?\s*(?:0[xX][\da-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[fF]?)(?![\w.])/y;
const STRING = /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/y;
const ESCAPE = /\\(?:([0-7]{1,3})|[xX]([\da-fA-F]{1,2})|(.))/g;
const ESCAPED: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  a: '\x07',
  b: '\b',
  f: '\f',
  v: '\v',
};

/** One value of a field, as written, with its place in the text. */
type Given = { readonly at: number } & (
  | { readonly kind: 'string' | 'number' | 'word'; readonly text: string }
  | { readonly kind: 'message'; readonly message: Message }
);

/**
 * Reads a text.
 * @param where The name of the file, for messages.
 * @throws ServerError `CONFIG_INVALID` with the line that is wrong.
 */
export function readTextFormat(text: string, where: string): Message {
  return new Parser(text, where).message(1, undefined);
}

/** The fields of a message. Each method throws a ServerError `CONFIG_INVALID` if the field is not of the type. */
export class Message {
  readonly #fields = new Map<string, Given[]>();

  /**
   * @param where The name of the file.
   * @param text The whole text, to find the line of a mistake.
   */
  constructor(
    readonly where: string,
    readonly source: string,
  ) {}

  /** Adds a value to a field. */
  add(name: string, given: Given): void {
    const values = this.#fields.get(name);
    if (values) values.push(given);
    else this.#fields.set(name, [given]);
  }

  /** Requires that the message has no other fields than these. */
  allow(names: readonly string[]): this {
    for (const [name, [first]] of this.#fields) {
      if (!names.includes(name))
        throw this.#wrong(first!, `'${name}' is not a field here${suggestion(name, names)}`);
    }
    return this;
  }

  has(name: string): boolean {
    return this.#fields.has(name);
  }

  text(name: string): string | undefined {
    return this.#one(name, textOf('string'), 'a text in quotes');
  }

  /** Returns the name of an enum's value. */
  word(name: string): string | undefined {
    return this.#one(name, textOf('word'), 'a name without quotes');
  }

  flag(name: string): boolean | undefined {
    const read = (given: Given) => TRUTHS.get(textOf('word')(given) ?? '');
    return this.#one(name, read, 'true or false');
  }

  integer(name: string): number | undefined {
    return this.#one(name, integerOf, AN_INTEGER);
  }

  integers(name: string): readonly number[] {
    return this.#all(name, integerOf, AN_INTEGER);
  }

  message(name: string): Message | undefined {
    return this.#one(name, messageOf, 'a message in braces');
  }

  messages(name: string): readonly Message[] {
    return this.#all(name, messageOf, 'a message in braces');
  }

  #one<T>(name: string, read: (given: Given) => T | undefined, type: string): T | undefined {
    const given = this.#fields.get(name) ?? [];
    if (given.length > 1) throw this.#wrong(given[1]!, `'${name}' is given twice`);
    return this.#all(name, read, type)[0];
  }

  #all<T>(name: string, read: (given: Given) => T | undefined, type: string): T[] {
    return (this.#fields.get(name) ?? []).map((given) => {
      const value = read(given);
      if (value === undefined) throw this.#wrong(given, `'${name}' takes ${type}`);
      return value;
    });
  }

  #wrong({ at }: Given, problem: string): ServerError {
    return wrongAt(this.where, this.source, at, problem);
  }
}

function wrongAt(where: string, text: string, at: number, problem: string): ServerError {
  const line = text.slice(0, at).split('\n').length;
  return new ServerError('CONFIG_INVALID', `${where}, line ${line}: ${problem}`);
}

const TRUTHS = new Map([
  ...['true', 'True', 't'].map((word) => [word, true] as const),
  ...['false', 'False', 'f'].map((word) => [word, false] as const),
]);
const AN_INTEGER = 'an integer of at most 2^53';

const textOf =
  (kind: 'string' | 'number' | 'word') =>
  (given: Given): string | undefined =>
    given.kind === kind ? given.text : undefined;

function integerOf(given: Given): number | undefined {
  const text = textOf('number')(given);
  if (text === undefined) return undefined;
  // Number() reads octal as 0o17, and no sign before 0x and 0o.
  const digits = text.replace('-', '').replace(/^0(?=\d+$)/, '0o');
  const size = Number(digits);
  if (!Number.isSafeInteger(size)) return undefined;
  return text.startsWith('-') ? -size : size;
}

const messageOf = (given: Given): Message | undefined =>
  given.kind === 'message' ? given.message : undefined;

class Parser {
  #at = 0;

  constructor(
    readonly text: string,
    readonly where: string,
  ) {}

  /** @param end The character that ends the message; `undefined` for the end of the text. */
  message(depth: number, end: string | undefined): Message {
    if (depth > MAX_DEPTH) throw this.#wrong(`messages lie more than ${MAX_DEPTH} deep`);
    const message = new Message(this.where, this.text);
    for (;;) {
      this.#take(SPACE);
      if (end === undefined ? this.#at >= this.text.length : this.#skips(end)) return message;
      this.#field(message, depth);
      this.#take(SPACE);
      if (!this.#skips(',')) this.#skips(';');
    }
  }

  #field(message: Message, depth: number): void {
    const name = this.#take(NAME);
    if (name === undefined) throw this.#wrong('a name of a field must stand here');
    this.#take(SPACE);
    const hasColon = this.#skips(':');
    this.#take(SPACE);
    if (!this.#skips('[')) return message.add(name, this.#value(depth, hasColon));
    this.#take(SPACE);
    if (this.#skips(']')) return;
    do {
      this.#take(SPACE);
      message.add(name, this.#value(depth, hasColon));
      this.#take(SPACE);
    } while (this.#skips(','));
    if (!this.#skips(']')) throw this.#wrong("',' or ']' must stand here");
  }

  #value(depth: number, hasColon: boolean): Given {
    const at = this.#at;
    for (const [open, close] of ['{}', '<>'] as const) {
      if (this.#skips(open!)) return { at, kind: 'message', message: this.message(depth + 1, close) };
    }
    if (!hasColon) throw this.#wrong("':' or '{' must stand here");
    const number = this.#take(NUMBER);
    if (number !== undefined) return { at, kind: 'number', text: number.replace(/\s/g, '') };
    const word = this.#take(NAME);
    if (word !== undefined) return { at, kind: 'word', text: word };
    return { at, kind: 'string', text: this.#string() };
  }

  /** Reads a string in quotes, and those that follow it and continue it. */
  #string(): string {
    const parts: string[] = [];
    for (let part = this.#take(STRING); part !== undefined; part = this.#take(STRING)) {
      parts.push(unescape(part.slice(1, -1)));
      this.#take(SPACE);
    }
    if (parts.length === 0) throw this.#wrong('a value must stand here');
    return parts.join('');
  }

  /** Returns the text of a pattern at the place, and goes behind it; `undefined` if the text there is another. */
  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.text)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }

  #skips(character: string): boolean {
    if (this.text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #wrong(problem: string): ServerError {
    return wrongAt(this.where, this.text, this.#at, problem);
  }
}

/** Escapes of bytes above 127 stand for single bytes of UTF-8 in protobuf; they are read as characters here. */
const unescape = (text: string): string =>
  text.replace(ESCAPE, (_, octal?: string, hex?: string, character?: string) => {
    if (octal !== undefined) return String.fromCharCode(parseInt(octal, 8));
    if (hex !== undefined) return String.fromCharCode(parseInt(hex, 16));
    return ESCAPED[character!] ?? character!;
  });
