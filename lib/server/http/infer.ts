/** Answers inference requests: from the bytes of a body to the bytes of an answer. */
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { RequestError } from '../../errors.js';
import type { RunResults } from '../../runtime/core/contract.js';
import type { ServedModel } from '../models/served-model.js';
import { decodeInferRequest, type InferRequest, type RequestBody } from '../protocol/request.js';
import { encodeAnswer, type EncodedAnswer } from '../protocol/response.js';
import { SlicedWork } from '../protocol/steps.js';
import { pack, preferredCoding } from './content-coding.js';
import { loadedModels, type ModelParams, type Models } from './models.js';

/** The header with the number of bytes of JSON before the tensors. */
const JSON_LENGTH = 'inference-header-content-length';

/** Larger answers are sent from the memory of the results, without a copy. */
const JOINED_BYTES = 2 ** 16;

const asBuffer = ({ buffer, byteOffset, byteLength }: Uint8Array): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength);

/** The longest time that timers of Node take, in milliseconds. */
const LONGEST_TIMEOUT = 2 ** 31 - 1;

/**
 * Returns how many bytes of a body are JSON, as its header says.
 * @throws RequestError `REQUEST_INVALID`.
 */
export function jsonLengthOf({ headers }: Pick<FastifyRequest, 'headers'>): number | undefined {
  const text = headers[JSON_LENGTH];
  if (text === undefined) return undefined;
  const length = Number(text);
  if (typeof text === 'string' && /^\d+$/.test(text) && Number.isSafeInteger(length)) return length;
  throw new RequestError('REQUEST_INVALID', 'Inference-Header-Content-Length must be a number of bytes');
}

/** The requests that `model.run` has taken, and so counts. */
const taken = new WeakSet<FastifyRequest>();

/** Counts a request that failed before the model took it as a failure of the model, if the model is loaded. */
export function countRefusal(
  models: Models,
  request: FastifyRequest,
  error: unknown,
  duration: number,
): void {
  if (!request.routeOptions.config.isInference || taken.has(request)) return;
  const { model: name, version } = request.params as ModelParams;
  const isAsked = (model: ServedModel) => model.name === name && model.version === (version ?? model.version);
  loadedModels(models).find(isAsked)?.countFailure(error, duration);
}

/** The inference of one server. */
export class Inference {
  readonly #work = new SlicedWork();

  constructor(readonly maxBody: number) {}

  /**
   * Answers a request. A request whose client leaves is dropped.
   * @throws RequestError, and what `model.run` throws.
   */
  async answer(
    model: ServedModel,
    body: Omit<RequestBody, 'maxBytes'>,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<Buffer | Readable> {
    const decoded = await this.#work.run(decodeInferRequest({ ...body, maxBytes: this.maxBody }, model));
    taken.add(request);
    const { results, parts, jsonLength } = await this.#run(model, decoded, reply);
    const coding = preferredCoding(request.headers['accept-encoding']);
    reply.header('content-type', jsonLength === undefined ? 'application/json' : 'application/octet-stream');
    reply.header('vary', 'accept-encoding');
    if (jsonLength !== undefined) reply.header(JSON_LENGTH, jsonLength);
    if (coding !== 'identity') reply.header('content-encoding', coding);
    const length = parts.reduce((total, { byteLength }) => total + byteLength, 0);
    if (coding === 'identity' && length > JOINED_BYTES && !reply.raw.destroyed) {
      reply.header('content-length', length);
      reply.raw.once('close', () => results.dispose());
      return Readable.from(parts.map(asBuffer));
    }
    const bytes = Buffer.concat(parts);
    results.dispose();
    return pack(bytes, coding);
  }

  async #run(
    model: ServedModel,
    request: InferRequest,
    reply: FastifyReply,
  ): Promise<EncodedAnswer & { readonly results: Pick<RunResults, 'dispose'> }> {
    const { id, feeds, outputs, timeout } = request;
    const leaving = new AbortController();
    const leave = (): void => leaving.abort();
    if (reply.raw.destroyed) leave();
    reply.raw.once('close', leave);
    try {
      const { outputs: results } = await model.run(feeds, {
        fetches: outputs.map(({ name }) => name),
        signal: leaving.signal,
        ...(timeout !== undefined && { queueTimeout: Math.min(timeout, LONGEST_TIMEOUT) }),
      });
      const answered = outputs.map(({ name, binary }) => ({ name, binary, value: results[name]! }));
      const answer = { modelName: model.name, modelVersion: model.version, id, outputs: answered };
      try {
        return { results, ...(await this.#work.run(encodeAnswer(answer))) };
      } catch (error) {
        results.dispose();
        throw error;
      }
    } finally {
      reply.raw.removeListener('close', leave);
    }
  }
}
