/** The public API as far as it is the same in Node and in browsers. */
export * from './errors.js';
export {
  castTensor,
  fromBfloat16Bits,
  fromFloat16Bits,
  toBfloat16Bits,
  toFloat16Bits,
  toFloat64Array,
} from './half.js';
export {
  DTYPES,
  elementCount,
  formatShape,
  tensor,
  type Dim,
  type DType,
  type ElementArray,
  type FloatDType,
  type HalfArray,
  type Shape,
  type TensorData,
} from './tensor.js';

export { attr, GraphBuilder, keepIo, op, Scope, Value } from './graph/index.js';
export type {
  Attribute,
  Attributes,
  Graph,
  Init,
  Node,
  OutputType,
  ParameterType,
  Weights,
} from './graph/index.js';
export {
  DEFAULT_OPSET,
  defaultLowering,
  LOWERING_NAMES,
  loweringsAt,
  MAX_OPSET,
  MIN_OPSET,
} from './lowering/index.js';
export type { LoweringName, SessionLoweringName } from './lowering/index.js';

export { encodeModel, encodeModelExternal, type EncodeOptions, type ExternalModel } from './onnx/encode.js';
export {
  convertModel,
  type ConvertedModel,
  type ConvertOptions,
  type ReplacedNorms,
} from './rewrite/convert.js';

export { counterWeights } from './weights/counter.js';
export { initializeWeights } from './weights/initialize.js';
export { matchStateDict, type MatchOptions } from './weights/state-dict.js';
export {
  parseSafetensorsHeader,
  SAFETENSORS_PREFIX,
  safetensorsHeaderSize,
  type SafetensorsEntry,
  type SafetensorsHeader,
} from './weights/safetensors-header.js';
export * from './weights/safetensors.js';
export { SafetensorsFile } from './weights/safetensors-ranged.js';
export { decodeNpy, encodeNpy } from './files/npy.js';

export { getGraph, GRAPHS, type GraphName } from '../graphs/registry.js';
export {
  instanceNormEquivalent,
  layerNormEquivalent,
  type EquivalentOptions,
} from '../graphs/equivalents.js';
export { chooseNumGroups, RECOMMENDED_NUM_GROUPS, SMALL_NETWORK_NUM_GROUPS } from '../graphs/num-groups.js';
export type { GivenOptions, GraphDefinition, InputType, OptionSpec } from '../graphs/definition.js';
