/**
 * Every error that this library throws on purpose. Each carries a stable `code` to branch on and a message
 * that says what was wrong, where, and what is allowed; the original error, if there was one, is its `cause`.
 */
export abstract class OnnxGroupNormError extends Error {
  /** What went wrong, to branch on: it stays the same when the message is reworded. */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** The codes of one class. */
abstract class CodedError<Code extends string> extends OnnxGroupNormError {
  /** What went wrong, to branch on: it stays the same when the message is reworded. */
  declare readonly code: Code;

  constructor(code: Code, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}

/** What a GraphError can be about. */
export type GraphErrorCode =
  | 'DTYPE_MISMATCH'
  | 'DUPLICATE_NAME'
  | 'FOREIGN_VALUE'
  | 'INVALID_ATTRIBUTE'
  | 'INVALID_DTYPE'
  | 'INVALID_GRAPH'
  | 'INVALID_NAME'
  | 'INVALID_SHAPE'
  | 'LOWERING_UNAVAILABLE'
  | 'MISSING_OUTPUT'
  | 'MISSING_VALUE'
  | 'NUM_GROUPS_MISMATCH'
  | 'OPERATOR_UNAVAILABLE'
  | 'RANK_TOO_LOW'
  | 'SHAPE_MISMATCH'
  | 'UNKNOWN_GRAPH'
  | 'UNKNOWN_LOWERING'
  | 'UNSUPPORTED_OPSET';

/** A graph that cannot be: wrong shapes, dtypes, attributes or names, or a lowering that does not exist. */
export class GraphError extends CodedError<GraphErrorCode> {}

/** What a ModelError can be about. */
export type ModelErrorCode =
  'MODEL_INVALID' | 'MODEL_TOO_LARGE' | 'MODEL_UNSUPPORTED' | 'TENSOR_INVALID' | 'WEIGHTS_NOT_SET';

/** An ONNX model that cannot be read, rewritten or written. */
export class ModelError extends CodedError<ModelErrorCode> {}

/** What a WeightsError can be about. */
export type WeightsErrorCode =
  'SAFETENSORS_INVALID' | 'STATE_DICT_MISMATCH' | 'TENSOR_NOT_FOUND' | 'UNSUPPORTED_DTYPE';

/** Weights that cannot be read, or that do not fit the graph. */
export class WeightsError extends CodedError<WeightsErrorCode> {}

/** What a SessionError can be about. */
export type SessionErrorCode =
  | 'ABORTED'
  | 'DISPOSED'
  | 'INPUT_DTYPE'
  | 'INPUT_MISSING'
  | 'INPUT_SHAPE'
  | 'INPUT_UNKNOWN'
  | 'MODEL_REJECTED'
  | 'OUTPUT_INVALID'
  | 'OUT_OF_MEMORY'
  | 'PROVIDER_UNAVAILABLE'
  | 'RUN_FAILED'
  | 'UNKNOWN_PROVIDER';

/** A session that cannot be created, or inputs that it cannot run. */
export class SessionError extends CodedError<SessionErrorCode> {}

/** What a ParityError can be about. */
export type ParityErrorCode = 'FIXTURE_INVALID' | 'NO_FIXTURES' | 'OUTPUT_MISSING' | 'OUTPUT_SHAPE';

/** A parity check that cannot be made. A check that was made and failed is a result, not an error. */
export class ParityError extends CodedError<ParityErrorCode> {}

/** What a FileError can be about. */
export type FileErrorCode = 'FILE_NOT_FOUND' | 'FILE_UNREADABLE' | 'FILE_UNWRITABLE' | 'NPY_INVALID';

/** A file that cannot be read or written, or a `.npy` file that is not one. */
export class FileError extends CodedError<FileErrorCode> {}

/** What an ImageError can be about. */
export type ImageErrorCode =
  'IMAGE_INVALID' | 'IMAGE_TOO_LARGE' | 'MASK_INVALID' | 'MASK_SIZE' | 'MASK_UNDEFINED';

/** An image that cannot be read, or a model's output that is not a mask. */
export class ImageError extends CodedError<ImageErrorCode> {}

/** What an OptionError can be about. */
export type OptionErrorCode = 'INVALID_OPTION' | 'NO_OPTIONS' | 'UNKNOWN_OPTION';

/** An option that a function does not have, or a value that an option cannot have: no type checker has seen it. */
export class OptionError extends CodedError<OptionErrorCode> {}

/** Tensor data whose parts contradict each other: dtype, dims and number of elements. */
export class TensorError extends CodedError<'TENSOR_INVALID'> {}
