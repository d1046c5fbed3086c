/**
 * Decodes an inference request of the Open Inference Protocol, version 2, with Triton's extensions for binary tensors and
 * parameters, and checks it against the model before memory is taken for its tensors.
 * Sources: KServe's open-inference-protocol, Triton's protocol documents.
 */
import { isUtf8 } from 'node:buffer';
import { RequestError } from '../../errors.js';
import { JsonReader } from '../../files/json-reader.js';
import { suggestion } from '../../nearest.js';
import type { TensorInfo } from '../../runtime/core/contract.js';
import { type AnyTensor, bytesPerElement, elementCount, formatShape } from '../../tensor.js';
import { tensorOfBinary } from './binary-data.js';
import { datatypeOf, hasJsonForm } from './datatypes.js';
import { readJsonData } from './json-data.js';
import { type GivenInput, type GivenRequest, readRequestJson } from './request-json.js';
import type { Steps } from './steps.js';

/** What a request must fit. */
export interface RequestedModel {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  /** The most samples of a request; `undefined` if the model is served without batches. */
  readonly maxBatchSize: number | undefined;
}

/** An output that the client wants. */
export interface WantedOutput {
  readonly name: string;
  /** Whether the answer has it as binary data. */
  readonly binary: boolean;
}

/** A request that fits the model. */
export interface InferRequest {
  readonly id: string | undefined;
  readonly feeds: Readonly<Record<string, AnyTensor>>;
  /** In the order of the answer. */
  readonly outputs: readonly WantedOutput[];
  /** The longest time that the request may wait, in milliseconds. */
  readonly timeout: number | undefined;
}

/** The body of a request. */
export interface RequestBody {
  readonly bytes: Buffer;
  /**
   * The number in the header `Inference-Header-Content-Length`: how many bytes of the body are JSON. `undefined` if there is
   * no such header: all of them. 0: the body is the only input's tensor.
   */
  readonly jsonLength: number | undefined;
  /** The most bytes that the tensors of a request may take together. */
  readonly maxBytes: number;
}

/**
 * Decodes a request for a model.
 * @throws RequestError: what is wrong with the request, where, and what to do.
 */
export function* decodeInferRequest(body: RequestBody, model: RequestedModel): Steps<InferRequest> {
  const { bytes, jsonLength = bytes.length, maxBytes } = body;
  if (jsonLength === 0 && body.jsonLength === 0) return rawRequest(bytes, model);
  if (jsonLength > bytes.length) {
    const found = `the body has ${bytes.length} bytes, but Inference-Header-Content-Length says ${jsonLength}`;
    throw new RequestError('REQUEST_INVALID', `${found}; it counts the bytes of the JSON before compression`);
  }
  const json = bytes.subarray(0, jsonLength);
  if (!isUtf8(json)) throw new RequestError('JSON_INVALID', "the request's JSON is not UTF-8");
  const given = yield* readRequestJson(
    new JsonReader(json.toString('utf8')),
    inputReader(model, json.length, maxBytes),
  );
  return fitRequest(given, bytes.subarray(jsonLength), body.jsonLength !== undefined, model);
}

/** Returns what reads the elements of an input from JSON, once it is sure how many the model takes. */
function inputReader(model: RequestedModel, jsonLength: number, maxBytes: number) {
  let bytesLeft = maxBytes;
  return function* (reader: JsonReader, given: GivenInput): Steps<AnyTensor> {
    const { dtype } = requireInput(model, given);
    const count = elementCount(given.shape);
    const what = `input '${given.name}'`;
    // Each element but the last has a comma behind it.
    if (count > jsonLength) {
      const found = `the shape ${formatShape(given.shape)} has more elements than 'data' can have`;
      throw new RequestError('INPUT_DATA', `${what}: ${found}`);
    }
    bytesLeft -= dtype === 'string' ? 0 : count * bytesPerElement(dtype);
    if (bytesLeft < 0) {
      throw new RequestError(
        'TOO_LARGE',
        `${what}: the inputs take more than the limit of ${maxBytes} bytes`,
      );
    }
    return yield* readJsonData(reader, { what, dtype, dims: given.shape });
  };
}

