/** Checks of what a caller declares: names, dtypes, shapes, initialisations. `where` begins the message. */
import { GraphError } from '../errors.js';
import { DTYPES, isFloatDType, type DType, type Shape } from '../tensor.js';
import type { Init } from './types.js';

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
 * Requires an initialisation that can fill a `dtype`: integers and bool are not drawn at random, because nothing that
 * they stand for (an index, a mask) would be right at random.
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
export function requireObject(value: object, where: string): void {
  if (typeof value === 'object' && value !== null) return;
  throw new GraphError('INVALID_ATTRIBUTE', `${where} must be an object, not ${show(value)}`);
}

/** Anything as JavaScript would write it; JSON has no bigint. */
export const show = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? `${part}n` : part)) ??
  String(value);
