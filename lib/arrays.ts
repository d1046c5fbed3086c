/**
 * Typed arrays and errors by what they are, not by whose they are. Jest, `node:vm` and iframes have a Float32Array of
 * their own, and Node's errors there are not of their Error, which `instanceof` does not know; and the memory of an array
 * may be shared with other threads.
 */

/** Returns the name of a value's built-in type, of any realm: `Float32Array`, `Map`, `Null`. */
export const typeName = (value: unknown): string => Object.prototype.toString.call(value).slice(8, -1);

/** Whether a value is a Uint8Array of any realm, such as a Buffer. */
export const isUint8Array = (value: unknown): value is Uint8Array =>
  ArrayBuffer.isView(value) && typeName(value) === 'Uint8Array';

/** Whether a value is an Error of any realm. */
export const isError = (value: unknown): value is Error =>
  value instanceof Error || typeName(value) === 'Error';

/** Whether a value is a RangeError of any realm. */
export const isRangeError = (value: unknown): value is RangeError =>
  isError(value) && value.name === 'RangeError';

/** Whether a value is a Map of any realm. */
export const isMap = (value: unknown): value is ReadonlyMap<unknown, unknown> => typeName(value) === 'Map';

/** Whether an array lies in memory that other threads may share. */
export const isShared = ({ buffer }: ArrayBufferView): boolean => typeName(buffer) === 'SharedArrayBuffer';

/** Returns bytes that no other thread can change: a copy if they lie in shared memory, else the same array. */
export const unshared = (bytes: Uint8Array): Uint8Array => (isShared(bytes) ? new Uint8Array(bytes) : bytes);
