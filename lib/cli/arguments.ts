/** The values of options, from text. */
import { InvalidArgumentError } from 'commander';
import type { Dim, Shape } from '../tensor.js';

/** An integer of any sign. */
export function parseInteger(text: string): number {
  const value = Number(text);
  if (/^[+-]?\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError('It must be an integer, such as 21.');
}

/** An integer of at least 1. */
export function parseCount(text: string): number {
  const value = parseInteger(text);
  if (value >= 1) return value;
  throw new InvalidArgumentError('It must be at least 1.');
}

/** A finite number. */
export function parseNumber(text: string): number {
  const value = Number(text);
  if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) && Number.isFinite(value)) return value;
  throw new InvalidArgumentError('It must be a number, such as 1e-5.');
}

/** A number of at least 0. */
export function parseTolerance(text: string): number {
  const value = parseNumber(text);
  if (value >= 0) return value;
  throw new InvalidArgumentError('It must be at least 0.');
}

/** `13,17,21`: integers without repeats. */
export const parseIntegers = (text: string): number[] => [
  ...new Set(text.split(',').map((part) => parseInteger(part.trim()))),
];

/** `op,layer-norm`: names without repeats. */
export const parseNames = (text: string): string[] => [
  ...new Set(text.split(',').map((part) => part.trim())),
];

/** `N,32,H,W`: sizes, and names for sizes that are known only at run time. */
export function parseShape(text: string): Shape {
  return text.split(',').map((part) => parseDim(part.trim()));
}

function parseDim(part: string): Dim {
  if (/^[A-Za-z_]\w*$/.test(part)) return part;
  const size = Number(part);
  if (/^\d+$/.test(part) && Number.isSafeInteger(size)) return size;
  throw new InvalidArgumentError(
    `'${part}' is no dimension: write a size such as 32, or a name such as N for one that is known only at run time.`,
  );
}

/** Collects `NAME=VALUE`; an option that is given again adds to what is there. */
export function collectPair(
  text: string,
  previous: ReadonlyMap<string, string> = new Map(),
): Map<string, string> {
  const at = text.indexOf('=');
  if (at < 1 || at === text.length - 1) throw new InvalidArgumentError('It must be NAME=VALUE.');
  const name = text.slice(0, at);
  if (previous.has(name)) throw new InvalidArgumentError(`'${name}' is given twice.`);
  return new Map([...previous, [name, text.slice(at + 1)]]);
}

/** `N=1 H=64` as it should have been written. */
export const withCommas = (text: string): string =>
  text
    .trim()
    .split(/[\s,]+/)
    .join(',');

/** Collects `N=1,H=64`: sizes by name, from one option or several. */
export function collectSizes(
  text: string,
  previous: ReadonlyMap<string, number> = new Map(),
): Map<string, number> {
  const sizes = new Map(previous);
  for (const part of text.split(',')) {
    const [, name = '', size = ''] = /^\s*([^=]*?)\s*=\s*(.*?)\s*$/.exec(part) ?? [];
    if (size.includes('=')) {
      throw new InvalidArgumentError(`Write commas between sizes: --dim ${withCommas(text)}.`);
    }
    if (!name || !size) throw new InvalidArgumentError(`'${part}' is no NAME=SIZE, such as N=1.`);
    if (!/^\d+$/.test(size) || !Number.isSafeInteger(Number(size))) {
      throw new InvalidArgumentError(
        `The size of '${name}' is '${size}' but must be an integer of at least 0.`,
      );
    }
    if (sizes.has(name)) throw new InvalidArgumentError(`'${name}' is given twice.`);
    sizes.set(name, Number(size));
  }
  return sizes;
}
