export {
  encodeModel,
  encodeModelExternal,
  irVersionFor,
  type EncodeOptions,
  type ExternalModel,
} from './encode.js';
export { Model, type ModelNode, type TensorType } from './model.js';
