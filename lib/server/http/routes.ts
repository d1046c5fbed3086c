/** The endpoints of the Open Inference Protocol, version 2, with Triton's extensions. */
import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods, RouteHandlerMethod } from 'fastify';
import { RequestError, ServerError } from '../../errors.js';
import { isObject } from '../../options.js';
import type { AllocatedTensor } from '../../runtime/core/contract.js';
import type { AppOptions } from './app.js';
import { type Allocate, type BodyLimits, readBody } from './body.js';
import { modelConfig, modelMetadata, modelStatistics } from './describe.js';
import { answerFailure } from './failures.js';
import { Inference, jsonLengthOf } from './infer.js';
import { loadedModels, type ModelParams, type Models } from './models.js';

/** The extensions of the protocol that this server keeps. */
const EXTENSIONS = [
  'binary_tensor_data',
  'parameters',
  'statistics',
  'model_configuration',
  'model_repository',
];

/** The most bytes of the body of a request about the repository. */
const MAX_REPOSITORY_BODY = 2 ** 20;

interface Endpoint {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly handler: RouteHandlerMethod;
  readonly isOpen?: boolean;
  readonly isInference?: boolean;
}

/** Adds every endpoint, and answers 405 to its other methods. */
export function addRoutes(app: FastifyInstance, options: AppOptions): void {
  for (const { method, url, handler, isOpen = false, isInference = false } of endpoints(options)) {
    app.route({ method, url, handler, config: { isOpen, isInference } });
    const allowed: HTTPMethods[] = method === 'GET' ? ['GET', 'HEAD'] : ['POST'];
    app.route({
      method: app.supportedMethods.filter((other) => !allowed.includes(other)),
      url,
      config: { isOpen },
      handler(request, reply) {
        reply.header('allow', allowed.join(', '));
        const message = `${request.method} is not allowed here; use ${method}`;
        return answerFailure(request, reply, { status: 405, message });
      },
    });
  }
}

const endpoints = (options: AppOptions): Endpoint[] => [
  ...serverEndpoints(options),
  ...modelEndpoints(options),
  ...repositoryEndpoints(options),
];

function serverEndpoints({ models, identity, metrics, isDraining }: AppOptions): Endpoint[] {
  return [
    { method: 'GET', url: '/v2/health/live', isOpen: true, handler: () => ({ live: true }) },
    {
      method: 'GET',
      url: '/v2/health/ready',
      isOpen: true,
      handler(request, reply) {
        if (!isDraining() && models.isReady) return { ready: true };
        const message = isDraining() ? 'the server is about to end' : 'not every model is loaded';
        return answerFailure(request, reply, { status: 503, message });
      },
    },
    { method: 'GET', url: '/v2', handler: () => ({ ...identity, extensions: EXTENSIONS }) },
    {
      method: 'GET',
      url: '/metrics',
      handler: async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()),
    },
    {
      method: 'GET',
      url: '/v2/models/stats',
      handler: () => ({ model_stats: loadedModels(models).map(modelStatistics) }),
    },
  ];
}

/** The endpoints of a model, each with and without its version. */
function modelEndpoints({ models, limits }: AppOptions): Endpoint[] {
  const inference = new Inference(limits.maxBody);
  const find = ({ params }: FastifyRequest) => {
    const { model, version } = params as ModelParams;
    return models.get(model, version);
  };
  const endpointsBelow = (path: string): Endpoint[] => [
    {
      method: 'GET',
      url: path,
      handler(request) {
        const model = find(request);
        const { version } = request.params as ModelParams;
        const versions = loadedModels(models).filter(({ name }) => name === model.name);
        return modelMetadata(model, version === undefined ? versions.map((one) => one.version) : [version]);
      },
    },
    {
      method: 'GET',
      url: `${path}/ready`,
      handler: (request) => ({ name: find(request).name, ready: true }),
    },
    { method: 'GET', url: `${path}/config`, handler: (request) => modelConfig(find(request)) },
    {
      method: 'GET',
      url: `${path}/stats`,
      handler: (request) => ({ model_stats: [modelStatistics(find(request))] }),
    },
    {
      method: 'POST',
      url: `${path}/infer`,
      isInference: true,
      async handler(request, reply) {
        find(request);
        const jsonLength = jsonLengthOf(request);
        let memory: AllocatedTensor<'uint8'> | undefined;
        let hasCome = false;
        try {
          return await withBody(
            request,
            reply,
            limits,
            jsonLength,
            (bytes) => {
              hasCome = true;
              // The model may have changed while the body came.
              return find(request).use((model) =>
                inference.answer(model, { bytes, jsonLength }, request, reply),
              );
            },
            (length) => {
              // A run reads the tensors in this memory without a copy.
              memory = find(request).allocate('uint8', [length]);
              return memory.data as Uint8Array<ArrayBuffer>;
            },
          );
        } finally {
          // A request ends when its client leaves, though a run may still read it: the garbage collector frees it then.
          if (!(hasCome && reply.raw.destroyed)) memory?.dispose();
        }
      },
    },
  ];
  return [...endpointsBelow('/v2/models/:model'), ...endpointsBelow('/v2/models/:model/versions/:version')];
}

