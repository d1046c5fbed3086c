/** The part of the public API that Node and browsers share. */
export * from './errors.js';
export { DEFAULT_LIMITS, type Limits } from './limits.js';
export {
  castTensor,
  fromBfloat16Bits,
  fromFloat16Bits,
  toBfloat16Bits,
  toFloat16Bits,
  toFloat64Array,
} from './half.js';
export { argmax, stack } from './tensor-functions.js';
export {
  DTYPES,
  elementCount,
  formatShape,
  tensor,
  type AnyTensor,
  type Dim,
  type DType,
  type ElementArray,
  type ElementSource,
  type FloatDType,
  type HalfArray,
  type Shape,
  type StringTensor,
  type StoredBytes,
  type StoredFile,
  type TensorData,
  type TensorOf,
} from './tensor.js';

export * as attr from './graph/attr.js';
export { GraphBuilder, Scope } from './graph/builder.js';
export { keepIo } from './graph/keep-io.js';
export * as op from './graph/ops/index.js';
export { Value } from './graph/types.js';
export type {
  Attribute,
  Attributes,
  DeferredTensor,
  DeferredWeights,
  Graph,
  Init,
  Node,
  Weights,
} from './graph/types.js';
export type { OutputType, ParameterType } from './graph/builder.js';
export { DEFAULT_OPSET, defaultLowering, loweringsAt, MAX_OPSET, MIN_OPSET } from './lowering/choose.js';
export { LOWERING_NAMES } from './lowering/types.js';
export type { LoweringName, SessionLoweringName } from './lowering/types.js';

export { embedExternalData } from './onnx/external-data.js';
export { encodeModel, encodeModelExternal, type EncodeOptions, type ExternalModel } from './onnx/encode.js';
export {
  convertModel,
  type ConvertedModel,
  type ConvertOptions,
  type ReplacedNorms,
} from './rewrite/convert.js';

export {
  batchNormToGroupNorm,
  type BatchNormOptions,
  type GroupNormModel,
} from './rewrite/batch-norm/batch-norm.js';
export type { ConvWithoutNorm, ReplacedBatchNorm } from './rewrite/batch-norm/report.js';

export type { CompareOptions, ModelToCompare } from './insight/compare/compare-models.js';
export type {
  ComparedSide,
  HeatMap,
  HeatMapTable,
  ModelComparison,
  NotCompared,
  ValueComparison,
  ValueVerdict,
} from './insight/compare/comparison.js';
export type { InspectOptions, InspectRunOptions } from './insight/inspect/inspect.js';
export type {
  ExternalDataFile,
  ModelInspection,
  ModelSummary,
  Normalization,
  NormalizationExecution,
  NormalizationForm,
  NormalizationStatistics,
} from './insight/inspect/types.js';

export {
  batchNormToGroupNormStateDict,
  type BatchNormStateDictOptions,
  type GroupNormStateDict,
} from './weights/batch-norm.js';
export { counterWeights } from './weights/counter.js';
export { initializeWeights } from './weights/initialize.js';
export { matchStateDict, type MatchOptions } from './weights/state-dict.js';
export {
  parseSafetensorsHeader,
  SAFETENSORS_PREFIX,
  safetensorsHeaderSize,
  type SafetensorsEntry,
  type SafetensorsHeader,
  type SafetensorsOptions,
} from './weights/safetensors-header.js';
export * from './weights/safetensors.js';
export { decodeNpy, encodeNpy } from './files/npy.js';

export { graphFromConfig, type FromConfigOptions } from '../graphs/pretrained.js';
export { getGraph, GRAPHS, type GraphName } from '../graphs/registry.js';
export {
  instanceNormEquivalent,
  layerNormEquivalent,
  type EquivalentOptions,
} from '../graphs/equivalents.js';
export {
  chooseNumGroups,
  RECOMMENDED_NUM_GROUPS,
  SMALL_NETWORK_NUM_GROUPS,
} from '../graphs/shared/num-groups.js';
export type { GraphDefinition, InputType } from '../graphs/shared/definition.js';
export type { GivenOptions, OptionSpec } from '../graphs/shared/options.js';

export type {
  AllocatedTensor,
  AnyTensorRecord,
  BackendOptions,
  Feeds,
  GroupNormExecution,
  OrtTensor,
  Provider,
  ProviderFallback,
  ProviderOptions,
  ProviderWithOptions,
  RunOptions,
  RunResults,
  Session,
  SessionOptions,
  TensorInfo,
  TensorLike,
  TensorRecord,
  WebGpuCacheMode,
} from './runtime/core/contract.js';
export { PROVIDERS } from './runtime/core/contract.js';
export type { BuildGraph, CaseResult, CheckSpec, Drift } from './parity/check.js';
export { compareTensors, type OutputComparison } from './parity/compare.js';
export { decodeFixture, type Fixture } from './parity/fixture.js';
export { describeFailure, makeReport, reportToJson, type Report } from './parity/report.js';
export { defaultTolerance, type Tolerance } from './parity/compare.js';
