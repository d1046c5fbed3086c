/**
 * Checks what callers of the builder declare: names, dtypes, shapes, initialisations and attributes. `where` begins
 * the message.
 */
import { GraphError } from '../errors.js';
import { type DType, DTYPES, formatShape, isFloatDType, type Shape } from '../tensor.js';
import type { Attribute, Attributes, Init } from './types.js';

/** @throws GraphError `INVALID_NAME` */
export function requireName(name: string, what: string): void {
  if (typeof name !== 'string' || name === '' || /[\u0000-\u001f]/.test(name)) {
    throw new GraphError(
      'INVALID_NAME',
      `${what}: ${show(name)} is not a name: it must be text, not empty, without control characters`,
    );
  }
}

/** @throws GraphError `INVALID_DTYPE` */
export function requireDType(dtype: DType, where: string): void {
  if (DTYPES.includes(dtype)) return;
  throw new GraphError('INVALID_DTYPE', `${where}: unknown dtype '${dtype}'; allowed: ${DTYPES.join(', ')}`);
}

/** @throws GraphError `INVALID_SHAPE` */
export function requireShape(shape: Shape, where: string): void {
  const valid = (dim: unknown) =>
    typeof dim === 'string' ? dim !== '' : Number.isSafeInteger(dim) && (dim as number) >= 0;
  if (!Array.isArray(shape) || !shape.every(valid)) {
    throw new GraphError(
      'INVALID_SHAPE',
      `${where}: shape ${show(shape)}: a dimension is an integer of at least 0, or a name such as 'N'`,
    );
  }
}

/**
 * Requires an initialisation that can fill a `dtype`. Integers and bool are not drawn at random: a random index or mask
 * would be wrong.
 * @throws GraphError `INVALID_ATTRIBUTE`
 */
export function requireInit(init: Init | undefined, dtype: DType, where: string): void {
  if (init === undefined || init === 'ones' || init === 'zeros') return;
  if (typeof init === 'object' && Number.isFinite(init?.uniform)) {
    if (isFloatDType(dtype)) return;
    throw new GraphError(
      'INVALID_ATTRIBUTE',
      `${where}: init ${show(init)} draws floats, but its dtype is ${dtype}; allowed: 'ones', 'zeros'`,
    );
  }
  throw new GraphError(
    'INVALID_ATTRIBUTE',
    `${where}: unknown init ${show(init)}; known: 'ones', 'zeros', { uniform: bound }`,
  );
}

/** @throws GraphError `INVALID_ATTRIBUTE` */
export function requireStandardizeEps(
  eps: number | undefined,
  { dtype, shape }: { readonly dtype: DType; readonly shape: Shape },
  where: string,
): void {
  if (eps === undefined || (eps >= 0 && Number.isFinite(eps) && isFloatDType(dtype) && shape.length >= 2))
    return;
  throw new GraphError(
    'INVALID_ATTRIBUTE',
    `${where}: standardizeEps ${show(eps)} must be a number of at least 0, for a float of rank 2 or more, not ${dtype} ${formatShape(shape)}`,
  );
}

/** @throws GraphError `INVALID_ATTRIBUTE` */
export function requireObject(value: object, where: string): void {
  if (typeof value === 'object' && value !== null) return;
  throw new GraphError('INVALID_ATTRIBUTE', `${where} must be an object, not ${show(value)}`);
}

/** Formats any value as JavaScript would write it, bigint included, which JSON lacks. */
export const show = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? `${part}n` : part)) ??
  String(value);

const isNumber = (value: unknown): boolean => typeof value === 'number';
const isInteger = (value: unknown): boolean => Number.isSafeInteger(value);
const isListOf = (valid: (item: unknown) => boolean) => (value: unknown) =>
  Array.isArray(value) && value.every(valid);

/** What the value of each attribute type must be, as a predicate and in words. */
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
 * Checks the attributes that a caller gives `Scope.node`.
 * @param where What has the attributes, for the message: `Elu 'block'`.
 * @throws GraphError `INVALID_ATTRIBUTE` if `attributes` is not an object of attributes by name, or a value does not fit
 *   the attribute's type.
 */
export function requireAttributes(attributes: Attributes, where: string): void {
  if (typeof attributes !== 'object' || attributes === null || Array.isArray(attributes)) {
    throw new GraphError(
      'INVALID_ATTRIBUTE',
      `${where}: its attributes must be an object with attributes by name, or {}; not ${show(attributes)}`,
    );
  }
  for (const [name, attribute] of Object.entries(attributes)) requireAttribute(attribute, name, where);
}

function requireAttribute(attribute: Attribute | null | undefined, name: string, where: string): void {
  const type = attribute?.type as string | undefined;
  if (type === undefined || !Object.hasOwn(VALUES, type)) {
    throw new GraphError(
      'INVALID_ATTRIBUTE',
      `${where}: attribute '${name}' must come from attr, such as attr.int(2) or attr.float(0.5)` +
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