function fitRequest(
  given: GivenRequest,
  binary: Buffer,
  hasLength: boolean,
  model: RequestedModel,
): InferRequest {
  const feeds = new Map<string, AnyTensor>();
  let at = 0;
  for (const input of given.inputs) {
    const what = `input '${input.name}'`;
    const { dtype } = requireInput(model, input);
    if (feeds.has(input.name)) throw new RequestError('REQUEST_INVALID', `${what} is given twice`);
    const { data, binarySize } = input;
    if ((data === undefined) === (binarySize === undefined)) {
      const has = data ? "has both 'data' and" : "has neither 'data' nor";
      throw new RequestError(
        'INPUT_DATA',
        `${what} ${has} the parameter 'binary_data_size'; give one of the two`,
      );
    }
    if (binarySize !== undefined && !hasLength) {
      const missing = 'binary data needs the header Inference-Header-Content-Length';
      throw new RequestError(
        'REQUEST_INVALID',
        `${what}: ${missing}, the number of bytes of the JSON before it`,
      );
    }
    if (binarySize !== undefined && binarySize > binary.length - at) {
      const found = `binary_data_size is ${binarySize}, but ${binary.length - at} bytes are left of the body`;
      throw new RequestError('INPUT_DATA', `${what}: ${found}`);
    }
    const bytes = binary.subarray(at, at + (binarySize ?? 0));
    feeds.set(input.name, data ?? tensorOfBinary(what, dtype, input.shape, bytes));
    at += bytes.length;
  }
  if (at < binary.length) {
    const left = `${binary.length - at} bytes of the body are left over behind the tensors`;
    throw new RequestError('REQUEST_INVALID', `${left}: the sizes must add up to the length of the body`);
  }
  requireAllInputs(model, feeds);
  return {
    id: given.id,
    feeds: Object.fromEntries(feeds),
    outputs: wantedOutputs(given, model),
    timeout: given.timeout,
  };
}

/** Returns the model's input of the name, whose datatype and shape the given one has. */
function requireInput(
  { inputs, maxBatchSize }: RequestedModel,
  { name, datatype, shape }: GivenInput,
): TensorInfo & { dtype: NonNullable<TensorInfo['dtype']> } {
  const info = inputs.find((input) => input.name === name);
  if (info?.dtype === undefined) {
    const names = inputs.map((input) => input.name);
    const known = `it has: ${names.join(', ') || 'no inputs'}`;
    throw new RequestError(
      'INPUT_UNKNOWN',
      `the model has no input '${name}'${suggestion(name, names)}; ${known}`,
    );
  }
  const { dtype } = info;
  if (datatype !== datatypeOf(dtype)) {
    const found = `input '${name}' has datatype '${datatype}'`;
    throw new RequestError('INPUT_DTYPE', `${found}, but the model takes ${datatypeOf(dtype)}`);
  }
  const problem = shapeProblem(info, shape, maxBatchSize);
  if (problem)
    throw new RequestError('INPUT_SHAPE', `input '${name}' has shape ${formatShape(shape)}${problem}`);
  return { ...info, dtype };
}

function shapeProblem(
  info: TensorInfo,
  shape: readonly number[],
  maxBatchSize: number | undefined,
): string | undefined {
  const declared = info.shape && `${formatShape(info.shape)}`;
  if (info.shape && shape.length !== info.shape.length) return `, but the model takes ${declared}`;
  const wrong = info.shape?.findIndex((dim, axis) => typeof dim === 'number' && dim !== shape[axis]) ?? -1;
  if (wrong >= 0) return `, but the model takes ${declared}: dimension ${wrong} differs`;
  if (maxBatchSize !== undefined && (shape[0] === undefined || shape[0] < 1 || shape[0] > maxBatchSize))
    return `: the first dimension is the batch, of 1 to ${maxBatchSize} samples`;
  // ONNX Runtime multiplies the sizes of an empty tensor too, in any order.
  const product = elementCount(shape.map((dim) => Math.max(dim, 1)));
  return product === Infinity ? ': no tensor has so many elements' : undefined;
}

function requireAllInputs({ inputs }: RequestedModel, feeds: ReadonlyMap<string, AnyTensor>): void {
  const missing = inputs.filter(({ name, optional }) => !optional && !feeds.has(name));
  if (missing.length === 0) return;
  const names = missing.map(({ name, dtype, shape }) => {
    const type = dtype === undefined ? '' : ` (${datatypeOf(dtype)}${shape ? ` ${formatShape(shape)}` : ''})`;
    return `'${name}'${type}`;
  });
  throw new RequestError('INPUT_MISSING', `the request lacks the input ${names.join(', ')}`);
}

