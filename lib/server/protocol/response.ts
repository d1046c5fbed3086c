/** Encodes the answer to an inference request: JSON, and behind it the tensors that the client wants as binary data. */
import type { AnyTensor } from '../../tensor.js';
import { binaryOf } from './binary-data.js';
import { datatypeOf } from './datatypes.js';
import { notInJson } from './request.js';
import type { Steps } from './steps.js';

/** An output of the model, and the form that the client wants. */
export interface AnswerOutput {
  readonly name: string;
  readonly value: AnyTensor;
  readonly binary: boolean;
}

/** What an answer says. */
export interface Answer {
  readonly modelName: string;
  readonly modelVersion: string;
  /** The request's own `id`. */
  readonly id: string | undefined;
  readonly outputs: readonly AnswerOutput[];
}

/** An answer as bytes. */
export interface EncodedAnswer {
  readonly body: Buffer;
  /** How many bytes of the body are JSON, for `Inference-Header-Content-Length`; `undefined` if all of them are. */
  readonly jsonLength: number | undefined;
}

/** How many elements become text at once. */
const SLICE = 4096;

/**
 * Encodes an answer.
 * @throws RequestError `OUTPUT_NOT_JSON` for an output in JSON that has NaN or infinity.
 */
export function* encodeAnswer({ modelName, modelVersion, id, outputs }: Answer): Steps<EncodedAnswer> {
  const json: Buffer[] = [];
  const binary: Uint8Array[] = [];
  const head = { model_name: modelName, model_version: modelVersion, ...(id !== undefined && { id }) };
  let text = `${JSON.stringify(head).slice(0, -1)},"outputs":[`;
  for (const [index, output] of outputs.entries()) {
    const { name, value } = output;
    const type = { name, datatype: datatypeOf(value.dtype), shape: value.dims };
    text += `${index > 0 ? ',' : ''}${JSON.stringify(type).slice(0, -1)},`;
    if (output.binary) {
      const bytes = binaryOf(value);
      binary.push(bytes);
      text += `"parameters":{"binary_data_size":${bytes.byteLength}}}`;
      continue;
    }
    text += '"data":[';
    for (let start = 0; start < value.data.length; start += SLICE) {
      text += (start > 0 ? ',' : '') + textOf(name, value, start, Math.min(start + SLICE, value.data.length));
      json.push(Buffer.from(text));
      text = '';
      yield;
    }
    text += ']}';
  }
  json.push(Buffer.from(`${text}]}`));
  const body = Buffer.concat([...json, ...binary]);
  const jsonLength = json.reduce((total, { length }) => total + length, 0);
  return { body, jsonLength: binary.length > 0 ? jsonLength : undefined };
}

/** Returns the elements from `start` to `end` as JSON, with commas between them. */
function textOf(output: string, value: AnyTensor, start: number, end: number): string {
  if (value.dtype === 'string')
    return value.data
      .slice(start, end)
      .map((text) => JSON.stringify(text))
      .join();
  if (value.dtype === 'bool') return Array.from(value.data.subarray(start, end), Boolean).join();
  const elements = value.data.subarray(start, end);
  if (elements instanceof Float32Array || elements instanceof Float64Array) {
    return floatTexts(output, elements, start);
  }
  return elements.join();
}

/**
 * A float32 is written as the double that it is, so that every reader gets the same float32 back. `JSON.stringify` is the
 * fastest way, but would write -0 as 0, and NaN and infinity as null.
 */
function floatTexts(output: string, elements: Float32Array | Float64Array, start: number): string {
  let hasNegativeZero = false;
  for (let i = 0; i < elements.length; i++) {
    const element = elements[i]!;
    if (Number.isFinite(element)) hasNegativeZero ||= Object.is(element, -0);
    else throw notInJson(output, `element ${start + i} is ${element}, which JSON cannot hold`);
  }
  if (!hasNegativeZero) return JSON.stringify(Array.from(elements)).slice(1, -1);
  return Array.from(elements, (element) => (Object.is(element, -0) ? '-0' : String(element))).join();
}
