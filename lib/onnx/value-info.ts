import { ONNX_DTYPE } from '../graph/index.js';
import type { Dim, DType, Shape } from '../tensor.js';
import type { ValueInfoProto } from './proto.js';

/** A dimension of which a model says nothing. Two of them need not be the same size, so it is not a name. */
export const UNKNOWN_DIM = '?';

/** How ONNX declares a value's dtype and shape. */
export const encodeValueInfo = ({
  name,
  dtype,
  shape,
}: {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
}): ValueInfoProto => ({
  name,
  type: {
    tensorType: {
      elemType: ONNX_DTYPE[dtype],
      shape: { dim: shape.map(encodeDim) },
    },
  },
});

function encodeDim(dim: Dim) {
  if (typeof dim === 'number') return { dimValue: dim };
  return dim === UNKNOWN_DIM ? {} : { dimParam: dim };
}
