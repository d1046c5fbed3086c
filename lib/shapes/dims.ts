/**
 * Arithmetic on dimensions. A dimension is a size, a name, or an expression of names such as `floor((H-1)/2)+1`, kept as
 * text because an ONNX model stores text. {@link UNKNOWN_DIM} stands for an unknown size. A result that depends on it, or on
 * a number that is not an integer, is unknown too.
 *
 * Expressions have a normal form, so that equal ones are equal strings: a sum of products with sorted terms, and no `floor`
 * of an even division or of another `floor`. Only a `floor` of two `floor`s may still have two forms.
 *
 * Unequal sizes must never get the same text: ONNX Runtime takes equal names for equal sizes when it reuses buffers, and
 * fails if the sizes differ.
 */
import { type Dim, elementCount, isStatic, UNKNOWN_DIM } from '../tensor.js';

/** How a window slides along one dimension. */
export interface DimWindow {
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  readonly padBegin: number;
  readonly padEnd: number;
}

/** Integer coefficients by product: `3*H*W-2` is `H*W` → 3 and `''` → −2. */
type Polynomial = Map<string, number>;

/** An index from here on means the end of any dimension: ONNX advises INT_MAX for Slice. */
const UNBOUNDED = 2 ** 31 - 1;

/** The longest expression that is computed with: expressions of expressions would otherwise grow without bound. */
const MAX_EXPRESSION = 250;

/** The most terms of a product of sums. A product of 64 sums would otherwise never end. */
const MAX_TERMS = 100;

/**
 * Whether nothing follows from a dimension: its size is unknown, its expression is too long, or an invalid model gives a
 * fraction or NaN.
 */
const isUnknown = (dim: Dim): boolean =>
  typeof dim === 'number' ? !Number.isSafeInteger(dim) : dim === UNKNOWN_DIM || dim.length > MAX_EXPRESSION;

/** Returns the larger of two dimensions. */
export const maxDim = (a: Dim, b: Dim): Dim => extreme('max', a, b);

/** Returns the sum of two or three dimensions. */
export const addDims = (...dims: readonly Dim[]): Dim => sumDims(dims);

/** Returns the sum of `dims`; 0 for an empty list. */
export function sumDims(dims: readonly Dim[]): Dim {
  if (dims.some(isUnknown)) return UNKNOWN_DIM;
  const terms = dims.filter((dim) => dim !== 0);
  if (terms.length === 1) return terms[0]!;
  // Each dimension is read once, however often it occurs.
  const counts = new Map<Dim, number>();
  for (const dim of terms) counts.set(dim, (counts.get(dim) ?? 0) + 1);
  const sum: Polynomial = new Map();
  for (const [dim, count] of counts)
    parse(dim).forEach((coefficient, product) => accumulate(sum, product, count * coefficient));
  return format(sum);
}

/** Returns `dim` times an integer. */
export const scaleDim = (dim: Dim, factor: number): Dim => productDim([dim, factor]);

/** Returns the product of `dims`; 1 for an empty list. */
export function productDim(dims: readonly Dim[]): Dim {
  if (dims.some(isUnknown)) return UNKNOWN_DIM;
  const factors = dims.filter((dim) => dim !== 1);
  if (factors.length === 1) return factors[0]!;
  if (isStatic(factors)) return exact(elementCount(factors));
  let result: Polynomial = new Map([['', 1]]);
  for (const dim of factors) {
    const product: Polynomial = new Map();
    const terms = parse(dim);
    if (terms.size * result.size > MAX_TERMS) return UNKNOWN_DIM;
    for (const [right, b] of terms) {
      for (const [left, a] of result) accumulate(product, multiply(left, right), a * b);
    }
    result = product;
  }
  return format(result);
}

/** Returns floor(dim / divisor), for a positive integer `divisor`. */
export function divideDim(dim: Dim, divisor: number): Dim {
  if (isUnknown(dim) || !(Number.isSafeInteger(divisor) && divisor > 0)) return UNKNOWN_DIM;
  if (divisor === 1) return dim;
  const terms = parse(dim);
  const constant = terms.get('') ?? 0;
  terms.delete('');
  const shared = [...terms.values()].reduce(gcd, divisor);
  const reduced = divisor / shared;
  const quotient: Polynomial = new Map();
  const remainder: Polynomial = new Map();
  for (const [product, coefficient] of terms) {
    const whole = Math.floor(coefficient / divisor);
    accumulate(quotient, product, whole);
    accumulate(remainder, product, coefficient / shared - whole * reduced);
  }
  // The remaining constant is negative or 0, so that a convolution's size reads floor((H-1)/2)+1.
  const offset = Math.floor(constant / shared);
  const wholeOffset = Math.ceil(offset / reduced);
  accumulate(quotient, '', wholeOffset);
  accumulate(remainder, '', offset - wholeOffset * reduced);
  return reduced === 1 ? format(quotient) : addDims(format(quotient), floorOf(remainder, reduced));
}

