/** The datatypes of the Open Inference Protocol, and the dtypes that they are here. */
import type { DType } from '../../tensor.js';

const DTYPE_OF = {
  BOOL: 'bool',
  UINT8: 'uint8',
  UINT16: 'uint16',
  UINT32: 'uint32',
  UINT64: 'uint64',
  INT8: 'int8',
  INT16: 'int16',
  INT32: 'int32',
  INT64: 'int64',
  FP16: 'float16',
  FP32: 'float32',
  FP64: 'float64',
  BF16: 'bfloat16',
  BYTES: 'string',
} as const satisfies Record<string, DType | 'string'>;

/** The name of a datatype in the protocol. */
export type Datatype = keyof typeof DTYPE_OF;

/** Every datatype of the protocol. */
export const DATATYPES = Object.keys(DTYPE_OF) as Datatype[];

const DATATYPE_OF = Object.fromEntries(
  Object.entries(DTYPE_OF).map(([datatype, dtype]) => [dtype, datatype]),
) as Record<DType | 'string', Datatype>;

/** Returns the protocol's name of a dtype. */
export const datatypeOf = (dtype: DType | 'string'): Datatype => DATATYPE_OF[dtype];

/** Returns whether JSON has a form for the elements of a dtype. */
export const hasJsonForm = (dtype: DType | 'string'): boolean => dtype !== 'float16' && dtype !== 'bfloat16';