function repositoryEndpoints({ models, limits, hidePaths }: AppOptions): Endpoint[] {
  const post = (
    path: string,
    answer: (parameters: Readonly<Record<string, unknown>>, model: string) => unknown,
  ): Endpoint => ({
    method: 'POST',
    url: `/v2/repository/${path}`,
    handler: (request, reply) =>
      withBody(
        request,
        reply,
        { ...limits, maxBody: MAX_REPOSITORY_BODY },
        undefined,
        async (bytes) => await answer(parseObject(bytes), (request.params as ModelParams).model),
      ),
  });
  return [
    post('index', ({ ready = false }) => {
      if (typeof ready !== 'boolean') throw invalid("'ready' must be true or false");
      return models
        .index()
        .filter(({ state }) => !ready || state === 'READY')
        .map((entry) => ({ ...entry, reason: hidePaths(entry.reason) }));
    }),
    post('models/:model/load', async ({ parameters }, model) => {
      refuseOverrides(parameterNames(parameters));
      await load(models, model);
      return {};
    }),
    post('models/:model/unload', async ({ parameters }, model) => {
      parameterNames(parameters);
      await models.unload(model);
      return {};
    }),
  ];
}

/** Trying again does not help a model that cannot be loaded, so that is not 503. */
async function load(models: Models, name: string): Promise<void> {
  try {
    await models.load(name);
  } catch (cause) {
    if (!(cause instanceof ServerError && cause.code === 'MODEL_NOT_READY')) throw cause;
    throw new RequestError('REQUEST_INVALID', `the model '${name}' cannot be loaded: ${cause.message}`, {
      cause,
    });
  }
}

/** Reads the body of a request and gives its memory back after the action. */
async function withBody<Result>(
  request: FastifyRequest,
  reply: FastifyReply,
  limits: BodyLimits,
  jsonLength: number | undefined,
  action: (bytes: Buffer) => Promise<Result>,
  allocate?: Allocate,
): Promise<Result> {
  // A client of HTTP/1.0 does not know the answer '100 Continue' (RFC 9110, 10.1.1).
  if (request.headers.expect !== undefined && request.raw.httpVersion === '1.1') reply.raw.writeContinue();
  const { bytes, release } = await readBody(request.raw, jsonLength, limits, allocate);
  try {
    return await action(bytes);
  } finally {
    release();
  }
}

function parseObject(bytes: Buffer): Record<string, unknown> {
  if (bytes.length === 0) return {};
  try {
    const value: unknown = JSON.parse(
      new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes),
    );
    if (isObject(value)) return value;
  } catch (cause) {
    throw new RequestError('JSON_INVALID', "the request's JSON is invalid", { cause });
  }
  throw invalid('the request must be a JSON object, or empty');
}

/** Returns the names of the parameters of a request about a model. */
function parameterNames(parameters: unknown = {}): string[] {
  if (isObject(parameters)) return Object.keys(parameters);
  throw invalid("'parameters' must be a JSON object");
}

/** Triton's clients may send a configuration or the files of a model to load. */
function refuseOverrides(names: readonly string[]): void {
  const odd = names.find((name) => name === 'config' || name.startsWith('file:'));
  if (odd !== undefined)
    throw invalid(`this server loads models as they are in its repository; leave out '${odd}'`);
}

const invalid = (problem: string): RequestError => new RequestError('REQUEST_INVALID', problem);
