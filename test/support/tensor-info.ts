import type { TensorInfo } from '../../lib/runtime/core/contract.js';

/** Makes what a session says of an input or output. */
export const info = (
  name: string,
  shape: TensorInfo['shape'],
  dtype: TensorInfo['dtype'] = 'float32',
): TensorInfo => ({ name, dtype, shape });
