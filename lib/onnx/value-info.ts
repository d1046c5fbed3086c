import { ONNX_DTYPE } from '../graph/index.js';
import type { DType, Shape } from '../tensor.js';
import type { ValueInfoProto } from './proto.js';

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
      shape: { dim: shape.map((dim) => (typeof dim === 'number' ? { dimValue: dim } : { dimParam: dim })) },
    },
  },
});