/** Returns the size of Conv's result along `dim`: floor((dim + pads − extent) / stride) + 1. */
export function convDim(dim: Dim, { kernel, stride, dilation, padBegin, padEnd }: DimWindow): Dim {
  const extent = dilation * (kernel - 1) + 1;
  return addDims(divideDim(addDims(dim, padBegin + padEnd - extent), stride), 1);
}

/**
 * Returns the size of MaxPool's result along `dim` with `ceil_mode`: a last window that hangs over the end counts, but a
 * window that starts in the padding behind the end does not (as in PyTorch and in MaxPool-22).
 */
export function ceilPoolDim(dim: Dim, { kernel, stride, dilation, padBegin, padEnd }: DimWindow): Dim {
  const extent = dilation * (kernel - 1) + 1;
  const overhang = Math.min(padEnd - extent + stride, 0);
  return divideDim(addDims(dim, padBegin + overhang + stride - 1), stride);
}

/** Returns the size of ConvTranspose's result along `dim`: (dim − 1)·stride + extent − pads + outputPadding. */
export function convTransposeDim(
  dim: Dim,
  { kernel, stride, dilation, padBegin, padEnd }: DimWindow,
  outputPadding: number,
): Dim {
  const extent = dilation * (kernel - 1) + 1;
  return addDims(scaleDim(dim, stride), extent - stride - padBegin - padEnd + outputPadding);
}

/** Returns the size of Resize's result along `dim`: floor(dim · scale), in float32 as in ONNX Runtime. */
export function resizeDim(dim: Dim, scale: number): Dim {
  if (isUnknown(dim) || !(scale > 0)) return UNKNOWN_DIM;
  if (typeof dim === 'number') return Math.floor(Math.fround(Math.fround(dim) * Math.fround(scale)));
  // Halves, quarters and so on are exact in binary, so a division expresses them.
  const divisor = [1, 2, 4, 8, 16, 32, 64].find((power) => Number.isInteger(scale * power));
  if (divisor !== undefined) return divideDim(scaleDim(dim, scale * divisor), divisor);
  return `floor(${scale}*${isAtom(dim) ? dim : `(${dim})`})`;
}

/** Returns the size of `dim[start:end]`, counted and clamped as in Python; an `end` of INT_MAX or more is the end of `dim`. */
export function sliceDim(dim: Dim, start: number, end: number): Dim {
  const fromEnd = start < 0;
  const upTo = (bound: number): Dim => (bound >= UNBOUNDED ? dim : extreme('min', dim, bound));
  if (!fromEnd && end < 0) return extreme('max', addDims(dim, end - start), 0);
  if (!fromEnd) return end <= start ? 0 : atLeastZero(upTo(end), -start);
  if (end < 0) return end <= start ? 0 : atLeastZero(upTo(-start), end);
  if (end >= UNBOUNDED) return upTo(-start);
  const first = extreme('max', addDims(dim, start), 0);
  return extreme('max', addDims(upTo(end), scaleDim(first, -1)), 0);
}

/** Returns max(dim + offset, 0), for a `dim` of at least 0. */
const atLeastZero = (dim: Dim, offset: number): Dim =>
  offset === 0 ? dim : extreme('max', addDims(dim, offset), 0);

/** Returns the number that a dimension is for the sizes of names; NaN if it needs another name or is unknown. */
export function evaluateDim(dim: Dim, sizes: ReadonlyMap<string, number>): number {
  if (typeof dim === 'number') return dim;
  const own = sizes.get(dim);
  if (own !== undefined || isUnknown(dim)) return own ?? NaN;
  return [...parseSum(dim)].reduce((sum, [product, coefficient]) => {
    const factors = product === '' ? [] : splitBefore(product, '*');
    return sum + factors.reduce((all, factor) => all * evaluateFactor(factor, sizes), coefficient);
  }, 0);
}

/** Evaluates `H`, `1.5`, `(H-1)/2`, `floor(…)`, `min(…,…)`, `max(…,…)` and `(…)`, with or without the `*` before it. */
function evaluateFactor(text: string, sizes: ReadonlyMap<string, number>): number {
  const factor = text.replace(/^\*/, '');
  const known = sizes.get(factor) ?? Number(factor);
  if (!Number.isNaN(known)) return known;
  const [, dividend, divisor] = /^(.+)\/(\d+)$/.exec(factor) ?? [];
  if (dividend !== undefined) return evaluateFactor(dividend, sizes) / Number(divisor);
  const [, call, inside = ''] = /^(floor|min|max|)\((.*)\)$/.exec(factor) ?? [];
  if (call === undefined) return NaN;
  const values = splitBefore(inside, ',').map((part) => evaluateDim(part.replace(/^,/, ''), sizes));
  return call === '' ? values[0]! : Math[call as 'floor' | 'min' | 'max'](...(values as [number]));
}

function extreme(pick: 'min' | 'max', a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return Math[pick](a, b);
  if (a === b) return a;
  if (isUnknown(a) || isUnknown(b)) return UNKNOWN_DIM;
  const names = [a, b].filter((dim) => typeof dim === 'string').sort();
  const numbers = [a, b].filter((dim) => typeof dim === 'number');
  return `${pick}(${[...names, ...numbers].join(',')})`;
}

