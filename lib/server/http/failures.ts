/**
 * Answers to requests that failed: a status and `{"error": "..."}`, without stack traces and paths, also where HTTP itself
 * failed, or where the body is still on its way.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { sep } from 'node:path';
import { OnnxGroupNormError } from '../../errors.js';

/** The answer to a request that failed. */
interface Failure {
  readonly status: number;
  readonly message: string;
  /** Seconds after which the client may try again. */
  readonly retryAfter?: number;
}

/** The status for each code of this package's errors; 500 for the others. */
const STATUS: Readonly<Record<string, number>> = {
  // RequestError
  ENCODING_UNSUPPORTED: 415,
  INPUT_DATA: 400,
  INPUT_DTYPE: 400,
  INPUT_MISSING: 400,
  INPUT_SHAPE: 400,
  INPUT_UNKNOWN: 400,
  JSON_INVALID: 400,
  OUTPUT_NOT_JSON: 400,
  OUTPUT_UNKNOWN: 400,
  REQUEST_INVALID: 400,
  TOO_LARGE: 413,
  // ServerError
  BATCH_SIZE: 400,
  BUSY: 503,
  MODEL_NOT_FOUND: 404,
  MODEL_NOT_READY: 503,
  QUEUE_FULL: 503,
  QUEUE_TIMEOUT: 503,
  UNAUTHORIZED: 401,
  // SessionError
  ABORTED: 503,
  DISPOSED: 503,
  OUT_OF_MEMORY: 503,
};

const RETRY_AFTER = 1;
/** Where ONNX Runtime's source was compiled: `/onnxruntime_src/onnxruntime/core/framework/op_kernel.cc:83 `. */
const SOURCE_PLACE = /\S*[\\/]\S+\.(?:cc|h|hpp|cpp|inc):\d+\s*/g;

/** Returns a function that makes paths in a folder relative to it: clients need not know where models lie. */
export function pathHider(folder: string): (message: string) => string {
  const prefix = folder.endsWith(sep) ? folder : folder + sep;
  // In the root folder no path is hidden, and every slash would match.
  return (message) => (prefix === sep ? message : message.replaceAll(prefix, ''));
}

/** Returns the answer for an error of any kind. */
export function failureOf(error: unknown): Failure {
  if (!(error instanceof OnnxGroupNormError)) {
    return { status: 500, message: 'the server failed; its log says why' };
  }
  const status = STATUS[error.code] ?? 500;
  const message = error.message.replace(SOURCE_PLACE, '');
  return { status, message, ...(status === 503 && { retryAfter: RETRY_AFTER }) };
}

/** A body of this size is read and dropped, so that the connection can go on. */
const SMALL_BODY = 64 * 1024;
/** How long a client may go on to send a larger body that is refused, in milliseconds. */
const LINGER = 1000;

const bodyOf = (message: string): string => JSON.stringify({ error: message });

/** Answers a request that failed. */
export function answerFailure(request: FastifyRequest, reply: FastifyReply, failure: Failure): FastifyReply {
  const { status, message, retryAfter } = failure;
  const headers = {
    'content-type': 'application/json',
    ...(retryAfter !== undefined && { 'retry-after': String(retryAfter) }),
    ...(status === 401 && { 'www-authenticate': 'Bearer' }),
    // RFC 9110, 15.5.16: the codings that the client may send.
    ...(status === 415 && { 'accept-encoding': 'gzip, deflate' }),
  };
  if (!isSending(request.raw)) return reply.code(status).headers(headers).send(bodyOf(message));
  reply.hijack();
  answerSender(request, reply.raw, status, { ...headers, 'x-request-id': request.id }, bodyOf(message));
  return reply;
}

/** Whether the client has much of the body still to send. */
function isSending({ complete, headers }: IncomingMessage): boolean {
  if (complete) return false;
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > SMALL_BODY;
}

/**
 * Answers a client that is still sending. A server that answers and closes the connection at once resets it, so that the
 * client may not read the answer: the rest of the body is read and dropped for a while.
 */
function answerSender(
  request: FastifyRequest,
  response: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string,
): void {
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body), connection: 'close' });
  response.write(body);
  const end = (): void => {
    clearTimeout(timer);
    response.end();
  };
  const timer = setTimeout(end, LINGER);
  request.raw.once('end', end).once('close', end).resume();
}

/** The status for each code of an error of Node's HTTP parser; 400 for the others. */
const STATUS_OF_CODE: Readonly<Record<string, number>> = {
  ERR_HTTP_REQUEST_TIMEOUT: 408,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  HPE_HEADER_OVERFLOW: 431,
};

const MESSAGES: Readonly<Record<number, string>> = {
  400: 'the request is not valid HTTP',
  408: 'the request did not come within the time that this server waits',
  413: 'the chunk extensions of the request are too long',
  431: 'the headers of the request are too long',
};

/** Answers bytes that are not HTTP, and requests that come too slowly. The connection ends with it. */
export function answerBadHttp(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const status = STATUS_OF_CODE[error.code ?? ''] ?? 400;
  const body = bodyOf(MESSAGES[status]!);
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
  // A client that does not close its side would hold the connection, and what came of its body.
  setTimeout(() => socket.destroy(), LINGER).unref();
}

/** Answers a request with an expectation in the header `Expect` that is not `100-continue`. */
export function answerExpectation(_request: IncomingMessage, response: ServerResponse): void {
  const headers = { 'content-type': 'application/json', connection: 'close' };
  response.writeHead(417, headers).end(bodyOf('the header Expect may only be 100-continue'));
}
