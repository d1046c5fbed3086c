/** The tensors that a caller has given for outputs to be written into. */
import { SessionError } from '../errors.js';
import { suggestion } from '../nearest.js';
import { formatShape, tensor, tensorBytes, type TensorData } from '../tensor.js';
import type { TensorInfo, TensorRecord } from './backend.js';
import { asBits, describeType } from './feeds.js';
import { wrongOutput } from './runtime-errors.js';

/**
 * Checks them before the runtime writes there.
 * @returns The same tensors, float16 as its bits, in the same memory.
 * @throws SessionError `OUTPUT_INVALID` for a name, dtype or shape that the model does not have, for memory that
 *   can be resized, and for memory that another tensor of the run uses too.
 */
export function checkOutputs(
  infos: readonly TensorInfo[],
  outputs: TensorRecord,
  feeds: TensorRecord,
): TensorRecord {
  const names = infos.map(({ name }) => name);
  for (const [name, value] of Object.entries(outputs)) {
    const info = infos.find((candidate) => candidate.name === name);
    if (!info) {
      fail(`'${name}' is not an output of the model${suggestion(name, names)}; it has: ${names.join(', ')}`);
    }
    checkOutput(info, value);
  }
  checkDisjoint(outputs, feeds);
  return asBits(outputs);
}

/**
 * Writes a result into the tensor that was given for it.
 * @returns That tensor.
 * @throws SessionError `OUTPUT_INVALID` if it has other sizes.
 */
export function copyInto(name: string, given: TensorData, result: TensorData): TensorData {
  if (formatShape(given.dims) !== formatShape(result.dims)) throw wrongOutput(name, result.dims, given.dims);
  tensorBytes(given).set(tensorBytes(result));
  return given;
}

function checkOutput(info: TensorInfo, value: TensorData): void {
  const { name, dtype, shape } = info;
  const expected = `output '${name}' is ${describeType(info)}`;
  if (typeof value !== 'object' || value === null) fail(`${expected}: ${String(value)} is not a tensor`);
  try {
    tensor(value.dtype, value.dims, value.data);
  } catch (cause) {
    fail(`output '${name}': ${(cause as Error).message}`, cause);
  }
  const fits =
    value.dtype === dtype &&
    (!shape ||
      (value.dims.length === shape.length &&
        shape.every((dim, axis) => typeof dim === 'string' || dim === value.dims[axis])));
  if (!fits) fail(`${expected}, but the tensor given for it is ${value.dtype} ${formatShape(value.dims)}`);
  const { resizable, growable } = value.data.buffer as { resizable?: boolean; growable?: boolean };
  if (resizable || growable)
    fail(`output '${name}' lies in a resizable buffer, which may change under the run`);
}

function checkDisjoint(outputs: TensorRecord, feeds: TensorRecord): void {
  const written = Object.entries(outputs);
  const all = [...Object.entries(feeds), ...written];
  for (const [name, value] of written) {
    const other = all.find(([, candidate]) => candidate !== value && overlaps(candidate, value));
    const twice = all.filter(([, candidate]) => candidate === value).length > 1;
    if (other || twice)
      fail(`output '${name}' shares its memory with '${other?.[0] ?? 'another tensor'}' of the same run`);
  }
}

function overlaps(a: TensorData, b: TensorData): boolean {
  if (a.data.buffer !== b.data.buffer) return false;
  const [first, second] = [tensorBytes(a), tensorBytes(b)];
  return (
    first.byteOffset < second.byteOffset + second.byteLength &&
    second.byteOffset < first.byteOffset + first.byteLength
  );
}

function fail(message: string, cause?: unknown): never {
  throw new SessionError('OUTPUT_INVALID', message, { cause });
}
