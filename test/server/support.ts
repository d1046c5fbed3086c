/** What the tests of the server share: requests in the protocol's form. */
import { inOneGo } from '../../lib/server/protocol/steps.js';
import {
  decodeInferRequest,
  type InferRequest,
  type RequestedModel,
} from '../../lib/server/protocol/request.js';

/** Joins the JSON of a request and its binary tensors. */
export function bodyOf(json: unknown, ...tensors: Uint8Array[]): { bytes: Buffer; jsonLength: number } {
  const text = Buffer.from(typeof json === 'string' ? json : JSON.stringify(json));
  return { bytes: Buffer.concat([text, ...tensors]), jsonLength: text.length };
}

/** Decodes a request that is JSON only. */
export const decodeJson = (json: unknown, model: RequestedModel): InferRequest =>
  inOneGo(decodeInferRequest({ bytes: bodyOf(json).bytes, jsonLength: undefined, maxBytes: 2 ** 20 }, model));

/** Decodes a request with binary tensors behind its JSON. */
export const decodeBinary = (model: RequestedModel, json: unknown, ...tensors: Uint8Array[]): InferRequest =>
  inOneGo(decodeInferRequest({ ...bodyOf(json, ...tensors), maxBytes: 2 ** 20 }, model));

/** Returns the bytes of an array. */
export const bytesOf = (array: ArrayBufferView): Buffer =>
  Buffer.from(array.buffer, array.byteOffset, array.byteLength);
