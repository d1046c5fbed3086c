/** The check of attributes that a caller has made by hand, for `Scope.node`. */
import { GraphError } from '../errors.js';
import { show } from './declarations.js';
import type { Attribute, Attributes } from './types.js';

const isNumber = (value: unknown): boolean => typeof value === 'number';
const isInteger = (value: unknown): boolean => Number.isSafeInteger(value);
const isListOf = (valid: (item: unknown) => boolean) => (value: unknown) =>
  Array.isArray(value) && value.every(valid);

/** What the value of each type must be, by a predicate and in words. */
const VALUES: Readonly<
  Record<Attribute['type'], { readonly words: string; readonly fits: (value: unknown) => boolean }>
> = {
  INT: { words: 'an integer', fits: isInteger },
  FLOAT: { words: 'a number', fits: isNumber },
  STRING: { words: 'text', fits: (value) => typeof value === 'string' },
  INTS: { words: 'a list of integers', fits: isListOf(isInteger) },
  FLOATS: { words: 'a list of numbers', fits: isListOf(isNumber) },
};

/**
 * @param where What has the attributes, for the message: `Elu 'block'`.
 * @throws GraphError `INVALID_ATTRIBUTE` if it is not an object of attributes by name, or one of them is none or has a value
 *   that its type cannot have.
 */
export function requireAttributes(attributes: Attributes, where: string): void {
  if (typeof attributes !== 'object' || attributes === null || Array.isArray(attributes)) {
    throw new GraphError(
      'INVALID_ATTRIBUTE',
      `${where}: its attributes must be an object of them by name, not ${show(attributes)}; {} if there are none`,
    );
  }
  for (const [name, attribute] of Object.entries(attributes)) requireAttribute(attribute, name, where);
}

function requireAttribute(attribute: Attribute | null | undefined, name: string, where: string): void {
  const type = attribute?.type as string | undefined;
  if (type === undefined || !Object.hasOwn(VALUES, type)) {
    throw new GraphError(
      'INVALID_ATTRIBUTE',
      `${where}: attribute '${name}' must be one that attr makes, such as attr.int(2) or attr.float(0.5)` +
        (type === undefined ? '' : `; its type '${type}' is not one of ${Object.keys(VALUES).join(', ')}`),
    );
  }
  const { words, fits } = VALUES[type as Attribute['type']];
  const { value } = attribute!;
  if (fits(value)) return;
  throw new GraphError(
    'INVALID_ATTRIBUTE',
    `${where}: attribute '${name}' is of type ${type}, so its value must be ${words}, not ${show(value)}`,
  );
}