function wantedOutputs({ outputs, binaryOutputs }: GivenRequest, model: RequestedModel): WantedOutput[] {
  const known = model.outputs.filter(({ dtype }) => dtype !== undefined);
  const given = outputs.length > 0 ? outputs : known.map(({ name }) => ({ name, binary: undefined }));
  const seen = new Set<string>();
  return given.map(({ name, binary = binaryOutputs }) => {
    const info = known.find((output) => output.name === name);
    if (info?.dtype === undefined) {
      const names = known.map((output) => output.name);
      const hint = `${suggestion(name, names)}; it has: ${names.join(', ')}`;
      throw new RequestError('OUTPUT_UNKNOWN', `the model has no output '${name}'${hint}`);
    }
    if (seen.has(name)) throw new RequestError('REQUEST_INVALID', `output '${name}' is wanted twice`);
    seen.add(name);
    if (!binary && !hasJsonForm(info.dtype))
      throw notInJson(name, `JSON has no form for ${datatypeOf(info.dtype)}`);
    return { name, binary };
  });
}

/** Makes the error for an output that JSON cannot hold. */
export const notInJson = (output: string, reason: string): RequestError =>
  new RequestError(
    'OUTPUT_NOT_JSON',
    `output '${output}': ${reason}; ask for binary data, with the parameter 'binary_data' of the output, or ` +
      "'binary_data_output' of the request",
  );

/** A body that is the tensor of the only input: one sample, with at most one dimension that its length tells. */
function rawRequest(bytes: Buffer, model: RequestedModel): InferRequest {
  const required = model.inputs.filter(({ optional }) => !optional);
  const [input] = required.length > 0 ? required : model.inputs;
  if (required.length > 1 || input?.dtype === undefined) {
    const found = `a raw tensor (Inference-Header-Content-Length: 0) needs a model of one input`;
    throw new RequestError(
      'REQUEST_INVALID',
      `${found}, but this model has ${model.inputs.length}; send JSON before the tensors`,
    );
  }
  const { name, dtype } = input;
  const shape = rawShape(input, bytes, model.maxBatchSize);
  const what = `input '${name}'`;
  const data: AnyTensor =
    dtype === 'string' ? rawText(what, shape, bytes) : tensorOfBinary(what, dtype, shape, bytes);
  return {
    id: undefined,
    feeds: Object.fromEntries([[name, data]]),
    outputs: model.outputs
      .filter((output) => output.dtype !== undefined)
      .map((output) => ({ name: output.name, binary: true })),
    timeout: undefined,
  };
}

/** A raw text is one element, without its length. */
function rawText(what: string, shape: readonly number[], bytes: Buffer): AnyTensor {
  if (elementCount(shape) !== 1) {
    const found = `a raw text is one element, but the shape ${formatShape(shape)} has ${elementCount(shape)}`;
    throw new RequestError('INPUT_SHAPE', `${what}: ${found}; send JSON before the tensors`);
  }
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return tensorOfBinary(what, 'string', shape, Buffer.concat([length, bytes]));
}

function rawShape(
  { name, dtype, shape }: TensorInfo,
  bytes: Buffer,
  maxBatchSize: number | undefined,
): number[] {
  const declared = maxBatchSize === undefined ? shape : shape && [1, ...shape.slice(1)];
  const free = declared?.flatMap((dim, axis) => (typeof dim === 'string' ? [axis] : [])) ?? [];
  if (!declared || free.length > 1) {
    const type = `the shape of input '${name}' is ${shape ? formatShape(shape) : 'not declared'}`;
    const remedy =
      'a raw tensor may leave one dimension open, besides the batch; send JSON before the tensors';
    throw new RequestError('INPUT_SHAPE', `${type}: ${remedy}`);
  }
  const fixed = elementCount(declared.map((dim) => (typeof dim === 'string' ? 1 : dim)));
  const width = dtype === 'string' || dtype === undefined ? bytes.length : bytesPerElement(dtype);
  const size = fixed > 0 && width > 0 ? Math.floor(bytes.length / width / fixed) : 0;
  return declared.map((dim) => (typeof dim === 'string' ? size : dim));
}
