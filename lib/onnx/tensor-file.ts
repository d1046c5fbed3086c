/** A tensor in a file of its own: a TensorProto, as ONNX's test data has them (`input_0.pb`). */
import { ModelError } from '../errors.js';
import { KINDS, sniff } from '../files/sniff.js';
import { dtypeFromOnnx } from '../graph/index.js';
import { DTYPES, type TensorData } from '../tensor.js';
import { TensorProto } from './proto.js';
import { heldTensor, readTensorMessage, requireData, type TensorHeader } from './tensor-fields.js';
import { WireReader } from './wire.js';

/** A tensor, and what its file calls it: not always what a model does. */
export interface NamedTensor {
  readonly name: string;
  readonly tensor: TensorData;
}

/**
 * The tensor in the bytes of a TensorProto, of any dtype of `DTYPES`. What it takes does not depend on what the
 * shape claims. A view of the bytes where it can be.
 * @param where What messages call it: the file's path.
 * @throws ModelError `TENSOR_INVALID`.
 */
export function decodeTensorFile(bytes: Uint8Array, where: string): NamedTensor {
  try {
    return decode(bytes, where);
  } catch (cause) {
    if (!(cause instanceof ModelError) || cause.code === 'TENSOR_INVALID') throw cause;
    const kind = sniff(bytes);
    const what = kind ? `it is ${KINDS[kind]}` : `or the file is damaged (${cause.message})`;
    throw new ModelError('TENSOR_INVALID', `${where}: this is no TensorProto, ${what}`, { cause });
  }
}

function decode(bytes: Uint8Array, where: string): NamedTensor {
  const header = readTensorMessage(WireReader.of(bytes));
  requireDtype(header, where);
  requireInside(header, where);
  requireData(header, where, 'the file');
  const tensor = heldTensor(header, Infinity);
  if (tensor) return { name: header.name, tensor };
  throw invalid(
    where,
    `its elements lie in another field than those of ${dtypeFromOnnx(header.dataType)} do`,
  );
}

function requireDtype({ dataType }: TensorHeader, where: string): void {
  if (dtypeFromOnnx(dataType)) return;
  if (dataType === 0)
    throw invalid(where, 'it has no dtype: the file is empty, cut short, or no TensorProto');
  const name = TensorProto.DataType[dataType] ?? `number ${dataType}`;
  throw invalid(where, `its dtype is ONNX's ${name}; allowed: ${DTYPES.join(', ')}`);
}

function requireInside({ location }: TensorHeader, where: string): void {
  if (location === undefined) return;
  throw invalid(where, `its data lies in a file of its own, '${location}'; it must lie in the tensor's file`);
}

const invalid = (where: string, problem: string): ModelError =>
  new ModelError('TENSOR_INVALID', `${where}: ${problem}`);
