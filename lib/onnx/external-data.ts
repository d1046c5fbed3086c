/** Models whose weights lie in files of their own, as one model with its weights in it. */
import { isMap, isUint8Array, unshared } from '../arrays.js';
import { ModelError } from '../errors.js';
import { listNames } from '../quantities.js';
import { notBytes } from '../options.js';
import { chunksLength, delimited, spliceRuns } from './protobuf/chunks.js';
import { requireModelSize } from './encode.js';
import { TENSOR } from './protobuf/schema.js';
import { externalFiles, rewriteTensors } from './protobuf/tensor-walk.js';
import { externalRange, readTensorHeader } from './protobuf/tensors.js';
import type { WireReader } from './protobuf/wire.js';

/**
 * Returns a model with the weights in it that lie in files of their own: for places that have no files, such as a page that
 * a visitor drops a model on. All else stays, byte for byte; a model without such files comes back unchanged.
 * @param bytes A ModelProto.
 * @param files The content of each file, by its path relative to the model's folder (`model.onnx.data`). Other files may be in it.
 * @throws ModelError `MODEL_INVALID`, `TENSOR_INVALID` or `LIMIT_EXCEEDED` for a damaged model, and for a
 *   file that is missing or too short; `MODEL_TOO_LARGE` for more than 2 GiB together; OptionError.
 */
export function embedExternalData(bytes: Uint8Array, files: ReadonlyMap<string, Uint8Array>): Uint8Array {
  if (!isUint8Array(bytes)) throw notBytes('embedExternalData takes a Uint8Array', bytes);
  const needed = externalFiles(unshared(bytes));
  const missing = [...needed.keys()].filter((location) => !isMap(files) || !files.has(location));
  if (missing.length > 0) {
    const names = listNames(missing.map((location) => `'${location}'`));
    throw new ModelError(
      'TENSOR_INVALID',
      `the model keeps weights in ${names}: give these files with the model`,
    );
  }
  for (const [location, { size }] of needed) {
    const has = files.get(location)!.byteLength;
    if (has >= size) continue;
    throw new ModelError(
      'TENSOR_INVALID',
      `'${location}' has ${has} bytes, but the model needs ${size}: get the whole file again`,
    );
  }
  return rewriteTensors(
    unshared(bytes),
    (tensor) => embedded(tensor, files),
    (chunks) => requireModelSize(chunksLength(chunks), 'the model with its weights in it'),
  );
}

/** The fields that say where a tensor's data lies, and the data. */
const PLACE: readonly number[] = [TENSOR.externalData, TENSOR.dataLocation, TENSOR.rawData];

function embedded(tensor: WireReader, files: ReadonlyMap<string, Uint8Array>): Uint8Array[] | undefined {
  const { tag } = tensor;
  const header = readTensorHeader(tensor);
  if (header.location === undefined) return undefined;
  const { offset, end } = externalRange(header);
  const head = spliceRuns(tensor.enter(), (field) => (PLACE.includes(field.tag) ? [] : undefined))!;
  const data = files.get(header.location)!.subarray(offset, end);
  return delimited(tag, [...head.flat(), ...delimited(TENSOR.rawData, [data])]);
}
