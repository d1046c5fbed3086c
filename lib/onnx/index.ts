export {
  encodeModel,
  encodeModelExternal,
  irVersionFor,
  requireModelSize,
  type EncodeOptions,
  type ExternalModel,
} from './encode.js';
export { Model } from './model.js';
export type { ModelNode } from './node.js';
export { decodeTensorFile, type NamedTensor } from './tensor-file.js';
export { unrankedNames } from './unranked.js';
export { UNKNOWN_DIM } from './value-info.js';
export type { TensorType } from './value-type.js';
