/** The HTTP server, on fastify: limits, tokens, failures and logs. `routes.ts` has the endpoints. */
import { fastify, type FastifyInstance, type FastifyRequest } from 'fastify';
import { createHash, randomUUID, timingSafeEqual } from 'node:crypto';
import { METHODS } from 'node:http';
import { RequestError, ServerError } from '../../errors.js';
import { type BodyLimits, checkBodyHeaders } from './body.js';
import { answerBadHttp, answerExpectation, answerFailure, failureOf } from './failures.js';
import { countRefusal } from './infer.js';
import type { Models } from './models.js';
import { addRoutes } from './routes.js';

/** What is told of problems that no client is told of, and of requests. pino's loggers have this form. */
export interface ServerLog {
  /** Takes what the server does. */
  info(fields: object, message: string): void;
  /** Takes what may be wrong. */
  warn(fields: object, message: string): void;
  /** Takes what failed; `fields.err` is the error. */
  error(fields: object, message: string): void;
  /** Takes a line for each request. */
  debug(fields: object, message: string): void;
}

export interface AppOptions {
  readonly models: Models;
  /** The name and the version of this server, for `GET /v2`. */
  readonly identity: { readonly name: string; readonly version: string };
  readonly limits: BodyLimits;
  readonly token: string | undefined;
  readonly log: ServerLog;
  /** Makes the paths in a message relative to the folder of the models. */
  readonly hidePaths: (message: string) => string;
  /** Returns the metrics as text. */
  readonly metrics: { readonly contentType: string; readonly text: () => Promise<string> };
  /** Whether the server is about to end: it is not ready, and connections end with their next answer. */
  readonly isDraining: () => boolean;
  /** Milliseconds within which a request must have come as a whole, and for which a client may stop to read its answer. */
  readonly requestTimeout: number;
  /** The most connections; more are closed at once. */
  readonly maxConnections: number;
}

/** Above the 600 seconds of the load balancer that keeps connections longest, so that it is the side that closes them. */
const KEEP_ALIVE = 620_000;
const HEADERS_TIMEOUT = 20_000;
const MAX_HEADERS = 16 * 1024;
const MAX_NAME = 1024;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whether the route needs no token. */
    isOpen?: boolean;
    /** Whether the route runs a model, so that a failure is one of the model's. */
    isInference?: boolean;
  }
}

/** Makes the fastify instance, which does not listen yet. */
export function createApp(options: AppOptions): FastifyInstance {
  const { limits, log, isDraining } = options;
  const app = fastify({
    logger: false,
    requestIdHeader: 'x-request-id',
    genReqId: () => randomUUID(),
    requestTimeout: options.requestTimeout,
    keepAliveTimeout: KEEP_ALIVE,
    return503OnClosing: false,
    routerOptions: { maxParamLength: MAX_NAME },
    http: {
      maxHeaderSize: MAX_HEADERS,
      headersTimeout: Math.min(HEADERS_TIMEOUT, options.requestTimeout),
      connectionsCheckingInterval: 1000,
      // Node would answer without a reason.
      requireHostHeader: false,
    },
    frameworkErrors(_error, request, reply) {
      answerFailure(request, reply, { status: 400, message: 'the URL is not valid' });
    },
    clientErrorHandler: answerBadHttp,
  });
  app.server.maxConnections = options.maxConnections;
  // fastify knows few methods, and would answer 404 to the others. Node itself answers CONNECT.
  for (const method of METHODS) {
    if (!app.supportedMethods.includes(method) && method !== 'CONNECT') app.addHttpMethod(method);
  }
  // A client that waits for '100 Continue' gets it when its body is about to be read.
  app.server.on('checkContinue', (request, response) => app.routing(request, response));
  app.server.on('checkExpectation', answerExpectation);

  const checkToken = options.token === undefined ? undefined : tokenCheck(options.token);
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id);
    // Probes of Kubernetes have no token.
    if (!request.routeOptions.config.isOpen) checkToken?.(request.headers.authorization);
    requireHost(request);
    checkBodyHeaders(request.raw, limits.maxBody);
    // Clients send any media type, or none: the protocol does not look at it, and fastify must not refuse it.
    request.raw.headers['content-type'] = 'application/octet-stream';
    done();
  });
  app.addHook('onSend', (_request, reply, _payload, done) => {
    if (isDraining()) reply.header('connection', 'close');
    // A client that does not read its answer would hold the answer's memory.
    reply.raw.setTimeout(options.requestTimeout);
    done();
  });
  // The endpoints read the bodies themselves.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
  app.setNotFoundHandler((request, reply) => {
    const message = `there is no ${request.method} ${pathOf(request)}`;
    answerFailure(request, reply, { status: 404, message });
  });
  app.setErrorHandler((error, request, reply) => {
    const failure = failureOf(error);
    if (failure.status === 500) log.error({ err: error, reqId: request.id }, 'a request failed');
    countRefusal(options.models, request, error, reply.elapsedTime);
    answerFailure(request, reply, { ...failure, message: options.hidePaths(failure.message) });
  });
  app.addHook('onResponse', (request, reply, done) => {
    const { method, url, id: reqId } = request;
    log.debug({ reqId, method, url, status: reply.statusCode, ms: reply.elapsedTime }, 'request');
    done();
  });
  addRoutes(app, options);
  return app;
}

function requireHost({ raw, headers }: FastifyRequest): void {
  if (raw.httpVersion !== '1.1' || headers.host !== undefined) return;
  throw new RequestError('REQUEST_INVALID', 'a request of HTTP/1.1 needs the header Host');
}

const pathOf = ({ url }: FastifyRequest): string => url.split('?', 1)[0]!.slice(0, MAX_NAME);

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Returns a function that throws ServerError `UNAUTHORIZED` unless the header `Authorization` has the bearer token (RFC 6750). */
function tokenCheck(token: string): (authorization: string | undefined) => void {
  const expected = digest(token);
  return (authorization = '') => {
    const given = /^Bearer +(\S+)$/i.exec(authorization)?.[1] ?? '';
    // Digests have one length, so that the time of the comparison tells neither the token nor its length.
    if (timingSafeEqual(digest(given), expected)) return;
    throw new ServerError('UNAUTHORIZED', 'the request needs the header Authorization: Bearer TOKEN');
  };
}
