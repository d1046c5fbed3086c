/** Models as files of opset 6 to 12 have them. */
import type { TensorMessage } from '../../lib/onnx/protobuf/messages.js';
import { GraphBuilder } from '../../lib/graph/builder.js';
import * as op from '../../lib/graph/ops/index.js';
import { filledTensor } from '../../lib/half.js';
import { encodeModel } from '../../lib/onnx/encode.js';
import { ModelProto, ValueInfoProto } from '../../lib/onnx/protobuf/proto.js';
import { declarationOf } from '../../lib/onnx/graph/value-info.js';
import type { Shape } from '../../lib/tensor.js';
import type { GroupNormCase } from './group-norm.js';

/**
 * Returns a model whose nodes are valid at both opsets as one of another opset. In IR version 3, every initializer is
 * listed as an input, as that version asks.
 */
export function atOpset(bytes: Uint8Array, opset: number, irVersion = opset < 9 ? 3 : 6): Uint8Array {
  const { graph, ...model } = ModelProto.decode(bytes);
  const initializers = graph?.initializer ?? [];
  const input = [
    ...(graph?.input ?? []),
    ...(irVersion < 4
      ? initializers.map((one) => ValueInfoProto.decode(declarationOf(one as TensorMessage)))
      : []),
  ];
  const changed = { ...model, irVersion, opsetImport: [{ domain: '', version: opset }] };
  return ModelProto.encode({ ...changed, graph: { ...graph, input } }).finish();
}

/** InstanceNormalization, which is the same at every opset from 6 on: input `x`, output `y`. */
export function instanceNormModel({ x, scale, bias, eps }: GroupNormCase, shape: Shape = x.dims): Uint8Array {
  const g = new GraphBuilder('instance-norm');
  const input = g.input('x', x.dtype, shape);
  const vector = (given: GroupNormCase['scale'], value: number) =>
    g.constant(given ?? filledTensor(x.dtype, [x.dims[1]!], value));
  g.output('y', op.instanceNormalization(g, input, vector(scale, 1), vector(bias, 0), { epsilon: eps }));
  return encodeModel(g.build(), new Map(), { opset: 13 });
}
