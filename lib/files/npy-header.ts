/**
 * The header of a `.npy` file: a Python dict literal of `descr`, `fortran_order` and `shape`.
 * Source: the docstring of `numpy.lib.format`.
 */
import { FileError } from '../errors.js';

/** What the header says, not yet checked against the data. */
export interface NpyHeader {
  /** NumPy's name of the element type: byte order, kind, bytes (`<f4`). */
  readonly descr: string;
  /** Whether the first index varies fastest. */
  readonly fortranOrder: boolean;
  readonly shape: readonly number[];
}

type Literal = string | boolean | readonly number[];

/** An error that says where (`where`: the file, or what else holds the data) and what. */
export const invalidNpy = (where: string, what: string): FileError =>
  new FileError('NPY_INVALID', `${where} is not a valid .npy file: ${what}`);

/**
 * The dict of `text`, which is never evaluated: only what NumPy itself writes is understood.
 * @throws FileError `NPY_INVALID`
 */
export function parseNpyHeader(text: string, where: string): NpyHeader {
  const dict = new DictParser(tokenize(text, where), where).parse();
  const [descr, fortranOrder, shape] = ['descr', 'fortran_order', 'shape'].map((key) => dict.get(key));
  if (dict.size !== 3 || descr === undefined || fortranOrder === undefined || shape === undefined) {
    const keys = [...dict.keys()].join(', ');
    throw invalidNpy(where, `its header has the keys (${keys}), not (descr, fortran_order, shape)`);
  }
  if (typeof descr !== 'string') throw invalidNpy(where, 'descr must be a string');
  if (typeof fortranOrder !== 'boolean') throw invalidNpy(where, 'fortran_order must be True or False');
  if (typeof shape !== 'object') throw invalidNpy(where, 'shape must be a tuple of integers');
  return { descr, fortranOrder, shape };
}

/** The text that NumPy writes for a C-order array: with room for the first axis, which appending would lengthen. */
export function formatNpyHeader(descr: string, shape: readonly number[]): string {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const room = shape.length === 0 ? '' : ' '.repeat(MOST_DIGITS - String(shape[0]).length);
  return `{'descr': '${descr}', 'fortran_order': False, 'shape': ${tuple}, }${room}`;
}

/** Digits of the longest axis that NumPy leaves room for. */
const MOST_DIGITS = 21;

/** Strings without escapes, integers (Python 2 wrote some of them with an L), booleans and punctuation. */
const TOKEN = /'[^'\\\n]*'|"[^"\\\n]*"|-?(?:0|[1-9]\d*)L?|True|False|[{}()[\]:,]/g;

function tokenize(text: string, where: string): readonly string[] {
  const strange = text.replace(TOKEN, '').replace(/[ \t\r\n]/g, '');
  if (strange) throw invalidNpy(where, `its header has an unexpected '${strange.slice(0, 20)}'`);
  return text.match(TOKEN) ?? [];
}

class DictParser {
  #at = 0;
  readonly #tokens: readonly string[];
  readonly #where: string;

  constructor(tokens: readonly string[], where: string) {
    this.#tokens = tokens;
    this.#where = where;
  }

  parse(): Map<string, Literal> {
    const dict = new Map<string, Literal>();
    this.#list('{', '}', () => {
      const key = this.#value();
      if (typeof key !== 'string') throw invalidNpy(this.#where, 'its header has a key that is no string');
      if (dict.has(key)) throw invalidNpy(this.#where, `its header has '${key}' twice`);
      this.#expect(':');
      dict.set(key, this.#value());
    });
    this.#expect(undefined);
    return dict;
  }

  #value(): Literal {
    const token = this.#tokens[this.#at];
    if (token === '(') return this.#shape();
    if (token === '[')
      throw invalidNpy(this.#where, 'arrays of records (structured dtypes) are not supported');
    this.#at++;
    if (token === 'True' || token === 'False') return token === 'True';
    if (token?.startsWith("'") || token?.startsWith('"')) return token.slice(1, -1);
    throw invalidNpy(this.#where, `its header has ${show(token)} where a value must be`);
  }

  #shape(): readonly number[] {
    const shape: number[] = [];
    const first = this.#at + 1;
    this.#list('(', ')', () => {
      const token = this.#tokens[this.#at++];
      const size = Number.parseInt(token ?? '', 10);
      if (!/^\d/.test(token ?? '') || !Number.isSafeInteger(size)) {
        throw invalidNpy(this.#where, `its shape has ${show(token)}; allowed: integers from 0 to 2^53 - 1`);
      }
      shape.push(size);
    });
    // Python takes `(3)` for the number 3.
    if (shape.length === 1 && this.#at === first + 2) throw invalidNpy(this.#where, 'shape must be a tuple');
    return shape;
  }

  /** Items between brackets with commas between them, and perhaps one after the last. */
  #list(open: string, close: string, item: () => void): void {
    this.#expect(open);
    while (this.#tokens[this.#at] !== close) {
      item();
      if (this.#tokens[this.#at] !== ',') break;
      this.#at++;
    }
    this.#expect(close);
  }

  #expect(wanted: string | undefined): void {
    const token = this.#tokens[this.#at++];
    if (token === wanted) return;
    throw invalidNpy(this.#where, `its header has ${show(token)} where ${show(wanted)} must be`);
  }
}

const show = (token: string | undefined): string => (token === undefined ? 'its end' : `'${token}'`);
