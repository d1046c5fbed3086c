export { GraphBuilder, Scope, type OutputType, type ParameterType } from './builder.js';
export { convDim, convTransposeDim, productDim, type DimWindow } from './dims.js';
export { keepIo } from './keep-io.js';
export { dtypeFromOnnx, ONNX_DTYPE } from './onnx-dtype.js';
export * as op from './ops/index.js';
export { requireGraph } from './require-graph.js';
export { float, floats, int, ints, text, Value } from './types.js';
export type { Attribute, Attributes, Graph, Init, Node, ValueKind, Weights } from './types.js';
