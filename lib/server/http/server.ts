/** A server from its start to its end: it listens, loads, serves and drains. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Server as HttpServer } from 'node:http';
import { type AddressInfo, Server as TcpServer } from 'node:net';
import { dirname, resolve } from 'node:path';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { ServerError } from '../../errors.js';
import { reasonOf, systemCode } from '../../files/system-error.js';
import { ModelRepository } from '../models/model-repository.js';
import { createApp } from './app.js';
import { BodyMemory } from './body.js';
import { pathHider } from './failures.js';
import { Metrics } from './metrics.js';
import { loadedModels } from './models.js';
import { requireServerOptions, type ServerOptions } from './server-options.js';

/** How a server ends. */
export interface CloseOptions {
  /**
   * Milliseconds for which it goes on to take requests while it says that it is not ready: load balancers and Kubernetes take a
   * moment to send their requests elsewhere. Default 0.
   */
  readonly delay?: number | undefined;
  /** Milliseconds after that for the requests in progress; then their connections are cut. Default 8000. */
  readonly timeout?: number | undefined;
}

/** A server of the Open Inference Protocol over HTTP. */
export interface Server {
  /** The models. */
  readonly models: ModelRepository;
  /**
   * Begins to listen, and to load the models. Until they are loaded, `/v2/health/ready` says so, and requests get 503.
   * @returns The address: `http://127.0.0.1:8080`.
   * @throws ServerError `ADDRESS_UNAVAILABLE`.
   */
  listen(): Promise<string>;
  /**
   * Returns when the models have been loaded for the first time. A model that cannot be loaded does not stop the others:
   * `models.index()` says why.
   * @throws ServerError `REPOSITORY_INVALID` if the path holds no model.
   */
  loaded(): Promise<void>;
  /**
   * Ends the server: it goes on to serve for `delay`, closes each connection behind its next answer, waits for the requests in
   * progress, and frees the models. It returns after `delay` and `timeout` in any case. May be called again.
   */
  close(options?: CloseOptions): Promise<void>;
}

const CLOSE_TIMEOUT = 8000;

/**
 * Makes a server, which does not listen yet.
 * @throws OptionError.
 */
export function createServer(options: ServerOptions): Server {
  const checked = requireServerOptions(options);
  const { log, maxBody, maxConnections, requestTimeout } = checked;
  const models = new ModelRepository({
    path: checked.model,
    modelName: checked.modelName,
    serving: checked.serving,
    onState: checked.onState,
    onRequest: (model, end) => metrics.observe(model, end),
  });
  const metrics = new Metrics(() => loadedModels(models));
  let isDraining = false;
  const app = createApp({
    models,
    metrics,
    identity: { name: 'onnx-groupnorm', version: packageVersion() },
    limits: { maxBody, memory: new BodyMemory(checked.maxBodyMemory) },
    token: checked.token,
    log,
    hidePaths: pathHider(dirname(resolve(checked.model))),
    isDraining: () => isDraining,
    requestTimeout,
    maxConnections,
  });
  let loading: Promise<void> | undefined;
  let closing: Promise<void> | undefined;
  let stopWatching: (() => void) | undefined;

  async function load(): Promise<void> {
    await models.refresh();
    if (checked.watch === undefined || isDraining) return;
    const onError = (error: unknown) => log.error({ err: error }, 'the models cannot be read again');
    stopWatching = models.watch(checked.watch, onError);
  }

  async function close({ delay = 0, timeout = CLOSE_TIMEOUT }: CloseOptions): Promise<void> {
    isDraining = true;
    stopWatching?.();
    if (app.server.listening) await setTimeout(delay);
    const timer = new AbortController();
    const late = setTimeout(timeout, undefined, { signal: timer.signal }).catch(() => undefined);
    const ended = stopListening(app.server)
      .then(() => loading?.catch(() => undefined))
      .then(() => models.dispose());
    await Promise.race([ended, late]);
    timer.abort();
    // Stalled clients, and runs that take too long: a run whose clients are cut off is aborted.
    app.server.closeAllConnections();
    await app.close();
  }

  return {
    models,
    async listen() {
      try {
        await app.listen({ host: checked.host, port: checked.port });
      } catch (cause) {
        throw addressUnavailable(checked, cause);
      }
      loading = load();
      // `loaded` tells its caller.
      loading.catch(() => undefined);
      const { address, family, port } = app.server.address() as AddressInfo;
      return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
    },
    loaded: () => loading ?? Promise.resolve(),
    close: (closeOptions = {}) => (closing ??= close(closeOptions)),
  };
}

/** How long a connection may be silent before it counts as idle, in milliseconds: a request may be on its way. */
const SILENCE = 200;

/**
 * Closes the listener, and returns when all connections have ended. `close` of an HTTP server would at once cut connections on
 * which a request is on its way; that of a TCP server leaves them to us.
 */
async function stopListening(server: HttpServer): Promise<void> {
  if (!server.listening) return;
  let hasEnded = false;
  server.once('close', () => (hasEnded = true));
  // At this point of its turn the event loop has just read and accepted what had come.
  await setImmediate();
  TcpServer.prototype.close.call(server);
  while (!hasEnded) {
    await setTimeout(SILENCE);
    await setImmediate();
    server.closeIdleConnections();
  }
}

function addressUnavailable({ host, port }: { host: string; port: number }, cause: unknown): ServerError {
  const isTaken = systemCode(cause) === 'EADDRINUSE';
  const reason = isTaken ? 'another program listens there; choose another port' : reasonOf(cause);
  return new ServerError('ADDRESS_UNAVAILABLE', `cannot listen on ${host}:${port}: ${reason}`, { cause });
}

/** Reads the version of this package, from the sources as from `dist`. */
function packageVersion(): string {
  const path = createRequire(import.meta.url).resolve('onnx-groupnorm/package.json');
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}
