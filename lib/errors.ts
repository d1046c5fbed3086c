/** The errors of this library, one class for each concern. */
import type { Limits } from './limits.js';
import { printableMessage } from './printable.js';

/**
 * An option of this library that the message of an error advises. A program that offers the option in its own way, as the
 * command line does with a flag, adds that way to the message.
 */
export type AdvisedOption =
  `limits.${keyof Limits}` | 'externalData' | 'groupNorm' | 'map' | 'merge' | 'prefix';

/** What an error has besides its code and message. */
export interface ErrorDetails extends ErrorOptions {
  /** Default: the option of the `cause`. */
  readonly option?: AdvisedOption | undefined;
}

/**
 * The base class of every error that this library throws on purpose. The `code` is stable, and the message says what
 * is wrong, where, and what to do; `cause` is the original error, if there was one. Control characters in the message,
 * which names in files may have, are escapes such as `\u001b`.
 */
export abstract class OnnxGroupNormError extends Error {
  /** What went wrong, for programs: it stays the same when the message is reworded. */
  readonly code: string;

  /** The option that the message advises, if it advises one. */
  declare readonly option?: AdvisedOption;

  /** @param message One line, or several. */
  constructor(code: string, message: string | readonly string[], details: ErrorDetails = {}) {
    super(printableMessage(message), details);
    this.name = new.target.name;
    this.code = code;
    const { cause, option = cause instanceof OnnxGroupNormError ? cause.option : undefined } = details;
    if (option !== undefined) this.option = option;
  }
}

/** Narrows `code` to the codes of one class. */
abstract class CodedError<Code extends string> extends OnnxGroupNormError {
  /** What went wrong, for programs: it stays the same when the message is reworded. */
  declare readonly code: Code;

  constructor(code: Code, message: string | readonly string[], details?: ErrorDetails) {
    super(code, message, details);
  }
}

/** The codes of a {@link GraphError}. */
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

/** Thrown for a graph with wrong shapes, dtypes, attributes or names, and for a lowering that does not exist. */
export class GraphError extends CodedError<GraphErrorCode> {}

/** The codes of a {@link ModelError}. */
export type ModelErrorCode =
  | 'LIMIT_EXCEEDED'
  | 'MODEL_INVALID'
  | 'MODEL_TOO_LARGE'
  | 'MODEL_UNSUPPORTED'
  | 'TENSOR_INVALID'
  | 'WEIGHTS_NOT_SET';

/** Thrown for an ONNX model that cannot be read, rewritten or written. */
export class ModelError extends CodedError<ModelErrorCode> {}

/** The codes of a {@link WeightsError}. */
export type WeightsErrorCode =
  'LIMIT_EXCEEDED' | 'SAFETENSORS_INVALID' | 'STATE_DICT_MISMATCH' | 'TENSOR_NOT_FOUND' | 'UNSUPPORTED_DTYPE';

/** Thrown for weights that cannot be read or do not fit the graph. */
export class WeightsError extends CodedError<WeightsErrorCode> {}

/** The codes of a {@link CheckpointError}. */
export type CheckpointErrorCode =
  'CONFIG_INVALID' | 'UNKNOWN_ARCHITECTURE' | 'UNSUPPORTED_OPTION' | 'WEIGHTS_INVALID' | 'WEIGHTS_NOT_FOUND';

/** Thrown for a folder of diffusers or timm whose network, or whose weights, this library cannot read. */
export class CheckpointError extends CodedError<CheckpointErrorCode> {}

/** The codes of a {@link SessionError}. */
export type SessionErrorCode =
  | 'ABORTED'
  | 'DISPOSED'
  | 'INPUT_DTYPE'
  | 'INPUT_MISSING'
  | 'INPUT_SHAPE'
  | 'INPUT_UNKNOWN'
  | 'LAYOUT_UNAVAILABLE'
  | 'MODEL_REJECTED'
  | 'OUTPUT_INVALID'
  | 'OUT_OF_MEMORY'
  | 'PROVIDER_UNAVAILABLE'
  | 'RUN_FAILED'
  | 'UNKNOWN_PROVIDER';

/** Thrown for a session that cannot be created, and for inputs that it cannot run. */
export class SessionError extends CodedError<SessionErrorCode> {}

/** The codes of a {@link ParityError}. */
export type ParityErrorCode =
  'FIXTURE_INVALID' | 'INPUTS_DIFFER' | 'NO_ACTIVATIONS' | 'NO_FIXTURES' | 'OUTPUT_MISSING' | 'OUTPUT_SHAPE';

/** Thrown for a parity check that cannot be made. A check that was made and failed is a result, not an error. */
export class ParityError extends CodedError<ParityErrorCode> {}

/** The codes of a {@link FileError}. */
export type FileErrorCode =
  'FILE_NOT_FOUND' | 'FILE_UNREADABLE' | 'FILE_UNWRITABLE' | 'LIMIT_EXCEEDED' | 'NPY_INVALID' | 'NPZ_INVALID';

/** Thrown for a file that cannot be read or written, and for an invalid `.npy` or `.npz` file. */
export class FileError extends CodedError<FileErrorCode> {}

/** The codes of an {@link ImageError}. */
export type ImageErrorCode =
  'IMAGE_INVALID' | 'IMAGE_TOO_LARGE' | 'MASK_INVALID' | 'MASK_SIZE' | 'MASK_UNDEFINED';

/** Thrown for an image that cannot be read, and for a model's output that gives no mask. */
export class ImageError extends CodedError<ImageErrorCode> {}

/** The codes of an {@link OptionError}. */
export type OptionErrorCode = 'INVALID_OPTION' | 'NO_OPTIONS' | 'UNKNOWN_OPTION';

/** Thrown for an option that a function does not have, and for a value that an option cannot have. */
export class OptionError extends CodedError<OptionErrorCode> {}

/** Thrown for a tensor whose dtype, dims and number of elements contradict each other. */
export class TensorError extends CodedError<'TENSOR_INVALID'> {}

/** The codes of a {@link ServerError}. */
export type ServerErrorCode =
  | 'ADDRESS_UNAVAILABLE'
  | 'BATCH_SIZE'
  | 'BUSY'
  | 'CONFIG_INVALID'
  | 'MODEL_NOT_FOUND'
  | 'MODEL_NOT_READY'
  | 'NOT_BATCHABLE'
  | 'QUEUE_FULL'
  | 'QUEUE_TIMEOUT'
  | 'REPOSITORY_INVALID'
  | 'UNAUTHORIZED';

/** Thrown for a model that cannot be served, and for a request that a server does not take. */
export class ServerError extends CodedError<ServerErrorCode> {}

/** The codes of a {@link RequestError}. */
export type RequestErrorCode =
  | 'ENCODING_UNSUPPORTED'
  | 'INPUT_DATA'
  | 'INPUT_DTYPE'
  | 'INPUT_MISSING'
  | 'INPUT_SHAPE'
  | 'INPUT_UNKNOWN'
  | 'JSON_INVALID'
  | 'OUTPUT_NOT_JSON'
  | 'OUTPUT_UNKNOWN'
  | 'REQUEST_INVALID'
  | 'TOO_LARGE';

/** Thrown for a request to a server that breaks the Open Inference Protocol or does not fit the model. */
export class RequestError extends CodedError<RequestErrorCode> {}