/** Returns `floor((H-1)/2)`; a floor inside a floor becomes one: ⌊(p + ⌊a/b⌋) / d⌋ = ⌊(b·p + a) / (b·d)⌋. */
function floorOf(numerator: Polynomial, divisor: number): Dim {
  const terms = [...numerator].filter(([, coefficient]) => coefficient !== 0);
  const floors = terms.flatMap(([product, coefficient]) => {
    const match = coefficient === 1 ? /^floor\((.*)\/(\d+)\)$/.exec(product) : null;
    return match && isBalanced(match[1]!) ? [match] : [];
  });
  if (floors.length === 1) {
    const [floor, dividend, innerDivisor] = floors[0]!;
    const rest = addDims(format(numerator), scaleDim(floor, -1));
    const scaled = scaleDim(rest, Number(innerDivisor));
    return divideDim(addDims(scaled, withoutParentheses(dividend!)), divisor * Number(innerDivisor));
  }
  const text = formatSum(numerator);
  return `floor(${terms.length > 1 ? `(${text})` : text}/${divisor})`;
}

const PLAIN_NAME = /^[a-z_]\w*$/i;

/** Reads an expression. Text that this module did not write, such as a name with a space, counts as one name. */
function parse(dim: Dim): Polynomial {
  if (typeof dim === 'number') return new Map([['', dim]]);
  if (PLAIN_NAME.test(dim)) return new Map([[dim, 1]]);
  const polynomial = parseSum(dim);
  return format(polynomial) === dim ? polynomial : new Map([[`(${dim})`, 1]]);
}

function parseSum(sum: string): Polynomial {
  const polynomial: Polynomial = new Map();
  for (const term of splitBefore(sum, '+-')) {
    const factors = splitBefore(term.replace(/^[+-]/, ''), '*').map((factor) => factor.replace(/^\*/, ''));
    const numbers = factors.filter((factor) => /^\d+$/.test(factor)).map(Number);
    const names = factors.filter((factor) => !/^\d+$/.test(factor));
    const coefficient = numbers.reduce((product, number) => product * number, term.startsWith('-') ? -1 : 1);
    accumulate(polynomial, names.sort().join('*'), coefficient);
  }
  return polynomial;
}

/** Returns a number, or an unknown dimension in place of a number that is not exact. */
const exact = (size: number): Dim => (Number.isSafeInteger(size) ? size : UNKNOWN_DIM);

function format(polynomial: Polynomial): Dim {
  const coefficients = [...polynomial.values()];
  if (!coefficients.every(Number.isSafeInteger)) return UNKNOWN_DIM;
  const isConstant = [...polynomial].every(([product, coefficient]) => product === '' || coefficient === 0);
  return isConstant ? (polynomial.get('') ?? 0) : withoutParentheses(formatSum(polynomial));
}

function formatSum(polynomial: Polynomial): string {
  const signed = ([product, coefficient]: [string, number]): string => {
    const size = Math.abs(coefficient);
    const text = product === '' ? size : size === 1 ? product : `${size}*${product}`;
    return `${coefficient < 0 ? '-' : '+'}${text}`;
  };
  return [...polynomial]
    .filter(([, coefficient]) => coefficient !== 0)
    .sort(([a], [b]) => (b === '' || (a !== '' && a < b) ? -1 : 1))
    .map(signed)
    .join('')
    .replace(/^\+/, '');
}

/** Cuts `text` before each separator outside parentheses. */
function splitBefore(text: string, separators: string): string[] {
  const cuts = [0];
  let depth = 0;
  for (let i = 1; i < text.length; i++) {
    if (text[i - 1] === '(') depth++;
    if (text[i - 1] === ')') depth--;
    if (depth === 0 && separators.includes(text[i]!)) cuts.push(i);
  }
  return cuts.map((cut, index) => text.slice(cut, cuts[index + 1]));
}

function withoutParentheses(text: string): string {
  const inside = text.slice(1, -1);
  return text.startsWith('(') && text.endsWith(')') && isBalanced(inside) ? inside : text;
}

/** Whether `text` never closes a parenthesis that it did not open; the inside of `(a)(b)`, `a)(b`, does. */
function isBalanced(text: string): boolean {
  let depth = 0;
  return [...text].every((char) => (depth += char === '(' ? 1 : char === ')' ? -1 : 0) >= 0);
}

/** Whether `text` is one factor: a name, a parenthesis or a function call. */
const isAtom = (text: string): boolean => splitBefore(text, '+-*').length === 1;

const multiply = (a: string, b: string): string =>
  [...(a && splitBefore(a, '*')), ...(b && splitBefore(b, '*'))]
    .map((factor) => factor.replace(/^\*/, ''))
    .sort()
    .join('*');

function accumulate(polynomial: Polynomial, product: string, coefficient: number): void {
  polynomial.set(product, (polynomial.get(product) ?? 0) + coefficient);
}

function gcd(a: number, b: number): number {
  return b === 0 ? Math.abs(a) : gcd(b, a % b);
}
